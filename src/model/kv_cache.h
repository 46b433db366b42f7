#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace refrag {

/// Keys and values of one sequence: a contiguous slab a layer, written in place, grown by doubling. For serving: no
/// gradients pass through it. Not thread-safe.
class KvCache {
 public:
  struct Shape {
    std::int64_t num_layers = 0;
    std::int64_t num_kv_heads = 0;  // G
    std::int64_t head_dim = 0;      // h
  };
  /// Room for `capacity` positions from the start, which saves copies while it grows.
  KvCache(const Shape& shape, const at::TensorOptions& options, std::int64_t capacity = 0);
  KvCache(KvCache&&) noexcept = default;
  KvCache& operator=(KvCache&&) noexcept = default;
  KvCache(const KvCache&) = delete;  // copies of tensors would share their slabs
  KvCache& operator=(const KvCache&) = delete;

  std::int64_t length() const { return length_; }  // positions that are kept
  std::int64_t capacity() const { return capacity_; }
  std::size_t bytes() const;  // of all slabs

  /// Forgets all positions from `length` on, which is at most length().
  void truncate(std::int64_t length);
  void reserve(std::int64_t positions);

  struct View {
    at::Tensor keys;  // [G, length() + T, h]
    at::Tensor values;
  };
  /// Writes keys and values ([G, T, h]) of T new positions of one layer behind length() and shows that layer's whole
  /// past. `advance` makes the positions count once every layer has written its own: a step that fails between leaves
  /// the cache as it was.
  View write(std::size_t layer, const at::Tensor& keys, const at::Tensor& values);
  void advance(std::int64_t positions) { length_ += positions; }

 private:
  std::vector<at::Tensor> slabs_;  // a layer: [2, G, capacity, h], keys first
  std::int64_t length_ = 0;
  std::int64_t capacity_ = 0;
};

}  // namespace refrag
