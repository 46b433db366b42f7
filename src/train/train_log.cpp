#include "train/train_log.h"

#include <sstream>

#include "base/files.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag::train {
namespace {

std::string kept_lines(const std::filesystem::path& file, std::uint64_t keep_through) {
  std::string kept;
  std::istringstream in(std::filesystem::exists(file) ? read_file(file) : "");
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool is_whole = json.is_object() && json.value("step", Json()).is_number_unsigned();  // else a kill cut it
    if (!is_whole) continue;
    // A step's evaluation comes behind its checkpoint, and so comes again.
    const std::uint64_t last = json.contains("evaluation") ? keep_through - 1 : keep_through;
    if (json["step"].get<std::uint64_t>() <= last) kept += line + '\n';
  }
  return kept;
}

}  // namespace

TrainLog::TrainLog(const std::filesystem::path& file, std::uint64_t keep_through) : name_(file.string()) {
  write_file_atomic(file, keep_through > 0 ? kept_lines(file, keep_through) : "");
  out_.open(file, std::ios::app);
}

void TrainLog::write(const Json& line) {
  out_ << line.dump() << std::endl;
  if (!out_) throw Error(ErrorCode::kIo, message(name_, ": could not be written; is the disk full?"));
}

}  // namespace refrag::train
