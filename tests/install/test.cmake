# Installs into a fresh folder, then builds and runs a program that finds Soma with find_package.
add_test(NAME install
         COMMAND ${CMAKE_COMMAND} -D build=${PROJECT_BINARY_DIR} -D generator=${CMAKE_GENERATOR}
                 -D consumer=${CMAKE_CURRENT_SOURCE_DIR}/install/consumer
                 -D folder=${CMAKE_CURRENT_BINARY_DIR}/install "-Dflags=${CMAKE_CXX_FLAGS}"
                 -D compiler=${CMAKE_CXX_COMPILER}
                 -P ${CMAKE_CURRENT_SOURCE_DIR}/install/install.cmake)
