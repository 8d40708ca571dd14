# The code in the documentation: complete programs are built and run, shell sessions are run and
# compared with what the page says they print.
if(SOMA_SANITIZE)
  return()  # Slow there, and the tests go the same ways.
endif()
file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/*.md ${PROJECT_SOURCE_DIR}/docs/*.md
     ${PROJECT_SOURCE_DIR}/docs/*/*.md)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${pages})
set(folder ${CMAKE_CURRENT_BINARY_DIR}/docs)
execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/doc_code programs ${folder}/programs ${pages}
                COMMAND_ERROR_IS_FATAL ANY)
file(GLOB programs ${folder}/programs/*.cc)
foreach(program IN LISTS programs)
  get_filename_component(name ${program} NAME_WE)
  add_executable(soma_doc_${name} ${program})
  target_link_libraries(soma_doc_${name} PRIVATE soma::soma)
  add_test(NAME docs/${name} COMMAND soma_doc_${name} WORKING_DIRECTORY ${folder})
endforeach()

if(TARGET soma_cli)
  foreach(page IN LISTS pages)
    file(STRINGS ${page} consoles REGEX "^```console$")
    if(NOT consoles)
      continue()
    endif()
    get_filename_component(name ${page} NAME_WE)
    set(session ${folder}/session_${name})
    file(MAKE_DIRECTORY ${session})
    add_test(NAME docs/session_${name}
             COMMAND ${PROJECT_SOURCE_DIR}/tools/doc_code session ${page}
             WORKING_DIRECTORY ${session})
    set_tests_properties(docs/session_${name} PROPERTIES ENVIRONMENT_MODIFICATION
                         "PATH=path_list_prepend:$<TARGET_FILE_DIR:soma_cli>")
  endforeach()
endif()
