#pragma once
#include <functional>

namespace refrag::nn {

/// Runs `work(number)` for 0 to threads - 1 and waits for all. `threads` is how many pieces of work there are: OpenMP's
/// threads share them, however many those are; where one of them comes here itself its pieces run one after another.
/// `work` must not throw.
void run_threads(int threads, const std::function<void(int number)>& work);

/// Ends the threads that OpenMP keeps for the one that calls, until it computes again. libgomp counts them: while more
/// are kept than there are processors, all of them sleep after each piece of work, and waking them takes an eighth of
/// a token's time. Does nothing unless GOMP_SPINCOUNT or OMP_WAIT_POLICY say how threads wait.
void release_threads();

}  // namespace refrag::nn
