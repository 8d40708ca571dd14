# What the library and the program need at run time. The core is linked whole into one program, so
# that nothing it might need is missed.
add_executable(soma_whole_core ${CMAKE_CURRENT_SOURCE_DIR}/dependencies/empty.cc)
target_link_libraries(soma_whole_core PRIVATE -Wl,--whole-archive soma::core -Wl,--no-whole-archive)
set(programs core=$<TARGET_FILE:soma_whole_core>)
if(TARGET soma_cli)
  list(APPEND programs cli=$<TARGET_FILE:soma_cli>)
endif()
add_test(NAME dependencies
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/dependencies/check.sh ${programs})
