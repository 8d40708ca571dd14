# Includes go down the pipeline only; and the check itself finds one that does not.
add_test(NAME layers COMMAND ${PROJECT_SOURCE_DIR}/tools/check_layers)
