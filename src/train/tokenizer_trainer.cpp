#include "train/tokenizer_trainer.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/files.h"
#include "base/message.h"
#include "refrag/error.h"
#include "text/chunker.h"
#include "train/config.h"
#include "train/draw.h"

namespace refrag::train {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxSentenceBytes = 1 << 14;

/// `most` of the lines that it is shown, each with the same chance, in bounded memory.
class LineSample {
 public:
  LineSample(std::size_t most, std::uint64_t seed) : most_(most), draw_({seed}) {}

  void add(std::string line) {
    ++seen_;
    if (lines_.size() < most_) {
      lines_.push_back(std::move(line));
    } else if (const std::uint64_t place = draw_.below(seen_); place < most_) {
      lines_[place] = std::move(line);
    }
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::size_t most_;
  Draw draw_;
  std::uint64_t seen_ = 0;
  std::vector<std::string> lines_;
};

void add_lines(LineSample& sample, const std::string& text) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin && end - begin <= kMaxSentenceBytes) sample.add(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

void run_program(const std::vector<std::string>& arguments) {
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "refrag-spm-train";
  if (!fs::exists(program)) {
    throw Error(ErrorCode::kNotFound, message(program.string(), " is missing; expected it beside refrag"));
  }
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};  // exec's argv is not const for old reasons
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, program.c_str(), nullptr, nullptr, argv.data(), environ);
  if (failed != 0) {
    throw Error(ErrorCode::kIo, message(program.string(), " could not be started: ", std::strerror(failed)));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error(ErrorCode::kInternal,
                "SentencePiece's trainer failed; it says why above. A smaller vocab_size may help");
  }
}

}  // namespace

TokenizerConfig read_tokenizer_config(const fs::path& file, const std::vector<std::string>& overrides) {
  const Json value = read_config_json(file, overrides);
  JsonReader json(value);
  json.ignore("comment");
  json.ignore("stage");
  TokenizerConfig config;
  config.out = json.text("out");
  if (config.out.empty()) json.fail("out", "a directory");
  JsonReader data = json.object("data");
  for (const std::string& path : data.texts("text")) config.text.emplace_back(path);
  if (config.text.empty()) data.fail("text", "at least one file");
  data.finish();
  config.vocab_size = json.integer("vocab_size", 300, 1 << 20);
  config.unigram = json.one_of("model", {"bpe", "unigram"}, 0) == 1;
  config.max_sentences = json.integer("max_sentences", config.max_sentences, 1, 1 << 30);
  config.seed = static_cast<std::uint64_t>(json.integer("seed", 1, 0, std::numeric_limits<std::int64_t>::max()));
  config.threads = json.integer("threads", 1, 1, 1024);
  json.finish();
  for (const fs::path& path : config.text) {
    if (!fs::exists(path)) {
      throw Error(ErrorCode::kNotFound, message("data.text: ", path.string(), " does not exist"), "data.text");
    }
  }
  return config;
}

void train_tokenizer(const TokenizerConfig& config, const OnPrepared& on_prepared) {
  fs::create_directories(config.out);
  LineSample sample(static_cast<std::size_t>(config.max_sentences), config.seed);
  std::uint64_t texts = 0;
  for_each_text(config.text, [&](const std::string& text) {
    add_lines(sample, normalize_document_text(text));
    if (on_prepared) on_prepared(++texts);
  });
  const fs::path sentences = config.out / "sentences.txt.tmp";
  {
    std::ofstream out(sentences);
    for (const std::string& line : sample.lines()) out << line << '\n';
    out.close();
    if (!out) throw Error(ErrorCode::kIo, message(sentences.string(), ": could not be written; is the disk full?"));
  }
  const fs::path unfinished = config.out / "unfinished";
  run_program({"input=" + sentences.string(), "model_prefix=" + unfinished.string(),
               message("vocab_size=", config.vocab_size), message("model_type=", config.unigram ? "unigram" : "bpe"),
               message("num_threads=", config.threads), message("max_sentence_length=", kMaxSentenceBytes),
               "byte_fallback=true", "split_digits=true", "normalization_rule_name=identity", "add_dummy_prefix=false",
               "remove_extra_whitespaces=false", "user_defined_symbols=\n", "unk_id=0", "bos_id=1", "eos_id=2",
               "pad_id=3", "character_coverage=0.9995", "minloglevel=2"});
  const Json special = {
      {"add_bos_token", true}, {"add_eos_token", false}, {"bos_token", "<s>"}, {"eos_token", "</s>"},
      {"pad_token", "<pad>"},  {"unk_token", "<unk>"},   {"legacy", false},    {"tokenizer_class", "LlamaTokenizer"}};
  write_file_atomic(config.out / "tokenizer_config.json", special.dump(1) + "\n");
  write_file_atomic(config.out / "tokenizer.model", read_file(unfinished.string() + ".model"));
  for (const char* ending : {".model", ".vocab"}) fs::remove(unfinished.string() + ending);
  fs::remove(sentences);
}

}  // namespace refrag::train
