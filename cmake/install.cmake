# Install rules. Nothing in the installed files names the prefix: the tree may be moved.
#
# The components are Debian's packages: `runtime` is what a linked program needs to run,
# `development` what it needs to be made, `legal` goes only with a whole installation.

include(CMakePackageConfigHelpers)

# The header without directives and comments, for languages that read declarations themselves
# (Python's cffi, LuaJIT, PHP).
set(hotcold_cdef "${CMAKE_CURRENT_BINARY_DIR}/hotcold.cdef.h")
add_custom_command(
  OUTPUT "${hotcold_cdef}"
  COMMAND ${CMAKE_COMMAND} "-DCC=${CMAKE_C_COMPILER}" "-DIN=${hotcold_include_dir}/hotcold.h"
    "-DOUT=${hotcold_cdef}" -P "${CMAKE_CURRENT_SOURCE_DIR}/cmake/cdef.cmake"
  # The header itself is written by the build.
  DEPENDS hotcold-build "${hotcold_include_dir}/hotcold.h"
    "${CMAKE_CURRENT_SOURCE_DIR}/cmake/cdef.cmake"
  VERBATIM)
add_custom_target(hotcold-cdef ALL DEPENDS "${hotcold_cdef}")

install(FILES "${hotcold_include_dir}/hotcold.h" "${hotcold_include_dir}/hotcold.hpp"
  "${hotcold_include_dir}/hotcold_backend_check.h"
  "${hotcold_cdef}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
# Not executable: no loader asks for it, and Debian forbids it.
install(FILES "${hotcold_shared}" "${hotcold_built_dir}/${hotcold_soname}"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime)
install(FILES "${hotcold_built_dir}/libhotcold.so" "${hotcold_static}"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)

# `cmake --install --strip` and packages: CMake strips only what it has linked itself.
find_program(HOTCOLD_STRIP NAMES "${CMAKE_STRIP}" strip)
if(HOTCOLD_STRIP)
  foreach(part "runtime|--strip-unneeded|${hotcold_shared_name}"
      "development|--strip-debug|libhotcold.a")
    string(REPLACE "|" ";" part "${part}")
    list(GET part 0 component)
    list(GET part 1 how)
    list(GET part 2 file)
    install(CODE "
      if(CMAKE_INSTALL_DO_STRIP)
        set(file \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/${file}\")
        execute_process(COMMAND \"${HOTCOLD_STRIP}\" ${how} --remove-section=.comment
          --remove-section=.note --enable-deterministic-archives \"\${file}\")
      endif()" COMPONENT ${component})
  endforeach()
endif()

set(hotcold_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/hotcold")
configure_package_config_file(cmake/hotcoldConfig.cmake.in hotcoldConfig.cmake
  INSTALL_DESTINATION "${hotcold_cmake_dir}"
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR
  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/hotcoldConfigVersion.cmake"
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/hotcoldConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/hotcoldConfigVersion.cmake"
  DESTINATION "${hotcold_cmake_dir}" COMPONENT development)

# pkg-config finds the prefix from where the .pc file lies.
set(hotcold_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH hotcold_pc_prefix "/prefix/${hotcold_pc_dir}" "/prefix")
string(REGEX REPLACE "/$" "" hotcold_pc_prefix "${hotcold_pc_prefix}")
string(REPLACE ";" " -l" hotcold_pc_needs "-l${hotcold_static_needs}")
configure_file(hotcold.pc.in hotcold.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/hotcold.pc"
  DESTINATION "${hotcold_pc_dir}" COMPONENT development)

file(GLOB hotcold_docs README.md ARCHITECTURE.md CHANGELOG.md docs/packaging.md)
install(FILES ${hotcold_docs} DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/hotcold"
  COMPONENT development)
install(FILES LICENSE-APACHE LICENSE-MIT DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/hotcold"
  COMPONENT legal)
