#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace refrag::train {

/// The curves of runs' logs (log.jsonl) as one SVG picture: loss, learning rate, gradient norm, tokens a second, and of
/// the policy its rewards beside those of the other rules; one line a log, named after its folder.
/// Throws kCorrupt for a file that holds no step of a log.
std::string plot_logs(const std::vector<std::filesystem::path>& logs);

}  // namespace refrag::train
