# Adding an activation function or an optimizer touches one place. The rows that docs/how-to adds by
# example are appended to copies of the registries' files; nothing else changes, and the program
# uses them in every way there is.
set(folder ${CMAKE_CURRENT_BINARY_DIR}/places)
function(add_row registry page macro)
  file(READ ${PROJECT_SOURCE_DIR}/include/soma/${registry} rows)
  file(STRINGS ${PROJECT_SOURCE_DIR}/docs/how-to/${page} row REGEX "^ *${macro}\\(")
  string(REPLACE "\\;" ";" row "${row}")  # file(STRINGS) protects semicolons
  # Behind the last row, in front of what undefines the macros.
  string(FIND "${rows}" "// clang-format on" end)
  string(SUBSTRING "${rows}" 0 ${end} before)
  string(SUBSTRING "${rows}" ${end} -1 after)
  file(CONFIGURE OUTPUT ${folder}/soma/${registry} CONTENT "${before}${row}\n${after}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
               ${PROJECT_SOURCE_DIR}/include/soma/${registry}
               ${PROJECT_SOURCE_DIR}/docs/how-to/${page})
endfunction()
add_row(activations.def add-an-activation.md SOMA_ACTIVATION)
add_row(optimizers.def add-an-optimizer.md SOMA_OPTIMIZER)

# The sources that hold the two tables, built with the longer registries, come before the library's.
add_executable(soma_test_one_place ${CMAKE_CURRENT_SOURCE_DIR}/places/one_place.cc
               ${PROJECT_SOURCE_DIR}/src/nn/activations.cc ${PROJECT_SOURCE_DIR}/src/optim/optimizers.cc)
target_include_directories(soma_test_one_place BEFORE PRIVATE ${folder})
target_link_libraries(soma_test_one_place PRIVATE soma::soma soma_flags)
add_test(NAME one_place COMMAND soma_test_one_place)
