#include "train/question_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/files.h"
#include "engine/prompt.h"
#include "support/tiny_models.h"
#include "text/chunker.h"
#include "train/question_layout.h"
#include "unit/train/toy_data.h"

namespace refrag::train {
namespace {

class QuestionDataTest : public ::testing::Test {
 protected:
  QuestionDataTest() {
    model_.tokenizer = Tokenizer::load(testing::golden_tokenizer("sp_bpe_llama"));
    model_.chunk_size = 4;
    model_.prompt.passage = "[{title}] {text}\n";
    model_.prompt.separator = "--";
    config_.cache = toy_.path("cache");
    config_.questions = {toy_.path("questions.jsonl")};
    config_.documents = {toy_.path("documents.jsonl")};
  }

  std::string text_of(const std::vector<TokenId>& ids) const { return model_.tokenizer->decode(ids); }

  ToyData toy_;
  ModelInfo model_;
  DataConfig config_;
};

/// The tokens of a batch's only sequence, in order; passages must be expanded.
class ExpandedPrompt {
 public:
  static std::vector<TokenId> served(const ModelInfo& model, const std::string& question,
                                     const std::vector<std::pair<std::string, std::string>>& passages) {
    Query query;
    query.question = question;
    std::vector<std::string> titles;
    titles.reserve(passages.size());
    for (const auto& [title, text] : passages) {
      titles.push_back(title);
    }
    std::vector<TokenId> tokens;
    for (const PromptPart& part : PromptWriter(model).write(query, titles).parts) {
      const std::vector<TokenId> own = part.kind == PromptPart::Kind::kText
                                           ? model.tokenizer->encode(passages.at(part.passage).second)
                                           : part.tokens;
      tokens.insert(tokens.end(), own.begin(), own.end());
    }
    return tokens;
  }
};

TEST_F(QuestionDataTest, PromptsAreThoseThatAreServed) {
  const QuestionData data(config_, model_);
  const std::vector<Question::PassageNumber> passages = {7, 3, 12};
  const Question question = data.question(3);
  std::vector<TokenId> trained = question.before;
  for (std::size_t n = 0; n < passages.size(); ++n) {
    const Passage passage = data.passage(passages[n]);
    const auto add = [&](const std::vector<TokenId>& ids) { trained.insert(trained.end(), ids.begin(), ids.end()); };
    if (n > 0) add(data.separator());
    add(passage.before);
    add(passage.text);
    add(passage.behind);
  }
  trained.insert(trained.end(), question.behind.begin(), question.behind.end());

  const auto text = [](int n, const char* colour) {
    return message("The box ", n, " stands in the hall. Its colour is ", colour, " and it is open.");
  };
  EXPECT_EQ(trained, ExpandedPrompt::served(
                         model_, "What is the colour of box 3?",
                         {{"box 7", text(7, "black")}, {"box 3", text(3, "black")}, {"box 12", text(12, "red")}}));
  EXPECT_EQ(question.bare, ExpandedPrompt::served(model_, "What is the colour of box 3?", {}));

  const QuestionLayout layout(data, passages, 4);
  MixedBatch batch;
  batch.begin_sequence();
  layout.add_context(batch, question, std::vector<bool>(layout.chunks().size(), true), [](std::size_t) {});
  EXPECT_EQ(batch.positions() + question.behind.size(), trained.size());
}

TEST_F(QuestionDataTest, ChunksThatHoldTheAnswerAreFound) {
  const QuestionData data(config_, model_);
  const Question question = data.question(5);
  EXPECT_EQ(text_of(question.answer), " green");
  ASSERT_EQ(question.relevant, std::vector<Question::PassageNumber>{5});
  const QuestionLayout layout(data, {2, 5}, 4);
  const std::vector<std::size_t> holding = layout.answer_chunks(question);
  ASSERT_FALSE(holding.empty());
  std::vector<TokenId> ids;
  for (const std::size_t chunk : holding) {
    ids.insert(ids.end(), layout.chunks()[chunk].begin(), layout.chunks()[chunk].end());
  }
  EXPECT_NE(text_of(ids).find("green"), std::string::npos) << text_of(ids);
  EXPECT_TRUE(QuestionLayout(data, {2, 3}, 4).answer_chunks(question).empty());
}

TEST_F(QuestionDataTest, ContextsHoldTheRightPassageUnlessItIsToBeMissing) {
  const QuestionData data(config_, model_);
  for (std::uint64_t n = 0; n < 20; ++n) {
    Draw draw({n});
    const auto with = data.draw_context(n, 4, 3, true, draw);
    EXPECT_EQ(with.passages.size(), 4U);
    EXPECT_NE(std::find(with.passages.begin(), with.passages.end(), n), with.passages.end());
    EXPECT_EQ(with.questions.size(), 3U);
    EXPECT_EQ(with.questions.front(), n);
    for (const std::uint64_t other : with.questions) {
      EXPECT_NE(std::find(with.passages.begin(), with.passages.end(), other), with.passages.end());
    }
    const auto without = data.draw_context(n, 4, 1, false, draw);
    EXPECT_EQ(std::find(without.passages.begin(), without.passages.end(), n), without.passages.end());
  }
}

TEST_F(QuestionDataTest, PassagesThatTheDataBringsAreTheContext) {
  const Json passages = {{{"id", "a"}, {"text", "Not at all."}},
                         {{"id", "b"}, {"title", "T"}, {"text", "It is there."}}};
  std::ofstream(toy_.path("questions.jsonl"))
      << Json{{"question", "Where?"}, {"answers", {"here", "there"}}, {"relevant", {"b"}}, {"passages", passages}}
      << '\n'
      << Json{{"question", "Who?"}, {"answer", "It is not said."}, {"passages", passages}} << '\n';
  config_.documents.clear();
  const QuestionData data(config_, model_);
  Draw draw({1});
  const auto context = data.draw_context(0, 8, 5, true, draw);
  ASSERT_EQ(context.passages.size(), 2U);
  EXPECT_EQ(context.questions, std::vector<std::uint64_t>{0});
  ASSERT_EQ(data.question(0).relevant.size(), 1U);
  EXPECT_EQ(text_of(data.passage(data.question(0).relevant[0]).text), "It is there.");
  EXPECT_FALSE(data.question(0).answer_chunks.empty());  // "there", the second answer
  EXPECT_EQ(data.passages(), 2U);                        // both questions bring the same ones
  const auto refused = data.draw_context(1, 8, 5, true, draw);
  EXPECT_EQ(refused.passages.size(), 2U);
  EXPECT_EQ(refused.questions, (std::vector<std::uint64_t>{1, 0}));  // the first is asked about one of them
}

TEST_F(QuestionDataTest, ADocumentThatIsNotThereIsNamed) {
  std::ofstream(toy_.path("questions.jsonl")) << R"({"question": "Q?", "answer": "a", "document": "nowhere"})" << '\n';
  try {
    const QuestionData data(config_, model_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("nowhere"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("questions.jsonl:1"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace refrag::train
