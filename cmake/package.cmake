# `cpack -G DEB`: libhotcold0.MINOR, which several minor versions may be installed of at once, and
# libhotcold-dev. Configure with -DCMAKE_INSTALL_PREFIX=/usr to have the libraries where Debian has
# its own (lib/x86_64-linux-gnu).

set(hotcold_deb "libhotcold0.${PROJECT_VERSION_MINOR}")
# No address of the project's is known; whoever distributes packages names their own.
set(HOTCOLD_MAINTAINER "hotcold authors <hotcold@users.invalid>" CACHE STRING
  "Who answers for the Debian packages: Name <address>")

set(CPACK_PACKAGE_NAME hotcold)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_CONTACT "${HOTCOLD_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "embedded key-value store in two tiers")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL runtime development)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(hotcold_deb_words "A bounded hot tier in memory and a persistent, compressed and checksummed
cold tier in a directory, behind one C interface.")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "${hotcold_deb_words}

This package has the shared library.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "${hotcold_deb_words}

This package has the C and C++ headers, the static library, and what CMake
and pkg-config look for.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME "${hotcold_deb}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
# Our own shlibs and triggers: what CPack generates calls ldconfig in a script.
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/debian/shlibs"
  "libhotcold 0.${PROJECT_VERSION_MINOR} ${hotcold_deb} (>= ${PROJECT_VERSION})\n")
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/debian/triggers" "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA "${CMAKE_CURRENT_BINARY_DIR}/debian/shlibs"
  "${CMAKE_CURRENT_BINARY_DIR}/debian/triggers")
if(HOTCOLD_BUILD_REMOTE)
  set(hotcold_remote_deb "libhotcold-remote0.${PROJECT_VERSION_MINOR}")
  list(APPEND CPACK_COMPONENTS_ALL remote)
  set(CPACK_COMPONENT_REMOTE_DESCRIPTION "${hotcold_deb_words}

This package has the library for Redis clusters and S3 buckets as the cold tier.")
  set(CPACK_DEBIAN_REMOTE_PACKAGE_NAME "${hotcold_remote_deb}")
  set(CPACK_DEBIAN_REMOTE_PACKAGE_SECTION libs)
  set(CPACK_DEBIAN_REMOTE_PACKAGE_SHLIBDEPS ON)
  file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/debian-remote/shlibs"
    "libhotcold-remote 0.${PROJECT_VERSION_MINOR} ${hotcold_remote_deb} (>= ${PROJECT_VERSION})\n")
  file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/debian-remote/triggers" "activate-noawait ldconfig\n")
  set(CPACK_DEBIAN_REMOTE_PACKAGE_CONTROL_EXTRA
    "${CMAKE_CURRENT_BINARY_DIR}/debian-remote/shlibs"
    "${CMAKE_CURRENT_BINARY_DIR}/debian-remote/triggers")
endif()
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libhotcold-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "${hotcold_deb} (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")

# What each Debian package must have, and nobody else: installed by component only.
string(TIMESTAMP hotcold_deb_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(packaging/debian/changelog.in changelog.Debian @ONLY)
execute_process(COMMAND gzip -9nf "${CMAKE_CURRENT_BINARY_DIR}/changelog.Debian")
if(EXISTS "${CMAKE_CURRENT_BINARY_DIR}/changelog.Debian.gz")
  set(hotcold_deb_parts "runtime;${hotcold_deb}" "development;libhotcold-dev")
  if(HOTCOLD_BUILD_REMOTE)
    list(APPEND hotcold_deb_parts "remote;${hotcold_remote_deb}")
  endif()
  # Each part is a pair, so that they are taken in twos.
  while(hotcold_deb_parts)
    list(POP_FRONT hotcold_deb_parts component package)
    install(FILES packaging/debian/copyright "${CMAKE_CURRENT_BINARY_DIR}/changelog.Debian.gz"
      DESTINATION "share/doc/${package}" COMPONENT ${component} EXCLUDE_FROM_ALL)
  endwhile()
endif()

include(CPack)
