# What `cmake --install` installs, and how find_package(soma) finds it: soma::core is the graph,
# gradients, plans, layers and optimizers; soma::soma adds data, training, model files and drawings.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Every folder of src/ is a library of its own; a consumer names only the two above.
get_property(targets DIRECTORY src PROPERTY BUILDSYSTEM_TARGETS)
foreach(target IN LISTS targets)
  get_target_property(type ${target} TYPE)
  if(NOT type MATCHES "STATIC_LIBRARY|INTERFACE_LIBRARY")
    continue()
  endif()
  string(REGEX REPLACE "^soma_" "" short ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${short})
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  install(TARGETS ${target} EXPORT somaTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/soma DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/soma)
install(EXPORT somaTargets NAMESPACE soma:: DESTINATION ${package})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/somaConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/somaConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/somaConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/somaConfig.cmake ${PROJECT_BINARY_DIR}/somaConfigVersion.cmake
        DESTINATION ${package})
