# Reads ONNX's protocol buffers with protozero (headers only).
find_path(PROTOZERO_INCLUDE_DIR protozero/pbf_reader.hpp REQUIRED)
file(GLOB onnx_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/onnx/*.cc)
list(FILTER onnx_sources EXCLUDE REGEX "_test\\.cc$")
target_sources(soma_test_onnx PRIVATE ${onnx_sources})
target_include_directories(soma_test_onnx SYSTEM PRIVATE ${PROTOZERO_INCLUDE_DIR})
