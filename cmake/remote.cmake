# hotcold-remote: Redis and S3 as the cold tier. A library of its own, with dependencies of its own.
#
#   hotcold::remote          the shared library
#   hotcold::remote_static   the static one; it can be linked beside hotcold::static
#
# Both are always the release profile. In the static library everything but the one function is
# local: two libraries that were made by Rust would otherwise both define Rust's own names.

set(hotcold_remote_soname "libhotcold-remote.so.0.${PROJECT_VERSION_MINOR}")
set(hotcold_remote_shared_name "libhotcold-remote.so.${PROJECT_VERSION}")
set(hotcold_remote_include_dir "${CMAKE_CURRENT_SOURCE_DIR}/remote/include")
set(hotcold_remote_dir "${hotcold_lib_dir}/remote")
file(GLOB_RECURSE hotcold_remote_sources CONFIGURE_DEPENDS
  "${CMAKE_CURRENT_SOURCE_DIR}/remote/src/*.rs")
foreach(file Cargo.toml Cargo.lock remote/Cargo.toml remote/build.rs)
  list(APPEND hotcold_remote_sources "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
endforeach()

find_program(HOTCOLD_LD NAMES "${CMAKE_LINKER}" ld REQUIRED)
find_program(HOTCOLD_OBJCOPY NAMES "${CMAKE_OBJCOPY}" objcopy REQUIRED)
set(hotcold_remote_built "${HOTCOLD_CARGO_TARGET_DIR}/release")
set(hotcold_remote_object "${hotcold_remote_dir}/hotcold-remote.o")
add_custom_command(
  OUTPUT "${hotcold_remote_dir}/${hotcold_remote_shared_name}"
    "${hotcold_remote_dir}/libhotcold-remote.a"
  COMMAND ${CMAKE_COMMAND} -E env --unset=CARGO_BUILD_TARGET
    "${CARGO_EXECUTABLE}" build --locked --lib --release --package hotcold-remote
    --manifest-path "${CMAKE_CURRENT_SOURCE_DIR}/Cargo.toml"
    --target-dir "${HOTCOLD_CARGO_TARGET_DIR}"
  COMMAND ${CMAKE_COMMAND} -E make_directory "${hotcold_remote_dir}"
  COMMAND ${CMAKE_COMMAND} -E copy "${hotcold_remote_built}/libhotcold_remote.so"
    "${hotcold_remote_dir}/${hotcold_remote_shared_name}"
  COMMAND ${CMAKE_COMMAND} -E create_symlink "${hotcold_remote_shared_name}"
    "${hotcold_remote_dir}/${hotcold_remote_soname}"
  COMMAND ${CMAKE_COMMAND} -E create_symlink "${hotcold_remote_soname}"
    "${hotcold_remote_dir}/libhotcold-remote.so"
  # Without --gc-sections, which would make weak names of the C library strong ones.
  COMMAND "${HOTCOLD_LD}" -r -u hotcold_remote_backend
    "${hotcold_remote_built}/libhotcold_remote.a" -o "${hotcold_remote_object}"
  COMMAND "${HOTCOLD_OBJCOPY}" --keep-global-symbol=hotcold_remote_backend
    # Rust leaves LLVM's bitcode in it, which an ar with a plugin of another LLVM fails of.
    --remove-section=.llvmbc --remove-section=.llvmcmd --remove-section=.comment --strip-debug
    "${hotcold_remote_object}"
  COMMAND ${CMAKE_COMMAND} -E rm -f "${hotcold_remote_dir}/libhotcold-remote.a"
  COMMAND "${CMAKE_AR}" qcD "${hotcold_remote_dir}/libhotcold-remote.a" "${hotcold_remote_object}"
  COMMAND "${CMAKE_RANLIB}" "${hotcold_remote_dir}/libhotcold-remote.a"
  COMMAND ${CMAKE_COMMAND} -E touch "${hotcold_remote_dir}/${hotcold_remote_shared_name}"
    "${hotcold_remote_dir}/libhotcold-remote.a"
  DEPENDS ${hotcold_remote_sources}
  COMMENT "Building hotcold-remote ${PROJECT_VERSION} with cargo"
  VERBATIM)
add_custom_target(hotcold-remote-build ALL
  DEPENDS "${hotcold_remote_dir}/${hotcold_remote_shared_name}"
    "${hotcold_remote_dir}/libhotcold-remote.a")
# Two cargos at once would wait for each other anyway.
add_dependencies(hotcold-remote-build hotcold-build)

add_library(hotcold::remote SHARED IMPORTED GLOBAL)
set_target_properties(hotcold::remote PROPERTIES
  IMPORTED_LOCATION "${hotcold_remote_dir}/${hotcold_remote_shared_name}"
  IMPORTED_SONAME "${hotcold_remote_soname}"
  INTERFACE_INCLUDE_DIRECTORIES "${hotcold_remote_include_dir};${hotcold_include_dir}")
add_dependencies(hotcold::remote hotcold-remote-build)
add_library(hotcold::remote_static STATIC IMPORTED GLOBAL)
set_target_properties(hotcold::remote_static PROPERTIES
  IMPORTED_LOCATION "${hotcold_remote_dir}/libhotcold-remote.a"
  INTERFACE_LINK_LIBRARIES "${hotcold_static_needs}"
  INTERFACE_INCLUDE_DIRECTORIES "${hotcold_remote_include_dir};${hotcold_include_dir}")
add_dependencies(hotcold::remote_static hotcold-remote-build)

if(HOTCOLD_INSTALL)
  install(FILES "${hotcold_remote_dir}/${hotcold_remote_shared_name}"
    "${hotcold_remote_dir}/${hotcold_remote_soname}"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT remote)
  install(FILES "${hotcold_remote_dir}/libhotcold-remote.so"
    "${hotcold_remote_dir}/libhotcold-remote.a"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
  install(FILES "${hotcold_remote_include_dir}/hotcold_remote.h"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
  set(hotcold_remote_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  file(RELATIVE_PATH hotcold_pc_prefix "/prefix/${hotcold_remote_pc_dir}" "/prefix")
  string(REGEX REPLACE "/$" "" hotcold_pc_prefix "${hotcold_pc_prefix}")
  string(REPLACE ";" " -l" hotcold_pc_needs "-l${hotcold_static_needs}")
  configure_file(remote/hotcold-remote.pc.in hotcold-remote.pc @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/hotcold-remote.pc"
    DESTINATION "${hotcold_remote_pc_dir}" COMPONENT development)
  find_program(HOTCOLD_STRIP NAMES "${CMAKE_STRIP}" strip)
  if(HOTCOLD_STRIP)
    install(CODE "
      if(CMAKE_INSTALL_DO_STRIP)
        execute_process(COMMAND \"${HOTCOLD_STRIP}\" --strip-unneeded --remove-section=.comment
          \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/${hotcold_remote_shared_name}\")
      endif()" COMPONENT remote)
  endif()
endif()
