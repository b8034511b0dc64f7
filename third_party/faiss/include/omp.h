/* OpenMP's functions for one thread.
 *
 * faiss calls these also where it is compiled without OpenMP. With the real library it would
 * start a pool of threads inside the host; a search here runs on the thread that asks. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

typedef int omp_lock_t;

static inline int omp_get_max_threads(void) { return 1; }
static inline int omp_get_num_threads(void) { return 1; }
static inline int omp_get_thread_num(void) { return 0; }
static inline int omp_get_nested(void) { return 0; }
static inline int omp_in_parallel(void) { return 0; }
static inline void omp_set_nested(int nested) { (void)nested; }
static inline void omp_set_num_threads(int threads) { (void)threads; }
static inline void omp_init_lock(omp_lock_t* lock) { *lock = 0; }
static inline void omp_destroy_lock(omp_lock_t* lock) { *lock = 0; }
static inline void omp_set_lock(omp_lock_t* lock) { *lock = 1; }
static inline void omp_unset_lock(omp_lock_t* lock) { *lock = 0; }

#ifdef __cplusplus
}
#endif
