// Compiled with OpenMP's flag, without which libtorch's own at::parallel_for runs in one thread: it is a template.
#include "nn/cpu/threads.h"

#include <omp.h>

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

}  // namespace refrag::nn
