#include "train/draw.h"

#include <bit>
#include <cmath>
#include <numeric>

namespace refrag::train {
namespace {

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;

/// A Feistel network over numbers of 2 * half_bits bits.
std::uint64_t permute(std::uint64_t n, unsigned half_bits, std::uint64_t key) {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t left = n >> half_bits;
  std::uint64_t right = n & mask;
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::uint64_t next = left ^ (mix(right + mix(key + round * kGolden)) & mask);
    left = right;
    right = next;
  }
  return left << half_bits | right;
}

}  // namespace

Draw::Draw(std::initializer_list<std::uint64_t> purpose) : state_(0) {
  for (const std::uint64_t number : purpose) state_ = mix(state_ + kGolden + number);
}

std::uint64_t Draw::next() {
  state_ += kGolden;
  return mix(state_);
}

std::uint64_t Draw::below(std::uint64_t bound) { return next() % bound; }

double Draw::unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

double Draw::gumbel() { return -std::log(-std::log((static_cast<double>(next() >> 11) + 0.5) * 0x1p-53)); }

std::vector<std::size_t> Draw::sample(std::size_t size, std::size_t count) {
  std::vector<std::size_t> items(size);
  std::iota(items.begin(), items.end(), std::size_t{0});
  shuffle(items);
  if (count < size) items.resize(count);
  return items;
}

std::uint64_t shuffled(std::uint64_t n, std::uint64_t size, std::uint64_t key) {
  const auto bits = static_cast<unsigned>(std::bit_width(size > 1 ? size - 1 : 1));
  const unsigned half_bits = (bits + 1) / 2;
  do {  // at most a few turns on average: the network's numbers are less than four times as many
    n = permute(n, half_bits, key);
  } while (n >= size);
  return n;
}

}  // namespace refrag::train
