# The tests make gzip files themselves.
find_package(ZLIB REQUIRED)
target_link_libraries(soma_test_data PRIVATE ZLIB::ZLIB)
