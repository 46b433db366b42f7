#include "eval/qa_data.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <unordered_map>
#include <utility>

#include "base/json_reader.h"
#include "base/message.h"
#include "refrag/document.h"
#include "refrag/error.h"
#include "text/reader.h"

namespace refrag {
namespace {

struct Question {
  QaItem item;
  std::string document;  // empty where the item brings its passages
  std::string where;     // FILE:LINE
};

/// A number below `bound` that every standard library draws alike.
std::size_t draw_below(std::mt19937_64& draw, std::size_t bound) { return static_cast<std::size_t>(draw() % bound); }

template <typename Item>
void shuffle(std::vector<Item>& items, std::mt19937_64& draw) {
  for (std::size_t n = items.size(); n > 1; --n) {
    std::swap(items[n - 1], items[draw_below(draw, n)]);
  }
}

std::vector<InlinePassage> read_passages(JsonReader& row) {
  std::vector<InlinePassage> passages;
  for (JsonReader& passage : row.objects("passages")) {
    passages.push_back({passage.text("id"), passage.text("title", ""), passage.text("text")});
    passage.finish();
  }
  return passages;
}

Question read_question(const Json& json, const std::string& where, bool needs_relevant) {
  JsonReader row(json, where, ErrorCode::kCorrupt);
  Question question;
  question.where = where;
  question.item.question = row.text("question");
  if (question.item.question.empty()) {
    row.fail("question", "some text");
  }
  question.item.answers = row.has("answers") ? row.texts("answers") : std::vector<std::string>{row.text("answer")};
  if (question.item.answers.empty()) {
    row.fail("answers", "at least one answer");
  }
  question.item.passages = read_passages(row);
  question.item.relevant = row.texts("relevant");
  question.document = row.text("document", "");
  if (question.item.passages.empty() && question.document.empty()) {
    row.fail("passages", "passages, or a document to draw them around");
  }
  if (needs_relevant && question.document.empty() && question.item.relevant.empty()) {
    row.fail("relevant", "ids of the passages that --drop-relevant drops");
  }
  return question;
}

Json parse_line(const std::string& line, const std::string& where) {
  try {
    return parse_json(line, where);
  } catch (const Error& error) {
    throw Error(ErrorCode::kCorrupt, error.what(), error.param());  // a file's fault, not the caller's
  }
}

std::vector<Question> read_questions(const std::filesystem::path& file, bool needs_relevant) {
  std::ifstream in(file);
  if (!in) {
    throw Error(ErrorCode::kNotFound, message(file.string(), " cannot be opened"), "--data");
  }
  std::vector<Question> questions;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (!line.empty()) {
      const std::string where = message(file.string(), ":", number);
      questions.push_back(read_question(parse_line(line, where), where, needs_relevant));
    }
  }
  if (questions.empty()) {
    throw Error(ErrorCode::kCorrupt, message(file.string(), " has no questions"), "--data");
  }
  return questions;
}

/// Draws the passages around right documents.
class Distractors {
 public:
  explicit Distractors(const DistractorOptions& options)
      : count_(options.passages), draw_(options.seed), draw_spare_(options.seed + 1) {
    read_paths({options.documents}, {}, [this](ReadResult&& read) {
      if (!read.error.empty()) {
        throw Error(ErrorCode::kCorrupt, message(read.where, ": ", read.error), "--documents");
      }
      by_id_.emplace(read.document.id, documents_.size());
      documents_.push_back({read.document.id, read.document.title, read.document.text});
      return true;
    });
    if (count_ == 0 || count_ > documents_.size()) {
      throw Error(ErrorCode::kInvalidArgument, message("--passages is ", count_, "; expected 1 to ", documents_.size()),
                  "--passages");
    }
  }

