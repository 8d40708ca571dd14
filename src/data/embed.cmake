# Small tables become part of the library: a header with their texts as string literals.
foreach(table iris penguins sunspots)
  set(file ${PROJECT_SOURCE_DIR}/data/${table}.csv)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  string(TOUPPER ${table} name)
  file(READ ${file} ${name}_CSV)
endforeach()
configure_file(data/embedded.h.in ${PROJECT_BINARY_DIR}/generated/data/embedded.h @ONLY)
target_include_directories(soma_data PRIVATE ${PROJECT_BINARY_DIR}/generated)
