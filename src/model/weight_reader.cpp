#include "model/weight_reader.h"

#include <ATen/ATen.h>

#include <array>
#include <span>
#include <utility>

#include "base/hash.h"
#include "base/message.h"
#include "model/tensor_text.h"
#include "refrag/error.h"

namespace refrag {
namespace {

// TensorFlow's names, which the first converted BERT checkpoints kept.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kOldNames = {
    {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}}};

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

}  // namespace

WeightReader::WeightReader(Checkpoint checkpoint, const at::TensorOptions& options,
                           const std::vector<std::string>& prefixes, const std::string& probe, nn::WeightLayout layout)
    : checkpoint_(std::move(checkpoint)), options_(options), layout_(layout) {
  for (const std::string& prefix : prefixes) {
    if (checkpoint_.has(prefix + probe)) {
      prefix_ = prefix;
      return;
    }
  }
}

std::string WeightReader::stored_name(const std::string& name) const {
  const std::string today = prefix_ + name;
  if (!checkpoint_.has(today)) {
    for (const auto& [ending, old_ending] : kOldNames) {
      if (today.ends_with(ending)) {
        std::string old = today.substr(0, today.size() - ending.size()).append(old_ending);
        if (checkpoint_.has(old)) {
          return old;
        }
      }
    }
  }
  return today;
}

bool WeightReader::has(const std::string& name) const { return checkpoint_.has(stored_name(name)); }

WeightReader::MatrixSize WeightReader::matrix_size(const std::string& name) const {
  const std::string stored = stored_name(name);
  const std::vector<std::int64_t>& shape = checkpoint_.entry(stored).shape;
  if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0) {
    throw Error(ErrorCode::kCorrupt, message(checkpoint_.file_of(stored), ": tensor \"", stored, "\" has shape ",
                                             shape_text(shape), "; expected two dimensions"));
  }
  return {static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
}

at::Tensor WeightReader::tensor(const std::string& name, const std::vector<std::int64_t>& shape) {
  const std::string stored = stored_name(name);
  taken_[name] = stored;
  // A copy: the mapped file may be replaced or cut short while the model serves.
  return checkpoint_.weight(stored, shape).to(options_, /*non_blocking=*/false, /*copy=*/true);
}

at::Tensor WeightReader::table(const std::string& name, std::size_t rows, std::size_t width) {
  return tensor(name, {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(width)});
}

nn::Linear WeightReader::linear(const std::string& name, std::size_t outputs, std::size_t inputs) {
  at::Tensor weight = table(name + ".weight", outputs, inputs);
  nn::Linear linear{std::move(weight), tensor(name + ".bias", {static_cast<std::int64_t>(outputs)})};
  linear.lay_out(layout_);
  return linear;
}

nn::LayerNorm WeightReader::norm(const std::string& name, std::size_t width, double eps) {
  const auto columns = static_cast<std::int64_t>(width);
  return {tensor(name + ".weight", {columns}), tensor(name + ".bias", {columns}), eps};
}

std::string WeightReader::identity() const {
  Sha256 hash;
  for (const auto& [name, stored] : taken_) {
    const at::Tensor values = checkpoint_.tensor(stored).to(at::kFloat).contiguous();
    hash.add_field(name).add_field(shape_text(values.sizes())).add(bytes_of(values));
  }
  return hash.hex();
}

}  // namespace refrag
