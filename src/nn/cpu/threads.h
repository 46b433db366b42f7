#pragma once
#include <functional>

namespace refrag::nn {

/// Runs `work(number)` for 0 to threads - 1 and waits for all. `threads` is how many pieces of work there are: OpenMP's
/// threads share them, however many those are; where one of them comes here itself its pieces run one after another.
/// `work` must not throw.
void run_threads(int threads, const std::function<void(int number)>& work);

}  // namespace refrag::nn
