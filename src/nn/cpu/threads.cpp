// Compiled with OpenMP's flag, without which libtorch's own at::parallel_for runs in one thread: it is a template.
#include "nn/cpu/threads.h"

#include <omp.h>

#include <cstdlib>

namespace refrag::nn {

void run_threads(int threads, const std::function<void(int number)>& work) {
  if (threads <= 1 || omp_in_parallel() != 0) {
    for (int number = 0; number < threads; ++number) work(number);
    return;
  }
  // The whole team, always: libgomp ends workers and starts others where num_threads changes from call to call.
#pragma omp parallel
  for (int number = omp_get_thread_num(); number < threads; number += omp_get_num_threads()) work(number);
}

void release_threads() {
  // With libgomp's own bound, waiting threads keep processors from working ones for milliseconds (base/openmp_spin.c):
  // only where somebody set how they wait.
  const bool is_bounded = std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr;
  if (is_bounded) omp_pause_resource(omp_pause_soft, omp_get_initial_device());
}

}  // namespace refrag::nn
