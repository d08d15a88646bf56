# Install rules. Nothing in the installed files names the prefix: the tree may be moved.

include(CMakePackageConfigHelpers)

# The header without directives and comments, for languages that read declarations themselves
# (Python's cffi, LuaJIT, PHP).
set(hotcold_cdef "${CMAKE_CURRENT_BINARY_DIR}/hotcold.cdef.h")
add_custom_command(
  OUTPUT "${hotcold_cdef}"
  COMMAND ${CMAKE_COMMAND} "-DCC=${CMAKE_C_COMPILER}" "-DIN=${hotcold_include_dir}/hotcold.h"
    "-DOUT=${hotcold_cdef}" -P "${CMAKE_CURRENT_SOURCE_DIR}/cmake/cdef.cmake"
  # The header itself is written by the build.
  DEPENDS hotcold-build "${hotcold_shared}" "${CMAKE_CURRENT_SOURCE_DIR}/cmake/cdef.cmake"
  VERBATIM)
add_custom_target(hotcold-cdef ALL DEPENDS "${hotcold_cdef}")

install(FILES "${hotcold_include_dir}/hotcold.h" "${hotcold_cdef}"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(PROGRAMS "${hotcold_shared}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${hotcold_lib_dir}/${hotcold_soname}" "${hotcold_lib_dir}/libhotcold.so"
  "${hotcold_static}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")

set(hotcold_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/hotcold")
configure_package_config_file(cmake/hotcoldConfig.cmake.in hotcoldConfig.cmake
  INSTALL_DESTINATION "${hotcold_cmake_dir}"
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR
  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/hotcoldConfigVersion.cmake"
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/hotcoldConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/hotcoldConfigVersion.cmake" DESTINATION "${hotcold_cmake_dir}")

# pkg-config finds the prefix from where the .pc file lies.
set(hotcold_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH hotcold_pc_prefix "/prefix/${hotcold_pc_dir}" "/prefix")
string(REGEX REPLACE "/$" "" hotcold_pc_prefix "${hotcold_pc_prefix}")
string(REPLACE ";" " -l" hotcold_pc_needs "-l${hotcold_static_needs}")
configure_file(hotcold.pc.in hotcold.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/hotcold.pc" DESTINATION "${hotcold_pc_dir}")
