# The tests run the real program and read its JSON.
find_package(nlohmann_json REQUIRED)
target_link_libraries(soma_test_cli PRIVATE nlohmann_json::nlohmann_json)
if(TARGET soma_cli)
  add_dependencies(soma_test_cli soma_cli)
  target_compile_definitions(soma_test_cli PRIVATE SOMA_PROGRAM="$<TARGET_FILE:soma_cli>")
endif()
