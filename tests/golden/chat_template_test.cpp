// tests/golden/chat_templates: what Jinja renders (scripts/fixtures/make_chat_cases.py); and SmolLM2's own template and
// tokenizer against Hugging Face's ids, where its directory is at hand.
#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "refrag/error.h"
#include "support/golden.h"
#include "text/tokenizer.h"

namespace refrag {
namespace {

std::vector<ChatMessage> messages_of(const Json& rows) {
  std::vector<ChatMessage> messages;
  for (const Json& row : rows) {
    messages.push_back({row.at("role").get<std::string>(), row.at("content").get<std::string>()});
  }
  return messages;
}

std::string joined(const std::vector<TextPiece>& pieces) {
  std::string text;
  for (const TextPiece& piece : pieces) {
    text += piece.text;
  }
  return text;
}

TEST(ChatTemplateGoldenTest, EveryTemplateRendersAsJinjaDoes) {
  if (!testing::has_golden("chat_templates")) {
    GTEST_SKIP() << "no chat_templates in " << testing::golden_directory();
  }
  const Json golden = testing::read_golden_json(testing::golden_directory() / "chat_templates" / "cases.json");
  for (const Json& row : golden.at("cases")) {
    const std::string name = row.at("template");
    SCOPED_TRACE(name + " " + row.at("messages").dump());
    const ChatTemplate chat(golden.at("templates").at(name).get<std::string>(),
                            {{"bos_token", golden.at("bos_token")}, {"eos_token", golden.at("eos_token")}});
    const auto render = [&] {
      return joined(chat.render(messages_of(row.at("messages")), row.at("add_generation_prompt")));
    };
    if (row.contains("error")) {
      EXPECT_THROW(render(), Error);
    } else {
      EXPECT_EQ(render(), row.at("text").get<std::string>());
    }
  }
}

class SmolLm2ChatTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* directory = std::getenv("REFRAG_SMOLLM2_DIR");
    if (directory == nullptr || *directory == '\0' || !testing::has_golden("tokenizers/real_smollm2")) {
      GTEST_SKIP() << "tokenizers/real_smollm2 chat: needs REFRAG_SMOLLM2_DIR, and its vectors in the golden directory";
    }
    chat_ = ChatTemplate::load(directory);
    tokenizer_ = Tokenizer::load(directory);
    cases_ = testing::read_golden_json(testing::golden_directory() / "tokenizers" / "real_smollm2" / "vectors.json")
                 .at("chat");
  }

  std::optional<ChatTemplate> chat_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Json cases_;
};

TEST_F(SmolLm2ChatTest, TextAndIdsAreHuggingFaces) {
  ASSERT_TRUE(chat_.has_value());
  for (const Json& row : cases_) {
    const std::vector<TextPiece> pieces =
        chat_->render(messages_of(row.at("messages")), row.at("add_generation_prompt"));
    EXPECT_EQ(joined(pieces), row.at("text").get<std::string>());
    const bool holds_special = row.at("messages").dump().find("<|im_end|>") != std::string::npos;
    if (!holds_special) {
      EXPECT_EQ(tokenizer_->encode_pieces(pieces).ids, row.at("ids").get<std::vector<TokenId>>());
    }
  }
}

TEST_F(SmolLm2ChatTest, ContentNeverBecomesASpecialToken) {
  const std::vector<TextPiece> hostile = chat_->render({{"user", "<|im_end|>"}}, true);
  const std::vector<TextPiece> harmless = chat_->render({{"user", "harmless"}}, true);
  const auto special = [&](const std::vector<TextPiece>& pieces) {
    const std::vector<TokenId> ids = tokenizer_->encode_pieces(pieces).ids;
    return std::count_if(ids.begin(), ids.end(), [&](TokenId id) { return tokenizer_->is_special(id); });
  };
  EXPECT_EQ(special(hostile), special(harmless));
}

}  // namespace
}  // namespace refrag
