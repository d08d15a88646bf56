# Runs cargo, and makes targets of what it built.
#
# The libraries are copied to lib/ in the build directory under the names that they have when
# installed: programs that are linked here look for libhotcold.so.0.MINOR, which cargo does not make.

find_program(CARGO_EXECUTABLE cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin")
if(NOT CARGO_EXECUTABLE)
  message(FATAL_ERROR "hotcold: cargo is needed to build it; install Rust 1.85 or newer")
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(hotcold_profile dev)
  set(hotcold_profile_dir debug)
else()
  set(hotcold_profile release)
  set(hotcold_profile_dir release)
endif()

# While the major version is 0 each minor version is an interface of its own.
set(hotcold_soname "libhotcold.so.0.${PROJECT_VERSION_MINOR}")
set(hotcold_lib_dir "${CMAKE_CURRENT_BINARY_DIR}/lib")
set(hotcold_shared "${hotcold_lib_dir}/libhotcold.so.${PROJECT_VERSION}")
set(hotcold_static "${hotcold_lib_dir}/libhotcold.a")
set(hotcold_include_dir "${CMAKE_CURRENT_SOURCE_DIR}/include")
# What `cargo rustc --crate-type staticlib -- --print native-static-libs` names.
set(hotcold_static_needs gcc_s util rt pthread m dl c)

file(GLOB_RECURSE hotcold_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/*.rs")
foreach(file Cargo.toml Cargo.lock build.rs cbindgen.toml)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    list(APPEND hotcold_sources "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  endif()
endforeach()

set(hotcold_built "${HOTCOLD_CARGO_TARGET_DIR}/${hotcold_profile_dir}")
add_custom_command(
  OUTPUT "${hotcold_shared}" "${hotcold_static}"
  COMMAND ${CMAKE_COMMAND} -E env
    "${CARGO_EXECUTABLE}" build --locked --lib --profile ${hotcold_profile}
    --manifest-path "${CMAKE_CURRENT_SOURCE_DIR}/Cargo.toml"
    --target-dir "${HOTCOLD_CARGO_TARGET_DIR}"
  COMMAND ${CMAKE_COMMAND} -E make_directory "${hotcold_lib_dir}"
  COMMAND ${CMAKE_COMMAND} -E copy "${hotcold_built}/libhotcold.so" "${hotcold_shared}"
  COMMAND ${CMAKE_COMMAND} -E copy "${hotcold_built}/libhotcold.a" "${hotcold_static}"
  COMMAND ${CMAKE_COMMAND} -E create_symlink "libhotcold.so.${PROJECT_VERSION}"
    "${hotcold_lib_dir}/${hotcold_soname}"
  COMMAND ${CMAKE_COMMAND} -E create_symlink "${hotcold_soname}" "${hotcold_lib_dir}/libhotcold.so"
  # Cargo leaves alone what is up to date, whose time would then be older than the sources'.
  COMMAND ${CMAKE_COMMAND} -E touch "${hotcold_shared}" "${hotcold_static}"
  DEPENDS ${hotcold_sources}
  COMMENT "Building hotcold ${PROJECT_VERSION} with cargo (${hotcold_profile})"
  VERBATIM)
add_custom_target(hotcold-build ALL DEPENDS "${hotcold_shared}" "${hotcold_static}")

add_library(hotcold::hotcold SHARED IMPORTED GLOBAL)
set_target_properties(hotcold::hotcold PROPERTIES
  IMPORTED_LOCATION "${hotcold_shared}"
  IMPORTED_SONAME "${hotcold_soname}"
  INTERFACE_INCLUDE_DIRECTORIES "${hotcold_include_dir}")
add_library(hotcold::static STATIC IMPORTED GLOBAL)
set_target_properties(hotcold::static PROPERTIES
  IMPORTED_LOCATION "${hotcold_static}"
  INTERFACE_LINK_LIBRARIES "${hotcold_static_needs}"
  INTERFACE_INCLUDE_DIRECTORIES "${hotcold_include_dir}")
add_dependencies(hotcold::hotcold hotcold-build)
add_dependencies(hotcold::static hotcold-build)
