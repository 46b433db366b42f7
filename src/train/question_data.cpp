#include "train/question_data.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.h"
#include "base/message.h"
#include "refrag/error.h"
#include "text/chunker.h"

namespace refrag::train {
namespace {

using PassageNumber = Question::PassageNumber;
using PassagesById = std::unordered_map<std::string, std::vector<PassageNumber>>;

/// Lists of numbers one behind another, each with its length in front.
class RecordBuilder {
 public:
  template <typename Numbers>
  void add(const Numbers& numbers) {
    record_.push_back(static_cast<TokenId>(numbers.size()));
    for (const auto number : numbers) record_.push_back(static_cast<TokenId>(number));
  }
  const std::vector<TokenId>& record() const { return record_; }

 private:
  std::vector<TokenId> record_;
};

class RecordParser {
 public:
  explicit RecordParser(std::span<const TokenId> record) : left_(record) {}
  template <typename Number = TokenId>
  std::vector<Number> take() {
    const auto count = left_.empty() ? -1 : left_.front();
    if (count < 0 || static_cast<std::size_t>(count) >= left_.size()) {
      throw Error(ErrorCode::kCorrupt,
                  "a record of the token cache is damaged; remove data.cache to have it made again");
    }
    const auto numbers = left_.subspan(1, static_cast<std::size_t>(count));
    left_ = left_.subspan(1 + static_cast<std::size_t>(count));
    return {numbers.begin(), numbers.end()};
  }

 private:
  std::span<const TokenId> left_;
};

std::vector<TokenId> joined_parts(const Prompt& prompt, PromptPart::Kind kind, bool behind) {
  std::vector<TokenId> tokens;
  bool passed = false;
  for (const PromptPart& part : prompt.parts) {
    passed = passed || part.kind == PromptPart::Kind::kText;
    if (part.kind == kind && passed == behind) tokens.insert(tokens.end(), part.tokens.begin(), part.tokens.end());
  }
  return tokens;
}

Query query_of(const std::string& question) {
  Query query;
  query.question = question;
  return query;
}

/// What the cache depends on besides the files: everything that decides a token.
Json layout_key(const ModelInfo& model, const PromptWriter& writer) {
  Sha256 sample;
  for (const std::vector<std::string>& titles : {std::vector<std::string>{}, {"title", "other"}}) {
    for (const PromptPart& part : writer.write(query_of("question"), titles).parts) {
      sample.add_field(std::to_string(static_cast<int>(part.kind)));
      for (const TokenId id : part.tokens) sample.add_field(std::to_string(id));
    }
  }
  return {{"version", 2},
          {"tokenizer", model.tokenizer->identity()},
          {"chunk_size", model.chunk_size},
          {"passage_tokens", model.passage_tokens},
          {"answer", model.prompt.answer},
          {"query", model.prompt.query},
          {"prompt", sample.hex()}};
}

class PassageShards {
 public:
  PassageShards(ShardWriter& writer, const ModelInfo& model, const PromptWriter& prompts)
      : writer_(writer), model_(model), prompts_(prompts) {}

  /// A text of a question's own context is one passage whatever its length, as in a request.
  void add(const std::string& id, const std::string& title, const std::string& raw, bool is_document) {
    const std::string text = normalize_document_text(raw);
    const Prompt around = prompts_.write(query_of("q"), {normalize_document_text(title)});
    const std::vector<TokenId> ids = model_.tokenizer->encode(text);
    if (!is_document || ids.size() <= model_.passage_tokens) {
      add_record(id, around, ids);
      return;
    }
    const PassageOptions options{model_.passage_tokens, 0, std::max<std::size_t>(1, model_.chunk_size)};
    for (const auto& passage : cut_into_passages(text, *model_.tokenizer, options)) {
      std::vector<TokenId> part;
      for (const Chunk& chunk : passage.chunks) part.insert(part.end(), chunk.ids.begin(), chunk.ids.end());
      add_record(id, around, part);
    }
  }

 private:
  void add_record(const std::string& id, const Prompt& around, const std::vector<TokenId>& ids) {
    RecordBuilder record;
    record.add(id);
    record.add(joined_parts(around, PromptPart::Kind::kAround, false));
    record.add(joined_parts(around, PromptPart::Kind::kAround, true));
    record.add(ids);
    writer_.add(record.record());
  }

