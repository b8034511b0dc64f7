# How the faiss inside the faiss-sys crate is compiled: named by CMAKE_TOOLCHAIN_FILE in
# .cargo/config.toml, so that the crate's own build stays in charge and nothing is done by hand.
#
# Left to itself, that build links OpenMP, BLAS, LAPACK and the C++ library as shared ones. A
# plugin cannot bring them, and threads of OpenMP inside a host have cost tens of milliseconds
# a search. Here faiss is single-threaded, calls the engine's own `sgemm`, and needs nothing
# that is not in every Linux: `cargo xtask bundle` checks it.

# The target platform, if it is another one than this machine's. The `cmake` crate leaves it to a
# toolchain file; cargo tells build scripts both names.
if("$ENV{TARGET}" MATCHES "-windows-gnu$" AND NOT "$ENV{TARGET}" STREQUAL "$ENV{HOST}")
  set(CMAKE_SYSTEM_NAME Windows)
  string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "$ENV{TARGET}")
  string(REPLACE "-" "_" continuo_target "$ENV{TARGET}")
  set(CMAKE_C_COMPILER "$ENV{CC_${continuo_target}}")
  set(CMAKE_CXX_COMPILER "$ENV{CXX_${continuo_target}}")
endif()

list(PREPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}/cmake")
set(FAISS_ENABLE_EXTRAS OFF CACHE BOOL "" FORCE)
# Where the crate looks; some systems would say lib64.
set(CMAKE_INSTALL_LIBDIR lib CACHE STRING "" FORCE)
set(FAISS_ENABLE_MKL OFF CACHE BOOL "" FORCE)
# A name of our own: a host may have a BLAS loaded, and the loader must not mix them up.
add_compile_definitions(sgemm_=continuo_sgemm)

if(CMAKE_SYSTEM_NAME STREQUAL "Windows" OR CMAKE_HOST_WIN32)
  set(continuo_header "${CMAKE_CURRENT_LIST_DIR}/include/continuo_no_exports.h")
  if("$ENV{TARGET}" MATCHES "-msvc$")
    add_compile_options("/FI${continuo_header}")
    # The plugin brings Visual C++'s library; not every machine has it.
    set(CMAKE_MSVC_RUNTIME_LIBRARY "MultiThreaded")
  else()
    add_compile_options(-include "${continuo_header}" -ffunction-sections -fdata-sections)
  endif()
endif()

# What the exact and the inverted-file index need, of a hundred files: a minute instead of five.
set(CONTINUO_FAISS
  Clustering.cpp Index.cpp IndexFlat.cpp IndexFlatCodes.cpp IndexIVF.cpp IndexIVFFlat.cpp
  impl/AuxIndexStructures.cpp impl/CodePacker.cpp impl/FaissException.cpp impl/IDSelector.cpp
  invlists/BlockInvertedLists.cpp invlists/DirectMap.cpp invlists/InvertedLists.cpp
  utils/Heap.cpp utils/distances.cpp utils/distances_simd.cpp utils/extra_distances.cpp
  utils/hamming.cpp utils/partitioning.cpp utils/random.cpp utils/sorting.cpp utils/utils.cpp
  utils/distances_fused/avx512.cpp utils/distances_fused/distances_fused.cpp
  utils/distances_fused/simdlib_based.cpp)
set(CONTINUO_FAISS_C
  Clustering_c.cpp IndexFlat_c.cpp IndexIVFFlat_c.cpp IndexIVF_c.cpp Index_c.cpp error_impl.cpp
  impl/AuxIndexStructures_c.cpp utils/distances_c.cpp)

# Functions that nothing calls and that call what is not compiled here. Linkers for ELF leave such
# functions out. MinGW's keeps each for its unwind table, and misses what it calls; so they are
# taken out of the archives. If one of them were called after all, the link would fail.
set(CONTINUO_UNCALLED
  _ZN5faiss9matrix_qr _ZN5faiss24ProgressiveDimClustering5train
  _ZN5faiss12Clustering1D11train_exact BlockInvertedListsIOHook faiss_IndexRefineFlat_new
  refptr._ZTVN5faiss9PCAMatrixE refptr._ZTVN5faiss15LinearTransformE
  refptr._ZTVN5faiss19InvertedListsIOHookE)

function(continuo_adjust)
  # CMake reads this file more than once, and for little test projects of its own.
  if(NOT TARGET faiss_c OR TARGET gomp)
    return()
  endif()
  list(TRANSFORM CONTINUO_FAISS PREPEND "${CMAKE_SOURCE_DIR}/faiss/")
  set_property(TARGET faiss PROPERTY SOURCES ${CONTINUO_FAISS})
  list(TRANSFORM CONTINUO_FAISS_C PREPEND "${CMAKE_SOURCE_DIR}/c_api/")
  set_property(TARGET faiss_c PROPERTY SOURCES ${CONTINUO_FAISS_C})

  if(MINGW)
    list(TRANSFORM CONTINUO_UNCALLED REPLACE "(.+)" "--remove-section=*\\1*" OUTPUT_VARIABLE removed)
    # A target of its own, since commands after a build belong to the folder that names its target.
    add_custom_target(continuo_uncalled ALL VERBATIM
      COMMAND ${CMAKE_OBJCOPY} ${removed} "$<TARGET_FILE:faiss>"
      COMMAND ${CMAKE_OBJCOPY} ${removed} "$<TARGET_FILE:faiss_c>")
    add_dependencies(continuo_uncalled faiss faiss_c)
  endif()

  # The crate asks the linker for these. Ours lie in the folder that it is told to search, so
  # the system's, if it has any, are not found.
  file(WRITE "${CMAKE_BINARY_DIR}/nothing.cpp" "extern \"C\" void continuo_nothing() {}\n")
  foreach(library gomp blas lapack)
    add_library(${library} STATIC "${CMAKE_BINARY_DIR}/nothing.cpp")
    install(TARGETS ${library} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endforeach()
  if(CMAKE_COMPILER_IS_GNUCXX AND NOT APPLE)
    # The C++ library as an archive, found before the shared one.
    execute_process(
      COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.a
      OUTPUT_VARIABLE archive OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT EXISTS "${archive}")
      message(FATAL_ERROR "no libstdc++.a beside ${CMAKE_CXX_COMPILER}; on Debian it comes with g++")
    endif()
    file(REAL_PATH "${archive}" archive)
    install(FILES "${archive}" DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endfunction()
cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL continuo_adjust)
