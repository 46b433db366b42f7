/* jemalloc reads this symbol when the program starts. With decay off it keeps freed pages: glibc's malloc gives large
 * tensors back to the kernel at each free, and the page faults made operations 10 to 30 times slower.
 *
 * Freed neighbours grow together, so any size must be cut from whatever is kept (2^63: no limit). By default jemalloc
 * leaves what is over 64 times as large as the request alone and takes new pages, which never go back: training, whose
 * tensors differ from step to step, grew by 5 to 15 MB a step. */
__attribute__((visibility("default"))) const char* malloc_conf =
    "dirty_decay_ms:-1,muzzy_decay_ms:-1,retain:true,lg_extent_max_active_fit:63";
