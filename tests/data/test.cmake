# With zlib the tests make gzip files themselves; without it they check what its absence says.
if(SOMA_ZLIB)
  find_package(ZLIB REQUIRED)
  target_link_libraries(soma_test_data PRIVATE ZLIB::ZLIB)
  target_compile_definitions(soma_test_data PRIVATE SOMA_ZLIB)
endif()
if(SOMA_IMAGES)
  target_compile_definitions(soma_test_data PRIVATE SOMA_IMAGES)
endif()