  ShardWriter& writer_;
  const ModelInfo& model_;
  const PromptWriter& prompts_;
};

/// The id of a passage that stands in a question: the same for the same passage in many of them.
std::string inline_id(JsonReader& passage) {
  Sha256 hash;
  hash.add_field(passage.text("id")).add_field(passage.text("title", "")).add_field(passage.text("text"));
  return '\x1f' + hash.hex().substr(0, 24);
}

TokenShards passage_shards(const DataConfig& config, const ModelInfo& model, const PromptWriter& prompts,
                           const OnPrepared& on_prepared) {
  Json key = layout_key(model, prompts);
  key["kind"] = "passages";
  key["documents"] = content_hash(config.documents);
  key["questions"] = content_hash(config.questions);
  return TokenShards::cached(config.cache, key, [&](ShardWriter& writer) {
    PassageShards passages(writer, model, prompts);
    for_each_line(config.documents, [&](const Json& row, const std::string& where) {
      JsonReader document(row, where + ": ", ErrorCode::kCorrupt);
      passages.add(document.text("id"), document.text("title", ""), document.text("text"), true);
      if (on_prepared) on_prepared(writer.records());
    });
    std::unordered_set<std::string> seen;
    for_each_line(config.questions, [&](const Json& row, const std::string& where) {
      JsonReader question(row, where + ": ", ErrorCode::kCorrupt);
      for (JsonReader& passage : question.objects("passages")) {
        const std::string id = inline_id(passage);
        if (seen.insert(id).second) passages.add(id, passage.text("title", ""), passage.text("text"), false);
      }
      if (on_prepared) on_prepared(writer.records());
    });
    return Json::object();
  });
}

Passage parse_passage(std::span<const TokenId> record) {
  RecordParser parser(record);
  parser.take();  // its id
  Passage passage;
  passage.before = parser.take();
  passage.behind = parser.take();
  passage.text = parser.take();
  return passage;
}

PassagesById passages_by_id(const TokenShards& passages) {
  PassagesById by_id;
  for (std::uint64_t n = 0; n < passages.size(); ++n) {
    const std::vector<char> id = RecordParser(passages.record(n)).take<char>();
    by_id[std::string(id.begin(), id.end())].push_back(static_cast<PassageNumber>(n));
  }
  return by_id;
}

/// Reads questions and finds their passages, and the chunks of those that hold an answer.
class QuestionShards {
 public:
  QuestionShards(ShardWriter& writer, const ModelInfo& model, const PromptWriter& prompts, const TokenShards& passages)
      : writer_(writer), model_(model), prompts_(prompts), passages_(passages), by_id_(passages_by_id(passages)) {}

  void add(const Json& json, const std::string& where) {
    JsonReader row(json, where + ": ", ErrorCode::kCorrupt);
    const std::string text = row.text("question");
    answers_ = row.has("answers") ? row.texts("answers") : std::vector<std::string>{row.text("answer")};
    if (answers_.empty()) row.fail("answers", "at least one answer");
    find_passages(row);
    const Prompt prompt = prompts_.write(query_of(text), {""});
    std::vector<TokenId> bare;
    for (const PromptPart& part : prompts_.write(query_of(text), {}).parts) {
      bare.insert(bare.end(), part.tokens.begin(), part.tokens.end());
    }
    RecordBuilder record;
    record.add(joined_parts(prompt, PromptPart::Kind::kFrame, false));
    record.add(joined_parts(prompt, PromptPart::Kind::kFrame, true));
    record.add(bare);
    record.add(QuestionData::answer_tokens(answers_.front(), model_));
    record.add(prompts_.policy_query(text));
    record.add(relevant_);
    record.add(std::vector<int>(needs_all_ ? 1 : 0, 1));
    record.add(distractors_);
    record.add(answer_chunks());
    writer_.add(record.record());
  }

