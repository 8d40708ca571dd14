# cmake -D build=… -D consumer=… -D folder=… -P install.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nfailed:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${folder})
run(${CMAKE_COMMAND} --install ${build} --prefix ${folder}/soma)
run(${CMAKE_COMMAND} -S ${consumer} -B ${folder}/build -G ${generator}
    -D CMAKE_PREFIX_PATH=${folder}/soma -D CMAKE_CXX_COMPILER=${compiler} -D CMAKE_CXX_FLAGS=${flags})
run(${CMAKE_COMMAND} --build ${folder}/build)
run(${folder}/build/consumer)
