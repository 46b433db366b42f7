#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "refrag/error.h"

namespace refrag::testing {

/// Makes hostile inputs out of good ones: bytes flipped, cut, repeated, replaced by extremes, spliced from other seeds.
/// The same seed number gives the same inputs on every machine (mt19937_64, no library distributions).
class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::uint64_t number) : seeds_(std::move(seeds)), random_(number) {}

  std::string next() {
    std::string input = pick(seeds_);
    for (std::size_t i = 1 + below(4); i > 0; --i) {
      mutate(input);
    }
    return input;
  }

 private:
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : static_cast<std::size_t>(random_() % limit); }
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  void mutate(std::string& input) {
    static const std::vector<std::string> kExtremes = {std::string(1, '\0'),
                                                       "\xff",
                                                       "\xff\xff\xff\xff\xff\xff\xff\xff",
                                                       "\xc0\x80",
                                                       "\xed\xa0\x80",
                                                       "\xe2\x82",
                                                       "-1",
                                                       "0",
                                                       "9223372036854775807",
                                                       "18446744073709551616",
                                                       "1e999",
                                                       "\"",
                                                       "{",
                                                       "}",
                                                       "[",
                                                       "]",
                                                       "\\",
                                                       "\n"};
    const std::size_t at = below(input.size() + 1);
    const std::size_t length = below(std::min<std::size_t>(input.size() - at, 64) + 1);
    switch (below(7)) {
      case 0:
        if (at < input.size()) {
          input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        }
        break;
      case 1:
        input.resize(at);
        break;
      case 2:
        input.erase(at, length);
        break;
      case 3:
        input.insert(at, input.substr(at, length));
        break;
      case 4:
        input.insert(at, pick(kExtremes));
        break;
      case 5:
        input.replace(at, length, pick(kExtremes));
        break;
      default: {
        const std::string& other = pick(seeds_);
        const std::size_t from = below(other.size() + 1);
        input.replace(at, length, other.substr(from, below(64)));
      }
    }
  }

  std::vector<std::string> seeds_;
  std::mt19937_64 random_;
};

inline std::uint64_t fuzz_setting(const char* name, std::uint64_t fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : std::strtoull(value, nullptr, 10);
}

inline std::uint64_t fuzz_rounds() { return fuzz_setting("REFRAG_FUZZ_ROUNDS", 2000); }

/// Calls `take` with every seed as it is and with REFRAG_FUZZ_ROUNDS mutations (2000 unless set), for at most
/// REFRAG_FUZZ_SECONDS (60); REFRAG_FUZZ_SEED picks other inputs. `take` may throw refrag::Error and nothing else.
inline void fuzz(const std::vector<std::string>& seeds, const std::function<void(const std::string&)>& take,
                 std::uint64_t rounds = fuzz_rounds()) {
  ASSERT_FALSE(seeds.empty());
  const std::chrono::seconds seconds(fuzz_setting("REFRAG_FUZZ_SECONDS", 60));
  const auto start = std::chrono::steady_clock::now();
  Mutator mutator(seeds, fuzz_setting("REFRAG_FUZZ_SEED", 1));
  for (std::uint64_t round = 0; round < seeds.size() + rounds; ++round) {
    const std::string input = round < seeds.size() ? seeds[round] : mutator.next();
    try {
      take(input);
    } catch (const Error&) {
      // Refused by name: what hostile input deserves.
    } catch (const std::exception& other) {
      FAIL() << "round " << round << " threw " << other.what() << " for " << ::testing::PrintToString(input);
    }
    if (std::chrono::steady_clock::now() - start > seconds) {
      break;
    }
  }
}

}  // namespace refrag::testing
