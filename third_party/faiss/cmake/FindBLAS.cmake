# The one BLAS function that faiss's flat and inverted-file indexes need is in the engine
# (engine/src/knn/blas.rs).
set(BLAS_FOUND TRUE)
set(BLAS_LIBRARIES "")
