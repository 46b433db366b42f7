#pragma once
#include <cstddef>
#include <cstdint>

namespace refrag::nn {

/// So many weights of an output, one behind the other, share a scale. Columns come in multiples of it, filled up with
/// zeros.
constexpr std::int64_t kInt8Group = 64;
/// So many outputs stand side by side: of each pair of columns, the weights of all of them. A vector of sums is then of
/// outputs, needs no adding up across, and takes a scale once a group. Outputs are filled up with zeros as well.
constexpr std::int64_t kInt8Block = 32;

/// A matrix of int8 with scales. All contiguous.
struct Int8Weights {
  const std::int8_t* values = nullptr;    // [blocks, columns / 2, kInt8Block, 2], -127 to 127
  const std::uint16_t* scales = nullptr;  // [blocks, columns / kInt8Group, kInt8Block], the bits of bf16 numbers
  std::int64_t outputs = 0;               // without those that fill up
  std::int64_t columns = 0;

  std::int64_t blocks() const { return (outputs + kInt8Block - 1) / kInt8Block; }
};

/// Numbers in memory: fp32, or the bits of bf16.
enum class Numbers { kFp32, kBf16 };

/// Rows of numbers in 16 bits, each with a scale.
struct Int16Rows {
  const std::int16_t* values = nullptr;  // [count, columns], -32767 to 32767
  const float* scales = nullptr;         // [count]
  std::int64_t count = 0;
};

enum class Instructions { kPlain, kAvx2, kAvx512Vnni };
/// The best that this processor has, whatever libtorch was told to use: nothing of ATen is included here.
Instructions int8_instructions();

/// Rounds rows of `inputs` numbers each, one after another, to values that are `columns` apart and to scales. A row
/// that holds what is not finite gets such a scale. The processor must have the instructions.
void round_rows(const void* rows, Numbers numbers, std::int64_t count, std::int64_t inputs, std::int64_t columns,
                std::int16_t* values, float* scales, int threads, Instructions instructions = int8_instructions());

/// products = rows · weightsᵀ, [count, outputs] in `numbers`, in so many pieces at least, which OpenMP's threads share.
/// Sums of a group are whole numbers, those of groups fp32. The processor must have the instructions.
void multiply_int8(const Int8Weights& weights, const Int16Rows& rows, void* products, Numbers numbers, int threads,
                   Instructions instructions = int8_instructions());

}  // namespace refrag::nn
