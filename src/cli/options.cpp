#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/message.h"

namespace refrag::cli {
namespace {

constexpr std::initializer_list<Dtype> kDtypes = {Dtype::kAuto, Dtype::kFp32, Dtype::kBf16, Dtype::kInt8};

template <typename Number>
std::optional<Number> whole_as(const std::string& text) {
  Number number{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

MetadataValue metadata_value(const std::string& text) {
  if (text == "true" || text == "false") {
    return text == "true";
  }
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    return text.substr(1, text.size() - 2);
  }
  if (const auto whole = whole_as<std::int64_t>(text)) {
    return *whole;
  }
  if (const auto number = whole_as<double>(text)) {
    return *number;
  }
  return text;
}

template <typename Enum>
Enum parse_word(const std::string& word, const char* flag, std::initializer_list<Enum> values) {
  std::string expected;
  for (const Enum value : values) {
    if (word == name_of(value)) {
      return value;
    }
    expected += expected.empty() ? name_of(value) : std::string(", ") + name_of(value);
  }
  throw Error(ErrorCode::kInvalidArgument, message(flag, " is '", word, "'; expected one of ", expected), flag);
}

RetrieveMode parse_retrieve_mode(const std::string& word) {
  return parse_word(word, "--retrieve", {RetrieveMode::kHybrid, RetrieveMode::kDense, RetrieveMode::kLexical});
}

}  // namespace

void ModelFlags::declare(CLI::App& command) {
  command.add_option("--model", directory, "model bundle, or a Hugging Face LLaMA directory")->required();
  command.add_option("--threads", threads, "threads of one model operation; 0: one a physical core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      .add_option(
          "--dtype", dtype,
          "what the model computes in; auto: bf16 or fp32, whichever is faster here; int8: the decoder's weights "
          "in 8 bits, for less memory and faster answers")
      ->check(CLI::IsMember(dtype_words()))
      ->capture_default_str();
  command.add_option("--device", device, "where the model runs")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
}

std::shared_ptr<const ModelBundle> ModelFlags::load(Use use) const {
  ModelOptions options;
  options.dtype = parse_dtype(dtype);
  options.device = device == "cuda" ? Device::kCuda : Device::kCpu;
  options.threads = threads;
  options.lazy_decoder = use == Use::kNoDecoder;
  return ModelBundle::load(directory, options);
}

void RetrieveFlags::declare(CLI::App& command) {
  command.add_option("--top-k", top_k, "passages to retrieve")->check(CLI::Range(0, 256))->capture_default_str();
  command.add_option("--retrieve", mode, "hybrid, dense or lexical; default: what the model is fit for")
      ->check(CLI::IsMember({"hybrid", "dense", "lexical"}));
  command.add_option("--filter", filter, "KEY=VALUE that a document's metadata must have; may be repeated");
  command.add_option("--min-score", min_score, "leave out passages that score lower")->capture_default_str();
}

RetrieveOptions RetrieveFlags::options() const {
  RetrieveOptions options;
  options.top_k = top_k;
  if (!mode.empty()) {
    options.mode = parse_retrieve_mode(mode);
  }
  options.filter = parse_filter(filter);
  options.min_score = min_score;
  return options;
}

std::vector<std::string> dtype_words() {
  std::vector<std::string> words;
  for (const Dtype dtype : kDtypes) words.emplace_back(name_of(dtype));
  return words;
}

Dtype parse_dtype(const std::string& word) { return parse_word(word, "--dtype", kDtypes); }

Mode parse_mode(const std::string& word) {
  return parse_word(word, "--mode", {Mode::kRefrag, Mode::kFull, Mode::kNone});
}

ExpandBy parse_expand_by(const std::string& word) {
  return parse_word(word, "--by",
                    {ExpandBy::kPolicy, ExpandBy::kRandom, ExpandBy::kFirst, ExpandBy::kSimilarity, ExpandBy::kIds});
}

Metadata parse_filter(const std::vector<std::string>& pairs) {
  Metadata filter;
  for (const std::string& pair : pairs) {
    const std::size_t cut = pair.find('=');
    if (cut == std::string::npos || cut == 0) {
      throw Error(ErrorCode::kInvalidArgument, message("--filter is '", pair, "'; expected KEY=VALUE"), "--filter");
    }
    filter[pair.substr(0, cut)] = metadata_value(pair.substr(cut + 1));
  }
  return filter;
}

std::shared_ptr<KnowledgeBase> open_knowledge_base(const std::string& directory) {
  if (!KnowledgeBase::exists(directory)) {
    throw Error(ErrorCode::kNotFound,
                message(directory, " is not a knowledge base; make one with: refrag index --model DIR --kb ", directory,
                        " PATH..."),
                "--kb");
  }
  return KnowledgeBase::open(directory);
}

}  // namespace refrag::cli
