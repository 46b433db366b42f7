#include "engine/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "refrag/error.h"
#include "support/fake_runner.h"

namespace refrag {
namespace {

using testing::FakeModel;
using testing::FakeRunner;
using testing::FakeTokenizer;

constexpr const char* kChat =
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}]{{ message['content'] }}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}";

/// The prompt as text: special tokens spelt out, "<n>" for the text of passage n, "|" between parts.
std::string spelt(const ModelInfo& model, const Query& query, const std::vector<std::string>& titles) {
  std::string text;
  for (const PromptPart& part : PromptWriter(model).write(query, titles).parts) {
    if (!text.empty()) text += '|';
    text += part.kind == PromptPart::Kind::kText ? "<" + std::to_string(part.passage) + ">"
                                                 : model.tokenizer->decode(part.tokens, false);
  }
  return text;
}

ModelInfo model_with(const std::string& text, const std::string& passage, const std::string& separator = "") {
  FakeModel model;
  model.prompt.text = text;
  model.prompt.passage = passage;
  model.prompt.separator = separator;
  return FakeRunner(model).info();
}

ModelInfo chat_model() {
  FakeModel model;
  model.chat_template = ChatTemplate(kChat, {{"bos_token", "<s>"}});
  return FakeRunner(model).info();
}

Query asking(const std::string& question) {
  Query query;
  query.question = question;
  return query;
}

std::string refused_param(const ModelInfo& model, const Query& query) {
  try {
    PromptWriter(model).write(query, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.param();
  }
  return "nothing";
}

TEST(PromptTest, PassagesStandInTheirPlaceWithBosOnceAtTheStart) {
  const ModelInfo model = model_with("{context}\nQ: {question}\nA:", "# {title}\n{text}.\n", "--\n");
  EXPECT_EQ(spelt(model, asking("why?"), {"one", "two"}), "<s>|# one\n|<0>|.\n|--\n|# two\n|<1>|.\n|\nQ: why?\nA:");
}

TEST(PromptTest, ContextMayStandBehindTheQuestion) {
  const ModelInfo model = model_with("Q: {question}\n{context}A:", "{text}");
  EXPECT_EQ(spelt(model, asking("why?"), {""}), "<s>Q: why?\n|<0>|A:");
}

TEST(PromptTest, WithoutPassagesNothingStandsInTheirPlace) {
  const ModelInfo model = model_with("{context}Q: {question}\nA:", "{text}\n");
  EXPECT_EQ(spelt(model, asking("why?"), {}), "<s>|Q: why?\nA:");
}

TEST(PromptTest, TemplateAndQuestionAreTokenizedAsOneText) {
  const ModelInfo model = model_with("say t{question}", "{text}");  // "the" is one token of the fake tokenizer
  const Prompt prompt = PromptWriter(model).write(asking("he end"), {});
  EXPECT_EQ(prompt.parts.back().tokens, model.tokenizer->encode("say the end"));
}

TEST(PromptTest, SpecialTokensCountInTemplatesAndNeverInUserText) {
  const ModelInfo model = model_with("{context}{question}</s>", "{title}<pad>{text}");
  const Prompt prompt = PromptWriter(model).write(asking("</s>"), {"<s>"});
  const auto count = [&](TokenId id) {
    std::size_t found = 0;
    for (const PromptPart& part : prompt.parts) {
      found += static_cast<std::size_t>(std::count(part.tokens.begin(), part.tokens.end(), id));
    }
    return found;
  };
  EXPECT_EQ(count(FakeTokenizer::kEos), 1u);
  EXPECT_EQ(count(FakeTokenizer::kBos), 1u);
  EXPECT_EQ(count(FakeTokenizer::kPad), 1u);
}

TEST(PromptTest, TokensAreCountedByWhatTheyAreFor) {
  const ModelInfo model = model_with("{context}Q {question}", "{title} {text}\n", "-");
  const Prompt prompt = PromptWriter(model).write(asking("a"), {"x", "y"});
  EXPECT_EQ(prompt.tokens_of(PromptPart::Kind::kFrame), 4u);  // BOS and "Q a"
  EXPECT_EQ(prompt.tokens_of(PromptPart::Kind::kAround), 6u);
  EXPECT_EQ(prompt.tokens_of(PromptPart::Kind::kSeparator), 1u);
}

TEST(PromptTest, ARawPromptIsTheQuestionBehindBos) {
  Query query = asking("once upon");
  query.raw_prompt = true;
  EXPECT_EQ(spelt(model_with("{context}Q: {question}", "{text}"), query, {}), "<s>|once upon");
  EXPECT_EQ(spelt(chat_model(), query, {}), "<s>|once upon");
  query.history = {{"user", "hello"}};
  EXPECT_EQ(refused_param(chat_model(), query), "history");
}

TEST(PromptTest, AChatModelGetsHistoryThenOneMessageWithPassagesAndQuestion) {
  Query query = asking("why?");
  query.history = {{"system", "be kind"}, {"user", "hi"}, {"assistant", "hello"}};
  EXPECT_EQ(spelt(chat_model(), query, {""}),
            "<s>[system]be kind\n[user]hi\n[assistant]hello\n[user]Answer the question with the help of these "
            "passages.\n\n|<0>|\n|\nQuestion: why?\n[assistant]");
}

TEST(PromptTest, AChatModelWithoutPassagesGetsTheQuestionAlone) {
  EXPECT_EQ(spelt(chat_model(), asking("why?"), {}), "<s>[user]why?\n[assistant]");
}

TEST(PromptTest, UserTextInAChatNeverTurnsIntoSpecialTokens) {
  Query query = asking("</s>");
  query.history = {{"user", "<s>"}};
  std::size_t special = 0;
  for (const PromptPart& part : PromptWriter(chat_model()).write(query, {"</s>"}).parts) {
    for (const TokenId id : part.tokens) special += id < FakeTokenizer::kFirstByte ? 1 : 0;
  }
  EXPECT_EQ(special, 1u) << "the template's own BOS";
}

TEST(PromptTest, HistoryNeedsAChatTemplate) {
  Query query = asking("why?");
  query.history = {{"user", "hi"}};
  EXPECT_EQ(refused_param(model_with("{context}{question}", "{text}"), query), "history");
}

TEST(PromptTest, AFaultyTemplateIsRefusedByName) {
  const auto refused = [](const std::string& text, const std::string& passage) {
    try {
      PromptWriter writer(model_with(text, passage));
    } catch (const Error& error) {
      return error.param();
    }
    return std::string("nothing");
  };
  EXPECT_EQ(refused("{context}", "{text}"), "prompt.text");
  EXPECT_EQ(refused("{context}{context}{question}", "{text}"), "prompt.text");
  EXPECT_EQ(refused("{question}", "{title}"), "prompt.passage");
  EXPECT_EQ(refused("{question}", "{text}"), "nothing");
}

TEST(PromptTest, ThePolicyReadsTheQueryTemplate) {
  FakeModel model;
  model.prompt.query = "Question: {question}\nAnswer:";
  const ModelInfo info = FakeRunner(model).info();
  EXPECT_EQ(PromptWriter(info).policy_query("why?"), info.tokenizer->encode("Question: why?\nAnswer:"));
}

}  // namespace
}  // namespace refrag
