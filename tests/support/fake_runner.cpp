#include "support/fake_runner.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <set>
#include <sstream>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::testing {
namespace {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {  // splitmix64's finalizer over both
  std::uint64_t x = a * 0x9e3779b97f4a7c15ull + b + 0x632be59bd9b4e019ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

float unit(std::uint64_t hash) { return static_cast<float>(hash >> 40) / static_cast<float>(1u << 24); }  // [0, 1)

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = 7;
  for (const char c : text) hash = mix(hash, static_cast<unsigned char>(c));
  return hash;
}

Matrix count_words(const std::vector<std::string>& texts, std::size_t width) {
  Matrix result{texts.size(), width, std::vector<float>(texts.size() * width, 0.0f)};
  for (std::size_t n = 0; n < texts.size(); ++n) {
    float* row = result.values.data() + n * width;
    for (const std::string& word : words_of(texts[n])) row[hash_of(word) % width] += 1;
    float norm = 0;
    for (std::size_t i = 0; i < width; ++i) norm += row[i] * row[i];
    if (norm == 0) {
      row[0] = 1;
    } else {
      for (std::size_t i = 0; i < width; ++i) row[i] /= std::sqrt(norm);
    }
  }
  return result;
}

}  // namespace

FakeTokenizer::FakeTokenizer(std::vector<std::string> words) : words_(std::move(words)), identity_("fake-tokenizer") {
  std::stable_sort(words_.begin(), words_.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

Encoding FakeTokenizer::encode_pieces(const std::vector<TextPiece>& pieces) const {
  std::string text;
  std::vector<bool> parses;  // of each byte: whether a special token may stand there
  for (const TextPiece& piece : pieces) {
    text += piece.text;
    parses.resize(text.size(), piece.special == SpecialTokens::kParse);
  }
  Encoding result;
  std::size_t at = 0;
  const auto add = [&](TokenId id, std::size_t length) {
    result.ids.push_back(id);
    result.ranges.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + length)});
    at += length;
  };
  const auto special_here = [&]() -> std::optional<TokenId> {
    for (TokenId id = 0; id < kFirstByte; ++id) {
      const std::string spelling = token_of(id);
      if (text.compare(at, spelling.size(), spelling) != 0) continue;
      if (std::all_of(parses.begin() + static_cast<std::ptrdiff_t>(at),
                      parses.begin() + static_cast<std::ptrdiff_t>(at + spelling.size()), [](bool p) { return p; })) {
        return id;
      }
    }
    return std::nullopt;
  };
  const auto word_here = [&]() -> std::optional<TokenId> {
    for (std::size_t n = 0; n < words_.size(); ++n) {
      if (text.compare(at, words_[n].size(), words_[n]) == 0) return kFirstWord + static_cast<TokenId>(n);
    }
    return std::nullopt;
  };
  while (at < text.size()) {
    if (const auto special = special_here()) {
      add(*special, token_of(*special).size());
    } else if (const auto word = word_here()) {
      add(*word, bytes_of(*word).size());
    } else {
      add(kFirstByte + static_cast<unsigned char>(text[at]), 1);
    }
  }
  return result;
}

std::vector<TokenId> FakeTokenizer::encode_for_model(std::string_view text, SpecialTokens special) const {
  std::vector<TokenId> ids = encode_pieces({{std::string(text), special}}).ids;
  ids.insert(ids.begin(), kBos);
  return ids;
}

Tokenizer::Pair FakeTokenizer::encode_pair(std::string_view first, std::string_view second) const {
  Pair pair;
  pair.ids = encode_for_model(first, SpecialTokens::kAsText);
  pair.type_ids.assign(pair.ids.size(), 0);
  for (const TokenId id : encode_pieces({{std::string(second), SpecialTokens::kAsText}}).ids) {
    pair.ids.push_back(id);
    pair.type_ids.push_back(1);
  }
  return pair;
}

std::string FakeTokenizer::decode(const std::vector<TokenId>& ids, bool skip_special) const {
  std::string text;
  for (const TokenId id : ids) text += !is_special(id) ? bytes_of(id) : skip_special ? std::string() : token_of(id);
  return text;
}

