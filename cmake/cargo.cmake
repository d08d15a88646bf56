# Runs cargo, and makes targets of what it built.
#
# The libraries are copied to lib/debug or lib/release in the build directory under the names that
# they have when installed: programs that are linked here look for libhotcold.so.0.MINOR, which
# cargo does not make. Which of the two is built follows from the configuration, also with
# generators that have several in one tree.

find_program(CARGO_EXECUTABLE cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin")
if(NOT CARGO_EXECUTABLE)
  message(FATAL_ERROR "hotcold: cargo is needed to build it; install Rust 1.88 or newer")
endif()

# While the major version is 0 each minor version is an interface of its own.
set(hotcold_soname "libhotcold.so.0.${PROJECT_VERSION_MINOR}")
set(hotcold_shared_name "libhotcold.so.${PROJECT_VERSION}")
set(hotcold_lib_dir "${CMAKE_CURRENT_BINARY_DIR}/lib")
set(hotcold_include_dir "${CMAKE_CURRENT_SOURCE_DIR}/include")
# What `cargo rustc --crate-type staticlib -- --print native-static-libs` names, without libc and
# the unwinder: compilers add these, and which unwinder it is depends on -static.
set(hotcold_static_needs util rt pthread m dl)

file(GLOB_RECURSE hotcold_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/*.rs")
foreach(file Cargo.toml Cargo.lock build.rs cbindgen.toml)
  list(APPEND hotcold_sources "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
endforeach()

# hotcold_cargo(PROFILE DIR): how lib/DIR is made, whose name is that of cargo's own directory.
function(hotcold_cargo profile dir)
  set(built "${HOTCOLD_CARGO_TARGET_DIR}/${dir}")
  set(out "${hotcold_lib_dir}/${dir}")
  add_custom_command(
    OUTPUT "${out}/${hotcold_shared_name}" "${out}/libhotcold.a"
    # Cargo builds for this machine, where it is looked for below.
    COMMAND ${CMAKE_COMMAND} -E env --unset=CARGO_BUILD_TARGET
      "${CARGO_EXECUTABLE}" build --locked --lib --profile ${profile}
      --manifest-path "${CMAKE_CURRENT_SOURCE_DIR}/Cargo.toml"
      --target-dir "${HOTCOLD_CARGO_TARGET_DIR}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${out}"
    COMMAND ${CMAKE_COMMAND} -E copy "${built}/libhotcold.so" "${out}/${hotcold_shared_name}"
    COMMAND ${CMAKE_COMMAND} -E copy "${built}/libhotcold.a" "${out}/libhotcold.a"
    COMMAND ${CMAKE_COMMAND} -E create_symlink "${hotcold_shared_name}" "${out}/${hotcold_soname}"
    COMMAND ${CMAKE_COMMAND} -E create_symlink "${hotcold_soname}" "${out}/libhotcold.so"
    # Cargo leaves alone what is up to date, whose time would then be older than the sources'.
    COMMAND ${CMAKE_COMMAND} -E touch "${out}/${hotcold_shared_name}" "${out}/libhotcold.a"
    DEPENDS ${hotcold_sources}
    COMMENT "Building hotcold ${PROJECT_VERSION} with cargo (${profile})"
    VERBATIM)
endfunction()
hotcold_cargo(dev debug)
hotcold_cargo(release release)

set(hotcold_built_dir "${hotcold_lib_dir}/$<IF:$<CONFIG:Debug>,debug,release>")
set(hotcold_shared "${hotcold_built_dir}/${hotcold_shared_name}")
set(hotcold_static "${hotcold_built_dir}/libhotcold.a")
add_custom_target(hotcold-build ALL DEPENDS "${hotcold_shared}" "${hotcold_static}")

# hotcold_target(NAME KIND FILE): an imported target NAME for lib/*/FILE.
function(hotcold_target name kind file)
  add_library(${name} ${kind} IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES
    IMPORTED_LOCATION "${hotcold_lib_dir}/release/${file}"
    IMPORTED_LOCATION_DEBUG "${hotcold_lib_dir}/debug/${file}"
    INTERFACE_INCLUDE_DIRECTORIES "${hotcold_include_dir}")
  if(kind STREQUAL "SHARED")
    set_target_properties(${name} PROPERTIES
      IMPORTED_SONAME "${hotcold_soname}" IMPORTED_SONAME_DEBUG "${hotcold_soname}")
  else()
    set_target_properties(${name} PROPERTIES INTERFACE_LINK_LIBRARIES "${hotcold_static_needs}")
  endif()
  add_dependencies(${name} hotcold-build)
endfunction()
hotcold_target(hotcold::shared SHARED ${hotcold_shared_name})
hotcold_target(hotcold::static STATIC libhotcold.a)
if(DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS)
  hotcold_target(hotcold::hotcold STATIC libhotcold.a)
else()
  hotcold_target(hotcold::hotcold SHARED ${hotcold_shared_name})
endif()
