#include "model/bundle_layout.h"

#include "base/message.h"

namespace refrag {

namespace fs = std::filesystem;

BundleLayout BundleLayout::find(const fs::path& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    throw Error(ErrorCode::kNotFound, message(directory.string(), ": no such directory; expected a model"), "model");
  }
  if (fs::exists(directory / "refrag.json", error)) {
    return {directory, false};
  }
  if (fs::exists(directory / "config.json", error)) {
    return {directory, true};
  }
  throw Error(ErrorCode::kNotFound,
              message(directory.string(),
                      ": neither refrag.json nor config.json in it; expected a bundle or a Hugging "
                      "Face LlamaForCausalLM"),
              "model");
}

bool BundleLayout::is_there(const fs::path& part) {
  std::error_code error;
  return fs::exists(part, error) || error;
}

BundleSpec BundleLayout::read_spec() const {
  if (!is_plain_) {
    return read_bundle_spec(spec());
  }
  BundleSpec spec;
  const fs::path whole = fs::weakly_canonical(root_);
  spec.name = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  return spec;
}

}  // namespace refrag
