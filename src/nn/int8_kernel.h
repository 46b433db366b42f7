#pragma once
#include <cstddef>
#include <cstdint>

namespace refrag::nn {

/// So many weights of an output, one behind the other, share a scale. Columns come in multiples of it, filled up with
/// zeros.
constexpr std::int64_t kInt8Group = 64;

/// A matrix of int8 with scales. All contiguous.
struct Int8Weights {
  const std::int8_t* values = nullptr;    // [outputs, columns], -127 to 127
  const std::uint16_t* scales = nullptr;  // [outputs, columns / kInt8Group], the bits of bf16 numbers
  std::int64_t outputs = 0;
  std::int64_t columns = 0;
};

/// products = rows · weightsᵀ, each row multiplied by its scale. All contiguous.
struct Int8Product {
  Int8Weights weights;
  const std::int16_t* rows = nullptr;  // [num_rows, columns], -32767 to 32767
  const float* row_scales = nullptr;   // [num_rows]
  float* products = nullptr;           // [num_rows, outputs]
  std::int64_t num_rows = 0;
};

enum class Instructions { kPlain, kAvx2, kAvx512Vnni };
/// The best that this processor has, whatever libtorch was told to use: nothing of ATen is included here.
Instructions int8_instructions();

/// Fills `products` in so many parts, which OpenMP's threads share. Sums of a group are whole numbers, which fp32 holds
/// exactly with AVX-512 alone; those of groups are fp32. The processor must have the instructions.
void multiply_int8(const Int8Product& product, int threads, Instructions instructions = int8_instructions());

/// Weights of the outputs `first` to `last` (exclusive), of the first `inputs` columns, as numbers: [last - first,
/// inputs], fp32 or the bits of bf16. More than one thread: all of OpenMP's.
void widen_int8(const Int8Weights& weights, std::int64_t first, std::int64_t last, std::int64_t inputs, float* wide,
                int threads);
void widen_int8(const Int8Weights& weights, std::int64_t first, std::int64_t last, std::int64_t inputs,
                std::uint16_t* wide, int threads);

}  // namespace refrag::nn
