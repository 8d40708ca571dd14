# Random graphs and texts come from rapidcheck, the same ones in every run of ctest.
find_package(rapidcheck REQUIRED)
target_link_libraries(soma_test_ir PRIVATE rapidcheck)
set_tests_properties(ir PROPERTIES ENVIRONMENT "RC_PARAMS=seed=1")
