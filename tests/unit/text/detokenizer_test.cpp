#include "text/detokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refrag {
namespace {

using ::testing::ElementsAre;

const std::string kLlama = R"({"type": "Sequence", "decoders": [
  {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
  {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";

Detokenizer detokenizer(const std::string& json) {
  const Json parsed = parse_json(json, "test");
  return Detokenizer(JsonReader(parsed, "decoder", ErrorCode::kCorrupt));
}

/// What can be shown after each token, and at the end.
std::vector<std::string> parts(const Detokenizer& made, const std::vector<std::string>& tokens, bool at_start = true) {
  Detokenizer::Stream stream(made, at_start);
  std::vector<std::string> shown;
  for (const std::string& token : tokens) {
    shown.push_back(stream.add(made, {TokenText::Kind::kText, token}));
  }
  shown.push_back(stream.finish(made));
  return shown;
}

std::string text(const Detokenizer& made, const std::vector<std::string>& tokens) {
  std::string all;
  for (const std::string& part : parts(made, tokens)) {
    all += part;
  }
  return all;
}

TEST(DetokenizerTest, HalfCharactersWaitForTheirOtherHalf) {
  const Detokenizer bytes = detokenizer(R"({"type": "ByteLevel"})");
  EXPECT_THAT(parts(bytes, {"a", "Ã", "©Ġ"}), ElementsAre("a", "", "é ", ""));
  EXPECT_THAT(parts(bytes, {"Ã"}), ElementsAre("", "\uFFFD"));
  EXPECT_THAT(parts(bytes, {"Ã", "a"}), ElementsAre("", "\uFFFDa", ""));
  EXPECT_THAT(parts(bytes, {"▁a"}), ElementsAre("▁a", ""));  // not of the byte alphabet: as it is
}

TEST(DetokenizerTest, LlamaLosesOneSpaceAtTheStartOfTheText) {
  const Detokenizer llama = detokenizer(kLlama);
  EXPECT_EQ(text(llama, {"▁▁a", "▁b"}), " a b");
  EXPECT_THAT(parts(llama, {"▁a"}, false), ElementsAre(" a", ""));  // goes on from a prompt
  EXPECT_TRUE(llama.strips_leading_space());
}

TEST(DetokenizerTest, RunsOfByteTokensAreTextAsAWholeOrNotAtAll) {
  const Detokenizer llama = detokenizer(kLlama);
  EXPECT_THAT(parts(llama, {"a", "<0xC3>", "<0xA9>", "b"}), ElementsAre("a", "", "", "éb", ""));
  EXPECT_EQ(text(llama, {"<0xC3>", "<0xA9>", "<0xFF>", "b"}), "\uFFFD\uFFFD\uFFFDb");
}

TEST(DetokenizerTest, SentencePieceJudgesByteTokensCharacterByCharacter) {
  const Detokenizer made = Detokenizer::of_sentencepiece(Detokenizer::LeadingSpace::kDropOne);
  Detokenizer::Stream stream(made);
  const auto byte = [&](char c) { return stream.add(made, {TokenText::Kind::kByte, std::string(1, c)}); };
  EXPECT_EQ(byte('\xC3'), "");
  EXPECT_EQ(byte('\xA9'), "é");
  EXPECT_EQ(byte('\xFF'), "\uFFFD");
  EXPECT_EQ(byte('\xE4'), "");
  EXPECT_EQ(byte('\xBD'), "");
  EXPECT_EQ(stream.finish(made), "\uFFFD\uFFFD");
}

TEST(DetokenizerTest, SentencePieceDropsOneLeadingSpaceOrAll) {
  const Detokenizer one = Detokenizer::of_sentencepiece(Detokenizer::LeadingSpace::kDropOne);
  const Detokenizer all = Detokenizer::of_sentencepiece(Detokenizer::LeadingSpace::kDropWhileEmpty);
  const Detokenizer none = Detokenizer::of_sentencepiece(Detokenizer::LeadingSpace::kKeep);
  EXPECT_EQ(text(one, {"▁", "▁a", "▁b"}), " a b");
  EXPECT_EQ(text(all, {"▁", "▁a", "▁b"}), "a b");
  EXPECT_EQ(text(none, {"▁a"}), " a");
}

TEST(DetokenizerTest, WordPieceJoinsContinuationsAndCleansUp) {
  const Detokenizer bert = detokenizer(R"({"type": "WordPiece", "prefix": "##", "cleanup": true})");
  EXPECT_EQ(text(bert, {"do", "n", "##'t", "stop", "!"}), "do n't stop!");
  EXPECT_EQ(bert.text_after_others({TokenText::Kind::kText, "##ing"}), "ing");
  EXPECT_EQ(bert.text_after_others({TokenText::Kind::kText, "go"}), " go");
}

TEST(DetokenizerTest, MetaspaceTurnsIntoSpacesButAtTheStart) {
  const Detokenizer made = detokenizer(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})");
  EXPECT_EQ(text(made, {"▁a▁", "▁b"}), "a b");
}

TEST(DetokenizerTest, SpacesToBeStrippedAtTheEndAreHeldBack) {
  const Detokenizer made = detokenizer(R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
                                           {"type": "Strip", "content": " ", "start": 0, "stop": 1}]})");
  EXPECT_THAT(parts(made, {"a ", " b "}), ElementsAre("a", "  b", ""));
}

TEST(DetokenizerTest, WithoutADecoderTokensAreJoinedBySpaces) {
  EXPECT_EQ(text(Detokenizer::joining_with_spaces(), {"a", "b"}), "a b");
}

TEST(DetokenizerTest, WhatCannotBeStreamedAndUnknownTypesAreRefused) {
  for (const char* json : {R"({"type": "CTC"})", R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
         {"type": "Replace", "pattern": {"String": "ab"}, "content": ""}]})"}) {
    try {
      detokenizer(json);
      FAIL() << json;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << json;
    }
  }
}

}  // namespace
}  // namespace refrag
