# kernel_suite makes real activity and compares what waggle says of it with what was
# done; tests/kernel/run starts it. It runs as root, so it is no test of ctest's.
if(WAGGLE_SANITIZE)
  return()
endif()
file(GLOB suite_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/kernel/suite/*.cc)
add_executable(kernel_suite ${suite_sources})
target_link_libraries(kernel_suite PRIVATE waggle_base Threads::Threads)
add_dependencies(kernel_suite waggle)