 private:
  void find_passages(JsonReader& row) {
    relevant_.clear();
    distractors_.clear();
    std::map<std::string, PassageNumber> own;  // by the ids that the question gives them
    for (JsonReader& passage : row.objects("passages")) {
      own.emplace(passage.text("id"), by_id_.at(inline_id(passage)).front());
    }
    needs_all_ = !own.empty();
    if (own.empty()) {
      relevant_ = documents_of(row, row.text("document"), "document");
      keep_those_with_answer();
    }
    for (const std::string& id : row.texts("relevant")) {
      const auto found = own.find(id);
      if (own.empty()) continue;
      if (found == own.end()) row.fail("relevant", message("ids of its passages, and '", id, "' is none"));
      relevant_.push_back(found->second);
      own.erase(found);
    }
    for (const auto& [id, passage] : own) distractors_.push_back(passage);
    for (const std::string& id : row.texts("distractors")) {
      const std::vector<PassageNumber> found = documents_of(row, id, "distractors");
      distractors_.insert(distractors_.end(), found.begin(), found.end());
    }
  }

  const std::vector<PassageNumber>& documents_of(JsonReader& row, const std::string& id, const char* field) const {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) row.fail(field, message("ids of data.documents, and '", id, "' is none"));
    return found->second;
  }

  /// A long document is several passages: the right ones are those in which an answer stands, if it stands in any.
  void keep_those_with_answer() {
    std::vector<PassageNumber> with;
    for (const PassageNumber passage : relevant_) {
      if (!chunks_with_answer(passage).empty()) with.push_back(passage);
    }
    if (!with.empty()) relevant_ = with;
  }

  std::vector<std::uint32_t> chunks_with_answer(PassageNumber number) const {
    const Passage passage = parse_passage(passages_.record(number));
    std::string text;
    std::vector<std::size_t> ends;
    for (const TokenId id : passage.text) {
      text += model_.tokenizer->bytes_of(id);
      ends.push_back(text.size());
    }
    const auto chunk_at = [&](std::size_t byte) {
      const auto token = std::upper_bound(ends.begin(), ends.end(), byte) - ends.begin();
      return static_cast<std::uint32_t>(static_cast<std::size_t>(token) / std::max<std::size_t>(1, model_.chunk_size));
    };
    std::set<std::uint32_t> chunks;
    for (const std::string& answer : answers_) {
      // Everywhere: a short answer may stand in a name before it stands where it was asked for.
      std::size_t begin = answer.empty() ? std::string::npos : text.find(answer);
      for (; begin != std::string::npos; begin = text.find(answer, begin + answer.size())) {
        for (std::uint32_t c = chunk_at(begin); c <= chunk_at(begin + answer.size() - 1); ++c) chunks.insert(c);
      }
      if (!chunks.empty()) break;
    }
    return {chunks.begin(), chunks.end()};
  }

  std::vector<std::uint32_t> answer_chunks() const {  // passage, chunk, passage, chunk, ...
    std::vector<std::uint32_t> flat;
    for (const PassageNumber passage : relevant_) {
      for (const std::uint32_t chunk : chunks_with_answer(passage)) {
        flat.push_back(passage);
        flat.push_back(chunk);
      }
    }
    return flat;
  }

  ShardWriter& writer_;
  const ModelInfo& model_;
  const PromptWriter& prompts_;
  const TokenShards& passages_;
  PassagesById by_id_;
  std::vector<std::string> answers_;
  std::vector<PassageNumber> relevant_, distractors_;
  bool needs_all_ = false;
};

TokenShards question_shards(const DataConfig& config, const ModelInfo& model, const PromptWriter& prompts,
                            const TokenShards& passages, const OnPrepared& on_prepared) {
  Json key = passages.info().at("key");
  key["kind"] = "questions";
  return TokenShards::cached(config.cache, key, [&](ShardWriter& writer) {
    QuestionShards questions(writer, model, prompts, passages);
    for_each_line(config.questions, [&](const Json& row, const std::string& where) {
      questions.add(row, where);
      if (on_prepared) on_prepared(writer.records());
    });
    return Json::object();
  });
}

bool holds(const std::vector<PassageNumber>& passages, PassageNumber wanted) {
  return std::find(passages.begin(), passages.end(), wanted) != passages.end();
}

}  // namespace

QuestionData::QuestionData(const DataConfig& config, const ModelInfo& model, const OnPrepared& on_prepared)
    : passages_(passage_shards(config, model, PromptWriter(model), on_prepared)),
      questions_(question_shards(config, model, PromptWriter(model), passages_, on_prepared)) {
  if (questions_.size() == 0) {
    throw Error(ErrorCode::kInvalidArgument, "data.questions holds no question", "data.questions");
  }
  const PromptWriter prompts(model);
  if (!prompts.takes_passages()) {
    throw Error(ErrorCode::kInvalidArgument, "the model's prompt template has no {context}: it takes no passages");
  }
  for (const PromptPart& part : prompts.write(query_of("q"), {"", ""}).parts) {
    if (part.kind == PromptPart::Kind::kSeparator) separator_ = part.tokens;
  }
  index_questions();
}