  void give(Question& question) {
    const auto right = by_id_.find(question.document);
    if (right == by_id_.end()) {
      throw Error(ErrorCode::kCorrupt, message(question.where, ": document is '", question.document,
                                               "'; expected the id of a document that --documents holds"));
    }
    std::vector<std::size_t> chosen = {right->second};
    while (chosen.size() < count_) {
      const std::size_t other = draw_below(draw_, documents_.size());
      if (std::find(chosen.begin(), chosen.end(), other) == chosen.end()) {
        chosen.push_back(other);
      }
    }
    const std::vector<std::size_t> as_drawn = chosen;
    shuffle(chosen, draw_);
    for (const std::size_t n : as_drawn) {
      question.item.precedence.push_back(
          static_cast<std::size_t>(std::find(chosen.begin(), chosen.end(), n) - chosen.begin()));
    }
    if (count_ < documents_.size()) {
      question.item.spare.push_back(documents_[draw_other_than(chosen)]);
    }
    for (const std::size_t n : chosen) {
      question.item.passages.push_back(documents_[n]);
    }
    question.item.relevant = {question.document};
  }

 private:
  /// By a generator of its own, so that passages are the same with and without spare ones.
  std::size_t draw_other_than(const std::vector<std::size_t>& chosen) {
    while (true) {
      const std::size_t other = draw_below(draw_spare_, documents_.size());
      if (std::find(chosen.begin(), chosen.end(), other) == chosen.end()) {
        return other;
      }
    }
  }

  std::size_t count_;
  std::mt19937_64 draw_;
  std::mt19937_64 draw_spare_;
  std::vector<InlinePassage> documents_;
  std::unordered_map<std::string, std::size_t> by_id_;
};

bool is_relevant(const QaItem& item, std::size_t place) {
  return std::find(item.relevant.begin(), item.relevant.end(), item.passages[place].id) != item.relevant.end();
}

}  // namespace

std::vector<InlinePassage> choose_passages(const QaItem& item, const PassageChoice& choice) {
  const std::size_t count = std::min(choice.count.value_or(item.passages.size()), item.passages.size());
  std::vector<std::size_t> right;  // places
  std::vector<std::size_t> others;
  for (std::size_t n = 0; n < item.passages.size(); ++n) {
    const std::size_t place = item.precedence.empty() ? n : item.precedence[n];
    (is_relevant(item, place) ? right : others).push_back(place);
  }
  right.resize(std::min(right.size(), count));
  std::vector<const InlinePassage*> chosen(item.passages.size(), nullptr);
  for (const std::size_t place : right) {
    chosen[place] = &item.passages[place];
  }
  std::vector<const InlinePassage*> substitutes;
  for (std::size_t n = 0; n < others.size(); ++n) {
    const InlinePassage* passage = &item.passages[others[n]];
    if (n < count - right.size()) {
      chosen[others[n]] = passage;
    } else {
      substitutes.push_back(passage);
    }
  }
  for (const InlinePassage& passage : item.spare) {
    substitutes.push_back(&passage);
  }
  if (choice.drops_relevant) {
    std::sort(right.begin(), right.end());
    for (std::size_t n = 0; n < right.size(); ++n) {
      chosen[right[n]] = n < substitutes.size() ? substitutes[n] : nullptr;
    }
  }
  std::vector<InlinePassage> passages;
  for (const InlinePassage* passage : chosen) {
    if (passage != nullptr) {
      passages.push_back(*passage);
    }
  }
  return passages;
}

std::vector<QaItem> read_qa(const std::filesystem::path& file, const QaDataOptions& options) {
  std::vector<Question> questions = read_questions(file, options.needs_relevant);
  if (options.limit > 0 && options.limit < questions.size()) {
    std::mt19937_64 draw(options.seed);
    shuffle(questions, draw);
    questions.resize(options.limit);
  }
  std::optional<Distractors> around;  // read where a question needs them
  std::vector<QaItem> items;
  for (Question& question : questions) {
    if (question.item.passages.empty()) {
      if (!options.distractors) {
        throw Error(ErrorCode::kInvalidArgument,
                    message(question.where, " has no passages; expected --documents FILE to draw them from"),
                    "--documents");
      }
      if (!around) {
        around.emplace(*options.distractors);
      }
      around->give(question);
    }
    items.push_back(std::move(question.item));
  }
  return items;
}

}  // namespace refrag
