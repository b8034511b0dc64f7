# OpenMP as faiss asks for it: a header that says "one thread", and no library.
if(NOT TARGET OpenMP::OpenMP_CXX)
  add_library(OpenMP::OpenMP_CXX INTERFACE IMPORTED GLOBAL)
  target_include_directories(OpenMP::OpenMP_CXX INTERFACE "${CMAKE_CURRENT_LIST_DIR}/../include")
endif()
set(OpenMP_FOUND TRUE)
set(OpenMP_CXX_FOUND TRUE)