void QuestionData::index_questions() {
  std::vector<std::pair<PassageNumber, std::uint32_t>> pairs;
  for (std::uint64_t n = 0; n < questions_.size(); ++n) {
    const Question asked = question(n);
    if (asked.needs_all && asked.relevant.size() > 1) continue;  // one of its passages is not enough
    for (const PassageNumber passage : asked.relevant) pairs.emplace_back(passage, static_cast<std::uint32_t>(n));
  }
  std::sort(pairs.begin(), pairs.end());
  about_begin_.assign(passages_.size() + 1, 0);
  for (const auto& [passage, question] : pairs) {
    ++about_begin_[passage + 1];
    about_.push_back(question);
  }
  for (std::uint64_t n = 0; n < passages_.size(); ++n) about_begin_[n + 1] += about_begin_[n];
}

Question QuestionData::question(std::uint64_t n) const {
  RecordParser parser(questions_.record(n));
  Question question;
  question.before = parser.take();
  question.behind = parser.take();
  question.bare = parser.take();
  question.answer = parser.take();
  question.query = parser.take();
  question.relevant = parser.take<PassageNumber>();
  question.needs_all = !parser.take().empty();
  question.distractors = parser.take<PassageNumber>();
  const std::vector<std::uint32_t> flat = parser.take<std::uint32_t>();
  for (std::size_t i = 0; i + 1 < flat.size(); i += 2) question.answer_chunks.emplace_back(flat[i], flat[i + 1]);
  return question;
}

Passage QuestionData::passage(std::uint64_t n) const { return parse_passage(passages_.record(n)); }

std::uint64_t QuestionData::shuffled_question(std::uint64_t place, std::uint64_t seed) const {
  const std::uint64_t pass = place / questions_.size();
  return shuffled(place % questions_.size(), questions_.size(), Draw({seed, pass}).next());
}

QuestionData::Context QuestionData::draw_context(std::uint64_t number, std::size_t passages, std::size_t questions,
                                                 bool with_right, Draw& draw) const {
  const Question asked = question(number);
  Context context{{}, {number}};
  if (with_right && !asked.relevant.empty()) {
    context.passages =
        asked.needs_all ? asked.relevant : std::vector{asked.relevant[draw.below(asked.relevant.size())]};
  }
  const auto add = [&](PassageNumber passage) {
    if (!holds(context.passages, passage) && !holds(asked.relevant, passage)) context.passages.push_back(passage);
  };
  std::vector<PassageNumber> named = asked.distractors;
  draw.shuffle(named);
  for (const PassageNumber passage : named) {
    if (context.passages.size() < passages) add(passage);
  }
  if (!asked.relevant.empty()) {
    const std::size_t others = passages_.size() - asked.relevant.size();
    const std::size_t most = std::min<std::size_t>(passages, others + context.passages.size());
    for (int turn = 0; context.passages.size() < most && turn < 1000; ++turn) {
      add(static_cast<PassageNumber>(draw.below(passages_.size())));
    }
  }
  draw.shuffle(context.passages);

  std::vector<std::uint64_t> others;
  for (const PassageNumber passage : context.passages) {
    for (std::uint64_t at = about_begin_[passage]; at < about_begin_[passage + 1]; ++at) {
      if (about_[at] != number) others.push_back(about_[at]);
    }
  }
  draw.shuffle(others);
  if (others.size() + 1 > questions) others.resize(questions - 1);
  context.questions.insert(context.questions.end(), others.begin(), others.end());
  return context;
}

std::vector<TokenId> QuestionData::answer_tokens(const std::string& answer, const ModelInfo& model) {
  std::string text;
  for (const TemplatePart& part : split_template(model.prompt.answer, {"answer"})) {
    text += part.kind == TemplatePart::Kind::kLiteral ? part.text : answer;
  }
  return model.tokenizer->encode(text);
}

}  // namespace refrag::train
