#pragma once
#include <filesystem>

#include "base/json_reader.h"
#include "train/adamw.h"

namespace refrag::train {

/// A run's checkpoint: one safetensors file with the optimizer's state and, as bytes of JSON in the tensor "progress",
/// where the run is. One file, written aside and renamed: after a crash there is the old one or the new one.
void write_checkpoint(const std::filesystem::path& file, const AdamW& optimizer, const Json& progress);

/// Puts what a checkpoint holds in place and returns its progress. Throws kCorrupt naming a tensor that is missing or
/// of another shape, or that has no place.
Json read_checkpoint(const std::filesystem::path& file, AdamW& optimizer);

}  // namespace refrag::train
