# Programs that must not compile. Each file compiles as it stands and must stop to, with a message
# that matches its "// expect:" line, when SOMA_WRONG is defined.
file(GLOB wrong_programs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/*.cc)
foreach(program IN LISTS wrong_programs)
  get_filename_component(name ${program} NAME_WE)
  add_test(NAME compile_fail/${name}
           COMMAND ${CMAKE_COMMAND} -D compiler=${CMAKE_CXX_COMPILER} -D program=${program}
                   -D source=${PROJECT_SOURCE_DIR}
                   -P ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/must_not_compile.cmake)
endforeach()

# An op without its rows in the tables does not compile: the registry is the one list.
add_test(NAME compile_fail/op_without_rules
         COMMAND ${CMAKE_COMMAND} -D compiler=${CMAKE_CXX_COMPILER} -D source=${PROJECT_SOURCE_DIR}
                 -D folder=${CMAKE_CURRENT_BINARY_DIR}/op_without_rules
                 -P ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/op_without_rules.cmake)
