#pragma once
#include <cstdint>
#include <filesystem>

#include "train/config.h"

namespace refrag::train {

/// Lays out, in `directory`, the bundle that a run begins with: the parts of a bundle or of Hugging Face checkpoints as
/// they are, and random weights (by the config's seed) for what is new. There is all of it or nothing after a crash.
/// Throws kInvalidArgument where a new part is there already, or is asked for without what it needs.
void make_start_bundle(const TrainConfig& config, const std::filesystem::path& directory);

}  // namespace refrag::train
