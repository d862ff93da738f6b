# Writes version.cc at build time, and only when it changes:
#   cmake -D SOURCE=... -D OUTPUT=... -D VERSION=... -D BUILD_TYPE=... -D COMPILER=... -P version.cmake
set(COMMIT unknown)
if(NOT BUILD_TYPE STREQUAL "Debug")
  execute_process(COMMAND git describe --always --dirty --exclude=* --abbrev=12
    WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE result ERROR_QUIET)
  if(result EQUAL 0 AND commit)
    set(COMMIT ${commit})
  endif()
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/version.cc.in ${OUTPUT} @ONLY)
