# hotcold_program(NAME SOURCE [LIBRARY]): a C99 program with POSIX, linked with hotcold::hotcold or
# LIBRARY, at the warnings that examples and tests must be clean at.

find_package(Threads REQUIRED)

set(hotcold_warnings -Wall -Wextra -Wpedantic)
if(HOTCOLD_WARNINGS_AS_ERRORS)
  list(APPEND hotcold_warnings -Werror)
endif()

function(hotcold_program name source)
  set(library hotcold::hotcold)
  if(ARGC GREATER 2)
    set(library ${ARGV2})
  endif()
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE ${library} Threads::Threads)
  target_compile_options(${name} PRIVATE ${hotcold_warnings})
  set_target_properties(${name} PROPERTIES
    C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    CXX_STANDARD 11 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
endfunction()
