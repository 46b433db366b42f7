#include "cli/eval_rows.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "base/message.h"
#include "cli/terminal.h"
#include "engine/model_runner.h"
#include "refrag/error.h"

namespace refrag::cli {
namespace {

template <typename Enum>
std::vector<std::string> words_of(const std::vector<Enum>& values) {
  std::vector<std::string> words;
  words.reserve(values.size());
  for (const Enum value : values) {
    words.emplace_back(name_of(value));
  }
  return words;
}

/// The values of words that CLI11 has checked.
template <typename Enum>
std::vector<Enum> values_of(const std::vector<std::string>& words, const std::vector<Enum>& values) {
  std::vector<Enum> result;
  for (const std::string& word : words) {
    for (const Enum value : values) {
      if (word == name_of(value)) {
        result.push_back(value);
      }
    }
  }
  return result;
}

}  // namespace

void RowFlags::declare(CLI::App& command) {
  command_ = &command;
  auto* modes = command
                    .add_option("--modes", modes_,
                                "none: no context; last: its last tokens, as many as the compressed context has "
                                "positions; refrag; full")
                    ->delimiter(',')
                    ->check(CLI::IsMember(words_of(all_eval_modes())))
                    ->capture_default_str();
  auto* expand = command.add_option("--expand", expand_, "shares of the chunks to expand, mode refrag")
                     ->delimiter(',')
                     ->check(CLI::Range(0.0, 1.0))
                     ->capture_default_str();
  auto* by = command.add_option("--by", by_, "who picks them")
                 ->delimiter(',')
                 ->check(CLI::IsMember(words_of(all_eval_rules())))
                 ->capture_default_str();
  command.add_flag("--all-rows", all_, "every mode and rule, expanding 0, 5, 10, 25, 50 and 100 %")
      ->excludes(modes, expand, by);
  command.add_option("--seed", seed, "of what is drawn")->capture_default_str();
  command.add_option("--resamples", resamples, "of the bootstrap that makes the 95 % intervals; 0: no intervals")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  command.add_option("--plot", plot, "write the table as a picture too, an SVG file");
  command.add_flag("--quiet", quiet, "no progress bar");
}

void RowFlags::check() const {
  if (plot.empty()) {
    return;
  }
  const std::filesystem::path file(plot);
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (!std::filesystem::is_directory(folder)) {  // told now rather than after the evaluation
    throw Error(ErrorCode::kNotFound, message("--plot is ", plot, "; there is no directory ", folder.string()),
                "--plot");
  }
  if (std::filesystem::is_directory(file)) {
    throw Error(ErrorCode::kInvalidArgument, message("--plot is ", plot, ", a directory; expected a file"), "--plot");
  }
}

bool RowFlags::is_given(const char* flag) const { return command_ != nullptr && command_->count(flag) > 0; }

std::vector<EvalSetting> RowFlags::settings() const {
  if (all_) {
    return make_settings(all_eval_modes(), {0, 0.05, 0.1, 0.25, 0.5, 1}, all_eval_rules());
  }
  return make_settings(values_of(modes_, all_eval_modes()), expand_, values_of(by_, all_eval_rules()));
}

RowChoice RowFlags::choose(const ModelInfo& model) const {
  RowChoice choice;
  for (const EvalSetting& setting : settings()) {
    const std::string lacks = what_lacks(setting, model);
    if (lacks.empty()) {
      choice.settings.push_back(setting);
      continue;
    }
    const std::string reason = message("the model ", model.name, " has no ", lacks);
    const char* flag = model.chunk_size == 0 ? "--modes" : "--by";
    if (is_given(flag)) {
      throw Error(ErrorCode::kUnsupported, message("row '", label_of(setting), "': ", reason), flag);
    }
    choice.left_out.push_back({label_of(setting), reason});
  }
  return choice;
}

void print_left_out(const RowChoice& choice) {
  for (const RowLeftOut& row : choice.left_out) {
    std::cerr << "row left out: " << row.label << ": " << printable(row.reason) << '\n';
  }
}

Json left_out_json(const RowChoice& choice) {
  Json rows = Json::array();
  for (const RowLeftOut& row : choice.left_out) {
    rows.push_back({{"row", row.label}, {"reason", row.reason}});
  }
  return rows;
}

Json setting_json(const EvalSetting& setting) {
  Json json = {{"mode", name_of(setting.mode)}};
  if (setting.mode == EvalMode::kRefrag) {
    json["expand"] = setting.expand;
    json["by"] = name_of(setting.by);
  }
  return json;
}

}  // namespace refrag::cli
