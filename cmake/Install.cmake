# `make install`: the program, and Arrow's libraries in a folder of their own beside it, because no
# distribution ships this version of Arrow.
if(NOT Arrow_FOUND AND TARGET bulkhaul)
  include(GNUInstallDirs)
  set(private_folder lib/bulkhaul)
  set_target_properties(bulkhaul PROPERTIES INSTALL_RPATH "$ORIGIN/../${private_folder}")
  install(TARGETS bulkhaul RUNTIME DESTINATION bin COMPONENT bulkhaul)
  install(FILES
    ${BULKHAUL_PYARROW_DIR}/libarrow.so.2600
    ${BULKHAUL_PYARROW_DIR}/libarrow_compute.so.2600
    ${BULKHAUL_PYARROW_DIR}/libparquet.so.2600
    DESTINATION ${private_folder} COMPONENT bulkhaul)
elseif(TARGET bulkhaul)
  install(TARGETS bulkhaul RUNTIME DESTINATION bin COMPONENT bulkhaul)
endif()