std::string FakeTokenizer::bytes_of(TokenId id) const {
  if (id < kFirstByte) return {};
  if (id < kFirstWord) return std::string(1, static_cast<char>(id - kFirstByte));
  return words_.at(static_cast<std::size_t>(id - kFirstWord));
}

std::optional<TokenId> FakeTokenizer::id_of(std::string_view token) const {
  for (TokenId id = 0; id < static_cast<TokenId>(vocab_size()); ++id) {
    if (token_of(id) == token) return id;
  }
  return std::nullopt;
}

std::string FakeTokenizer::token_of(TokenId id) const {
  static const char* const kSpecial[] = {"<unk>", "<s>", "</s>", "<pad>"};
  return is_special(id) ? kSpecial[id] : bytes_of(id);
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void Gate::open() {
  const std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

void Gate::wait_for_arrival() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return standing_ > 0; });
}

void Gate::pass() {
  std::unique_lock lock(mutex_);
  if (!closed_) return;
  ++standing_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !closed_; });
  --standing_;
}

FakeRunner::FakeRunner(FakeModel model) : model_(std::move(model)) {
  const auto tokenizer = std::make_shared<FakeTokenizer>();
  if (model_.answer) answer_ids_ = tokenizer->encode_pieces({{*model_.answer, SpecialTokens::kAsText}}).ids;
  info_.name = model_.name;
  info_.chunk_size = model_.chunk_size;
  info_.chunk_width = model_.chunk_width;
  info_.decoder_width = model_.decoder_width;
  info_.passage_width = model_.passage_width;
  info_.vocab_size = model_.vocab_size.value_or(tokenizer->vocab_size());
  info_.context_length = model_.context_length;
  info_.eos_ids = {FakeTokenizer::kEos};
  info_.kv_bytes_per_position = 64;
  info_.has_policy = model_.has_policy;
  info_.has_reranker = model_.has_reranker;
  info_.default_retrieve = model_.default_retrieve;
  info_.passage_tokens = 64;
  info_.prompt = model_.prompt;
  info_.tokenizer = tokenizer;
  info_.chat_template = model_.chat_template;
  info_.schema.identities = {"chunks-of-" + model_.name, "passages-of-" + model_.name};
  info_.schema.chunk_size = model_.chunk_size;
  info_.schema.chunk_width = model_.chunk_size > 0 ? model_.chunk_width : 0;
  info_.schema.passage_width = model_.passage_width;
  info_.schema.model_name = model_.name;
  info_.schema.identity_note = message(R"({"chunks":{"encoder":")", model_.name, R"(","chunk_size":)",
                                       model_.chunk_size, R"(},"passages":{"retriever":")", model_.name, R"("}})");
}

Matrix FakeRunner::encode_chunks(const std::vector<std::vector<TokenId>>& chunks) const {
  encode_gate_.pass();
  {
    const std::lock_guard lock(mutex_);
    if (!fail_encode_.empty()) throw Error(ErrorCode::kInternal, std::exchange(fail_encode_, {}));
    encoded_chunks_ += chunks.size();
  }
  Matrix result{chunks.size(), model_.chunk_width, {}};
  for (const std::vector<TokenId>& chunk : chunks) {
    std::uint64_t hash = chunk.size();
    for (const TokenId id : chunk) hash = mix(hash, static_cast<std::uint64_t>(id));
    for (std::size_t i = 0; i < model_.chunk_width; ++i) result.values.push_back(2 * unit(mix(hash, i)) - 1);
  }
  return result;
}

Matrix FakeRunner::project(const Matrix& chunk_vectors) const {
  Matrix result{chunk_vectors.rows, model_.decoder_width, {}};
  for (std::size_t n = 0; n < chunk_vectors.rows; ++n) {
    const auto row = chunk_vectors.row(n);
    for (std::size_t j = 0; j < model_.decoder_width; ++j) {
      float sum = 0;
      for (std::size_t i = 0; i < row.size(); ++i) sum += row[i] * (unit(mix(i, j)) - 0.5f);
      result.values.push_back(sum);
    }
  }
  return result;
}

