# data/iris.csv becomes part of the library: a header with its text as a string literal.
set(iris_csv ${PROJECT_SOURCE_DIR}/data/iris.csv)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${iris_csv})
file(READ ${iris_csv} IRIS_CSV)
configure_file(data/iris_csv.h.in ${PROJECT_BINARY_DIR}/generated/data/iris_csv.h @ONLY)
target_include_directories(soma_data PRIVATE ${PROJECT_BINARY_DIR}/generated)
