# The installed package: headers, libraries, find_package(vexorstore), pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(VEXOR_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/vexorstore)
install(TARGETS vexorstore EXPORT vexorstoreTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET vexor_git2)
  install(TARGETS vexor_git2 EXPORT vexorstoreTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY libvexorstore/include/vexorstore DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT vexorstoreTargets NAMESPACE vexor:: DESTINATION ${VEXOR_PACKAGE_DIR})
configure_package_config_file(cmake/vexorstoreConfig.cmake.in ${PROJECT_BINARY_DIR}/vexorstoreConfig.cmake
  INSTALL_DESTINATION ${VEXOR_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vexorstoreConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(cmake/vexorstore.pc.in ${PROJECT_BINARY_DIR}/vexorstore.pc.in @ONLY)
# The prefix may still be chosen at install time.
install(CODE "
  file(READ \"${PROJECT_BINARY_DIR}/vexorstore.pc.in\" text)
  get_filename_component(prefix \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
  string(REGEX REPLACE \"^prefix=[^\\n]*\" \"prefix=\${prefix}\" text \"\${text}\")
  file(WRITE \"${PROJECT_BINARY_DIR}/vexorstore.pc\" \"\${text}\")")
install(FILES ${PROJECT_BINARY_DIR}/vexorstore.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_BINARY_DIR}/vexorstoreConfig.cmake ${PROJECT_BINARY_DIR}/vexorstoreConfigVersion.cmake
  DESTINATION ${VEXOR_PACKAGE_DIR})
