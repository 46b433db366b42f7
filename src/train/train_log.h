#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/json_reader.h"

namespace refrag::train {

/// A run's log: one JSON object a line, each with the number of its step.
class TrainLog {
 public:
  /// Goes on behind the lines of steps up to `keep_through`: what a run that died wrote after its last checkpoint is
  /// dropped, since those steps come again. 0: begins anew.
  TrainLog(const std::filesystem::path& file, std::uint64_t keep_through);
  void write(const Json& line);

 private:
  std::ofstream out_;
  std::string name_;
};

}  // namespace refrag::train
