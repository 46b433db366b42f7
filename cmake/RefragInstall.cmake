# What `cmake --install` lays down: one shared library with only include/refrag exported, the two programs, the headers
# and a package for find_package(refrag). libtorch, FAISS and SQLite stay inside: an embedder links refrag::refrag alone.
include(CMakePackageConfigHelpers)

set(empty ${PROJECT_BINARY_DIR}/refrag_shared.cpp)
if(NOT EXISTS ${empty})
  file(WRITE ${empty} "")
endif()
add_library(refrag SHARED ${empty})
# Whole archives of the layers that hold public classes, or the linker would drop those that nothing inside the library
# calls. By file: CMake's own WHOLE_ARCHIVE feature repeats archives, and then their symbols are defined twice.
set(whole_archives base store model engine bundle_runner)
list(TRANSFORM whole_archives REPLACE "(.+)" "$<TARGET_FILE:refrag_\\1>")
target_link_libraries(refrag PRIVATE -Wl,--whole-archive ${whole_archives} -Wl,--no-whole-archive refrag_bundle_runner refrag_options)
# FAISS is a static archive built with default visibility.
target_link_options(refrag PRIVATE -Wl,--exclude-libs,libfaiss.a)
target_include_directories(refrag INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(refrag INTERFACE cxx_std_20)
set_target_properties(refrag PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

# The programs and the library find libtorch where it was at configure time, and librefrag beside themselves.
set_target_properties(refrag refrag_cli_program refrag_server_program PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${TORCH_INSTALL_PREFIX}/lib")

install(TARGETS refrag EXPORT refragTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS refrag_cli_program refrag_server_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/refrag DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/src/base/malloc_conf.c DESTINATION ${CMAKE_INSTALL_DATADIR}/refrag)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/refrag)
install(EXPORT refragTargets NAMESPACE refrag:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/refragConfig.cmake.in ${PROJECT_BINARY_DIR}/refragConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_DATADIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/refragConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/refragConfig.cmake ${PROJECT_BINARY_DIR}/refragConfigVersion.cmake DESTINATION ${package_dir})
