# conformance_script runs the cases of tests/conformance/script with any executable that is
# called like bpftrace; the programs that cases trace are built beside it, without
# optimisation: so that every function, argument and loop of their source is there.
if(WAGGLE_SANITIZE)
  return()
endif()
set(conformance ${CMAKE_SOURCE_DIR}/tests/conformance/script)
file(GLOB runner_sources CONFIGURE_DEPENDS ${conformance}/runner/*.cc)
add_executable(conformance_script ${runner_sources})
target_link_libraries(conformance_script PRIVATE waggle_base waggle_kernel Threads::Threads)

file(GLOB program_sources CONFIGURE_DEPENDS ${conformance}/programs/*.c ${conformance}/programs/*.cc)
foreach(source ${program_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(script_${name} ${source})
  set_target_properties(script_${name} PROPERTIES OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/conformance)
  target_compile_options(script_${name} PRIVATE -O0 -g -Wno-unused -Wno-unused-parameter -fno-inline)
  target_link_options(script_${name} PRIVATE -rdynamic)
  add_dependencies(conformance_script script_${name})
endforeach()
