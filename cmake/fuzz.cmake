# Every src/<folder>/**/<name>_fuzz.cc becomes the program <name>_fuzz, linked with its
# folder and so with what that folder may see; the target `fuzz` builds them all.
# Seeds, and inputs that once failed, are in tests/fuzz/<name>/.
add_custom_target(fuzz)
file(GLOB_RECURSE fuzz_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*_fuzz.cc)
foreach(source ${fuzz_sources})
  get_filename_component(name ${source} NAME_WE)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR}/src ${source})
  string(REGEX REPLACE "/.*" "" folder ${folder})
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE waggle_${folder} -fsanitize=fuzzer)
  add_dependencies(fuzz ${name})
endforeach()
