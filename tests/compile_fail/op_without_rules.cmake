# Puts a registry with one op more in front of the real one: every file with a table over the ops
# must refuse to compile, and does compile with the real registry.
file(READ ${source}/include/soma/ops.def registry)
file(WRITE ${folder}/soma/ops.def "${registry}\nSOMA_OP(unheard_of, 1, map, 0, NoAttr)\n")
foreach(table IN ITEMS src/ad/rules.cc src/ir/infer.cc src/ir/graph.cc)
  set(compile -std=c++20 -Wall -Werror -fsyntax-only -I ${source}/include -I ${source}
              ${source}/${table})
  execute_process(COMMAND ${compiler} ${compile} RESULT_VARIABLE result ERROR_VARIABLE messages)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${table} does not compile:\n${messages}")
  endif()
  execute_process(COMMAND ${compiler} -I ${folder} ${compile} RESULT_VARIABLE result
                  OUTPUT_QUIET ERROR_QUIET)
  if(result EQUAL 0)
    message(FATAL_ERROR "${table} compiles although an op has no row in its table")
  endif()
endforeach()