std::vector<float> FakeRunner::score_chunks(const Matrix& question, const Matrix& context, const Matrix*) const {
  std::vector<float> scores(context.rows, 0.0f);
  for (std::size_t n = 0; n < context.rows; ++n) {
    for (std::size_t q = 0; q < question.rows; ++q) {
      for (std::size_t i = 0; i < context.width; ++i) scores[n] += context.row(n)[i] * question.row(q)[i];
    }
  }
  return scores;
}

Matrix FakeRunner::embed_queries(const std::vector<std::string>& texts) const {
  return count_words(texts, model_.passage_width);
}

Matrix FakeRunner::embed_passages(const std::vector<std::string>& texts) const {
  return count_words(texts, model_.passage_width);
}

std::vector<float> FakeRunner::rerank(const std::string& query, const std::vector<std::string>& texts) const {
  if (!model_.has_reranker) throw Error(ErrorCode::kUnsupported, "the fake model has no reranker");
  const std::vector<std::string> asked = words_of(query);
  std::vector<float> scores;
  for (const std::string& text : texts) {
    const std::vector<std::string> words = words_of(text);
    const std::set<std::string> known(words.begin(), words.end());
    scores.push_back(static_cast<float>(
        std::count_if(asked.begin(), asked.end(), [&](const std::string& word) { return known.count(word) > 0; })));
  }
  return scores;
}

SequenceId FakeRunner::open_sequence(std::size_t) {
  const std::lock_guard lock(mutex_);
  if (!fail_open_.empty()) throw Error(ErrorCode::kInternal, std::exchange(fail_open_, {}));
  sequences_[next_sequence_] = {};
  return next_sequence_++;
}

void FakeRunner::close_sequence(SequenceId sequence) {
  const std::lock_guard lock(mutex_);
  if (sequences_.erase(sequence) == 0) {
    throw Error(ErrorCode::kInternal, message("sequence ", sequence, " is not open"));
  }
}

std::vector<Matrix> FakeRunner::step(std::span<const StepInput> inputs) {
  step_gate_.pass();
  const std::lock_guard lock(mutex_);
  if (!fail_step_.empty()) throw Error(ErrorCode::kInternal, std::exchange(fail_step_, {}));
  std::vector<Matrix> results;
  std::vector<FakeStepShare> shares;
  for (const StepInput& input : inputs) {
    const auto found = sequences_.find(input.sequence);
    if (found == sequences_.end()) throw Error(ErrorCode::kInternal, "step of a sequence that is not open");
    std::vector<Place>& places = found->second;
    if (input.start > places.size()) throw Error(ErrorCode::kInternal, "step starts behind what is computed");
    if (input.entries.empty()) throw Error(ErrorCode::kInternal, "step without entries");
    if (input.logits_of_last > input.entries.size()) throw Error(ErrorCode::kInternal, "logits of too many entries");
    if (input.start + input.entries.size() > model_.context_length) {
      throw Error(ErrorCode::kInternal, "sequence longer than the context");
    }
    for (const Entry& entry : input.entries) {
      if (entry.token == model_.poison) throw Error(ErrorCode::kInternal, "the model is poisoned");
    }
    places.resize(input.start);
    for (const Entry& entry : input.entries) places.push_back(place_after(places, entry, input.vectors));
    Matrix logits{input.logits_of_last, info_.vocab_size, {}};
    for (std::size_t n = 0; n < input.logits_of_last; ++n) {
      const std::size_t length = places.size() - input.logits_of_last + n + 1;
      const std::vector<float> row = logits_at(std::span(places).first(length));
      logits.values.insert(logits.values.end(), row.begin(), row.end());
    }
    results.push_back(std::move(logits));
    shares.push_back({input.sequence, input.start, input.entries.size()});
  }
  steps_.push_back(std::move(shares));
  return results;
}

