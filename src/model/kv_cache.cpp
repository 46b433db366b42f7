#include "model/kv_cache.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cassert>

namespace refrag {
namespace {

constexpr std::int64_t kLeastCapacity = 32;

/// An ordinary tensor, also where the caller is in inference mode: it may be written inside and outside of it.
at::Tensor empty_slab(at::IntArrayRef shape, const at::TensorOptions& options) {
  const c10::InferenceMode off(false);
  return at::empty(shape, options);
}

}  // namespace

KvCache::KvCache(const Shape& shape, const at::TensorOptions& options, std::int64_t capacity)
    : capacity_(std::max(capacity, kLeastCapacity)) {
  for (std::int64_t layer = 0; layer < shape.num_layers; ++layer) {
    slabs_.push_back(empty_slab({2, shape.num_kv_heads, capacity_, shape.head_dim}, options));
  }
}

std::size_t KvCache::bytes() const {
  std::size_t sum = 0;
  for (const at::Tensor& slab : slabs_) {
    sum += slab.nbytes();
  }
  return sum;
}

void KvCache::truncate(std::int64_t length) {
  assert(length >= 0 && length <= length_);
  length_ = length;
}

void KvCache::reserve(std::int64_t positions) {
  if (positions <= capacity_) {
    return;
  }
  const std::int64_t capacity = std::max(positions, 2 * capacity_);
  for (at::Tensor& slab : slabs_) {  // one after another: at most one layer is held twice
    at::Tensor larger = empty_slab({2, slab.size(1), capacity, slab.size(3)}, slab.options());
    larger.narrow(2, 0, length_).copy_(slab.narrow(2, 0, length_));
    slab = std::move(larger);
  }
  capacity_ = capacity;
}

KvCache::View KvCache::write(std::size_t layer, const at::Tensor& keys, const at::Tensor& values) {
  const std::int64_t rows = keys.size(1);
  reserve(length_ + rows);
  const at::Tensor& slab = slabs_[layer];
  slab[0].narrow(1, length_, rows).copy_(keys);
  slab[1].narrow(1, length_, rows).copy_(values);
  return {slab[0].narrow(1, 0, length_ + rows), slab[1].narrow(1, 0, length_ + rows)};
}

}  // namespace refrag
