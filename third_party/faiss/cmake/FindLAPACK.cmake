# Nothing of faiss that is compiled here (see ../toolchain.cmake) calls LAPACK.
set(LAPACK_FOUND TRUE)
set(LAPACK_LIBRARIES "")
