#pragma once
#include <functional>

namespace refrag::nn {

/// Runs `work(number)` in so many of OpenMP's threads, 0 to threads - 1, and waits for all; where one of them asks for
/// threads itself it gets them one after another. `work` must not throw.
void run_threads(int threads, const std::function<void(int number)>& work);

}  // namespace refrag::nn
