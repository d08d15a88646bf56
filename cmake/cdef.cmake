# Writes OUT: the header IN without directives and comments, by the preprocessor of the compiler CC.
#
# The includes go first, because otherwise the system's headers would be in it too; readers know
# the types of stdint.h and stddef.h.
file(READ "${IN}" text)
string(REGEX REPLACE "\n#include[^\n]*" "" text "${text}")
file(WRITE "${OUT}.in" "${text}")
execute_process(COMMAND "${CC}" -E -P -x c "${OUT}.in" OUTPUT_VARIABLE text RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the preprocessor failed on ${IN}")
endif()
file(WRITE "${OUT}" "${text}")
file(REMOVE "${OUT}.in")
