#pragma once
#include <filesystem>

#include "model/bundle_spec.h"

namespace refrag {

/// Where the parts of a bundle lie. A plain Hugging Face directory is a bundle whose decoder is the directory itself.
class BundleLayout {
 public:
  /// Throws kNotFound where there is no directory, or neither refrag.json nor config.json in it.
  static BundleLayout find(const std::filesystem::path& directory);

  bool is_plain() const { return is_plain_; }
  /// Also true of what cannot be looked at: whoever then reads it says why. Never throws.
  static bool is_there(const std::filesystem::path& part);
  /// refrag.json; for a plain directory its defaults, with the directory's name.
  BundleSpec read_spec() const;

  std::filesystem::path spec() const { return root_ / "refrag.json"; }
  std::filesystem::path decoder() const { return is_plain_ ? root_ : root_ / "decoder"; }
  std::filesystem::path encoder() const { return root_ / "encoder"; }
  std::filesystem::path retriever() const { return root_ / "retriever"; }
  std::filesystem::path reranker() const { return root_ / "reranker"; }
  std::filesystem::path projector() const { return root_ / "projector.safetensors"; }
  std::filesystem::path policy() const { return root_ / "policy.safetensors"; }

 private:
  BundleLayout(std::filesystem::path root, bool is_plain) : root_(std::move(root)), is_plain_(is_plain) {}

  std::filesystem::path root_;
  bool is_plain_;
};

}  // namespace refrag
