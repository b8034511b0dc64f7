/* Read before each source file of faiss on Windows: its functions are neither exported from the
 * library that they are linked into, nor imported from a library of their own. An exported function
 * would also be kept, with everything that it calls, where nothing calls it. */
#if defined(__cplusplus) && __has_include(<faiss/impl/platform_macros.h>)
#include <faiss/impl/platform_macros.h>
#undef FAISS_API
#define FAISS_API
#endif