FakeRunner::Place FakeRunner::place_after(const std::vector<Place>& before, const Entry& entry,
                                          const Matrix* vectors) const {
  std::uint64_t content = static_cast<std::uint64_t>(entry.token);
  if (entry.token == Entry::kVector) {
    if (vectors == nullptr || entry.row < 0 || static_cast<std::size_t>(entry.row) >= vectors->rows) {
      throw Error(ErrorCode::kInternal, message("row ", entry.row, " does not exist"));
    }
    for (const float value : vectors->row(static_cast<std::size_t>(entry.row))) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      content = mix(content, bits);
    }
  }
  const std::uint64_t last = before.empty() ? 0 : before.back().hash;
  return {mix(mix(last, content), before.size()), entry.token};
}

std::vector<float> FakeRunner::logits_at(std::span<const Place> places) const {
  const std::uint64_t hash = places.back().hash;
  std::vector<float> logits(info_.vocab_size);
  for (std::size_t n = 0; n < logits.size(); ++n) logits[n] = 4 * unit(mix(hash, n)) - 8;
  if (model_.answer) {  // what has been said: the longest beginning of the answer that the sequence ends with
    std::size_t said = std::min(answer_ids_.size(), places.size());
    const auto ends_with = [&](std::size_t count) {
      return std::equal(answer_ids_.begin(), answer_ids_.begin() + static_cast<std::ptrdiff_t>(count),
                        places.end() - static_cast<std::ptrdiff_t>(count),
                        [](TokenId id, const Place& place) { return id == place.token; });
    };
    while (!ends_with(said)) --said;
    const TokenId next = said < answer_ids_.size() ? answer_ids_[said] : FakeTokenizer::kEos;
    logits[static_cast<std::size_t>(next)] = 8;
    return logits;
  }
  const auto colon = std::find_if(places.rbegin(), places.rend(),
                                  [](const Place& place) { return place.token == FakeTokenizer::kFirstByte + ':'; });
  const auto said = static_cast<std::size_t>(colon - places.rbegin());
  if (model_.end_after > 0 && said >= model_.end_after) {
    logits[FakeTokenizer::kEos] = 8;
    return logits;
  }
  const auto raise = [&](TokenId id) { logits[static_cast<std::size_t>(id)] += 8; };
  for (char c = 'a'; c <= 'z'; ++c) raise(FakeTokenizer::kFirstByte + c);
  raise(FakeTokenizer::kFirstByte + ' ');
  for (auto id = FakeTokenizer::kFirstWord; id < static_cast<TokenId>(logits.size()); ++id) raise(id);
  return logits;
}

std::vector<float> FakeRunner::logits_after(std::span<const Entry> entries, const Matrix* vectors) const {
  std::vector<Place> places;
  for (const Entry& entry : entries) places.push_back(place_after(places, entry, vectors));
  return logits_at(places);
}

void FakeRunner::fail_next_step(std::string words) {
  const std::lock_guard lock(mutex_);
  fail_step_ = std::move(words);
}

void FakeRunner::fail_next_encode(std::string words) {
  const std::lock_guard lock(mutex_);
  fail_encode_ = std::move(words);
}

void FakeRunner::fail_next_open(std::string words) {
  const std::lock_guard lock(mutex_);
  fail_open_ = std::move(words);
}

std::vector<std::vector<FakeStepShare>> FakeRunner::steps() const {
  const std::lock_guard lock(mutex_);
  return steps_;
}

std::size_t FakeRunner::open_sequences() const {
  const std::lock_guard lock(mutex_);
  return sequences_.size();
}

std::size_t FakeRunner::encoded_chunks() const {
  const std::lock_guard lock(mutex_);
  return encoded_chunks_;
}

void FakeRunner::rest() const {
  const std::lock_guard lock(mutex_);
  rested_.insert(std::this_thread::get_id());
}

std::size_t FakeRunner::threads_that_rested() const {
  const std::lock_guard lock(mutex_);
  return rested_.size();
}

}  // namespace refrag::testing
