#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

#include "model/bundle_layout.h"
#include "model/bundle_spec.h"
#include "model/model_options.h"
#include "model/parts.h"

namespace refrag {

/// Loads the parts of a bundle one after another. What fails goes to `on_problem`: loading throws it on, inspecting
/// notes it and goes on with the other parts.
class BundleLoader {
 public:
  using OnProblem = std::function<void(const Error&)>;
  /// `options`: dtype and device of decoder and encoders. On the device `meta` everything is checked and nothing kept.
  BundleLoader(const BundleLayout& layout, const BundleSpec& spec, const at::TensorOptions& options,
               OnProblem on_problem, const PartLayouts& weights = {});

  std::unique_ptr<ModelBundle::Parts> load();

 private:
  void attempt(const std::string& part, const std::function<void()>& load) const;
  void load_decoder();
  void load_encoder();
  void load_search();
  std::shared_ptr<const ChunkEncoder> load_chunk_encoder() const;
  void check_fit() const;
  void identify();

  const BundleLayout& layout_;
  const BundleSpec& spec_;
  at::TensorOptions options_;
  PartLayouts weights_;
  OnProblem on_problem_;
  std::unique_ptr<ModelBundle::Parts> parts_;
};

}  // namespace refrag
