#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace refrag::train {

/// Random numbers that are a function of what they are for: a run that goes on from a checkpoint draws as if it had
/// never stopped, with no generator's state to keep, and every standard library draws alike (splitmix64).
class Draw {
 public:
  /// For example {seed, step}: each list gives a sequence of its own.
  Draw(std::initializer_list<std::uint64_t> purpose);

  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound);  // 0 to bound - 1; bound at least 1
  double unit();                             // 0 to 1, exclusive
  double within(double least, double most) { return least + unit() * (most - least); }
  double gumbel();  // -log(-log(u))
  bool chance(double share) { return unit() < share; }
  template <typename Item>
  void shuffle(std::vector<Item>& items) {
    for (std::size_t n = items.size(); n > 1; --n) std::swap(items[n - 1], items[below(n)]);
  }
  /// `count` of 0 to `size` - 1, each at most once, in random order; all of them where there are no more.
  std::vector<std::size_t> sample(std::size_t size, std::size_t count);

 private:
  std::uint64_t state_;
};

/// The number at place `n` of the numbers 0 to size - 1 in the shuffled order of `key`: a permutation that needs no
/// memory, so that data of any size is shuffled as a whole and any place of it can be gone on from.
std::uint64_t shuffled(std::uint64_t n, std::uint64_t size, std::uint64_t key);

}  // namespace refrag::train
