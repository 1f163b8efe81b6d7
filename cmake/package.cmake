# What an installation holds, and the Debian package made of it. Completions and the
# manual page are written by the executable itself, when it is installed.
include(GNUInstallDirs)
set(package_dir ${CMAKE_BINARY_DIR}/package)
set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc/waggle)

install(CODE "
  file(MAKE_DIRECTORY \"${package_dir}\")
  foreach(page \"completion bash\" \"completion zsh\" \"completion fish\" man)
    string(REPLACE \" \" \";\" verb \"\${page}\")
    string(REPLACE \" \" \".\" file \"\${page}\")
    execute_process(COMMAND \"$<TARGET_FILE:waggle>\" \${verb}
      OUTPUT_FILE \"${package_dir}/\${file}\" COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
  # -n: the same bytes whenever it is built
  execute_process(COMMAND gzip -9nf \"${package_dir}/man\" COMMAND_ERROR_IS_FATAL ANY)")
install(TARGETS waggle RUNTIME)
install(FILES ${package_dir}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME waggle)
install(FILES ${package_dir}/completion.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _waggle)
install(FILES ${package_dir}/completion.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME waggle.fish)
install(FILES ${package_dir}/man.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 RENAME waggle.1.gz)
install(FILES packaging/copyright DESTINATION ${doc_dir})
install(FILES README.md DESTINATION ${doc_dir} OPTIONAL)
install(DIRECTORY scripts DESTINATION ${CMAKE_INSTALL_DATADIR}/waggle USE_SOURCE_PERMISSIONS FILES_MATCHING PATTERN "*.bt")
install(DIRECTORY docs/guide docs/reference DESTINATION ${doc_dir} OPTIONAL FILES_MATCHING PATTERN "*.md")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME waggle)
set(CPACK_PACKAGE_CONTACT "The waggle authors <waggle@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "eBPF observability in one binary")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "waggle shows what the kernel and every program on a Linux host do: metrics,
events, traces, profiles, network and security, without a code change and
without a restart. It needs Linux 5.10 or later with BTF; it needs no kernel
headers, no compiler and no Python.")
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
include(CPack)
