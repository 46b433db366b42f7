#include "server/openai.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "refrag/error.h"
#include "support/fake_runner.h"

namespace refrag::server {
namespace {

using ::testing::HasSubstr;

ModelInfo model() { return refrag::testing::FakeRunner().info(); }

CompletionRequest chat(const std::string& fields, bool has_knowledge_base = false) {
  return parse_chat(Json::parse(R"({"model": "fake", "messages": [{"role": "user", "content": "hi"}])" + fields + "}"),
                    model(), has_knowledge_base, {});
}

template <typename Parse>
std::string param_of(Parse&& parse) {
  try {
    parse();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(error.param()));
    return error.param();
  }
  return "(nothing was refused)";
}

TEST(ParseChatTest, TheLastMessageIsTheQuestionAndTheOthersItsHistory) {
  const CompletionRequest request = parse_chat(Json::parse(R"({"model": "fake", "messages": [
        {"role": "developer", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "three", "refusal": null}, {"role": "user", "name": "ann", "content": "four"}]})"),
                                               model(), false, {});
  EXPECT_EQ(request.query.question, "four");
  ASSERT_EQ(request.query.history.size(), 3u);
  EXPECT_EQ(request.query.history[0].role, "system");
  EXPECT_EQ(request.query.history[1].content, "one two");
  EXPECT_EQ(request.query.history[2].role, "assistant");
}

TEST(ParseChatTest, OptionsOfTheOfficialClientAreUnderstood) {
  const CompletionRequest request =
      chat(R"(, "temperature": 0.7, "top_p": 0.9, "max_completion_tokens": 5, "seed": -3, "n": 1,
      "stop": "END", "stream": true, "stream_options": {"include_usage": true}, "logprobs": true, "top_logprobs": 3,
      "presence_penalty": 0, "frequency_penalty": 0.0, "user": "u", "response_format": {"type": "text"}, "tools": [],
      "tool_choice": "none", "metadata": {"a": "b"}, "store": false, "logit_bias": {})");
  EXPECT_EQ(request.query.max_tokens, 5u);
  EXPECT_EQ(request.query.sampling.temperature, 0.7);
  EXPECT_EQ(request.query.sampling.seed, static_cast<std::uint64_t>(-3));
  EXPECT_EQ(request.query.stop, std::vector<std::string>{"END"});
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.include_usage);
  EXPECT_EQ(request.query.logprobs, 3u);
  EXPECT_EQ(chat(R"(, "max_tokens": 6)").query.max_tokens, 6u);
  EXPECT_EQ(chat(R"(, "logprobs": true)").query.logprobs, 1u);
}

TEST(ParseChatTest, TheModeIsTheBestThatThereIsContextFor) {
  EXPECT_EQ(chat("").query.mode, Mode::kNone);
  EXPECT_EQ(chat("", true).query.mode, Mode::kRefrag);
  EXPECT_EQ(chat(R"(, "refrag": {"passages": [{"text": "x"}]})").query.mode, Mode::kRefrag);
  EXPECT_EQ(chat(R"(, "refrag": {"mode": "full"})", true).query.mode, Mode::kFull);
  ModelInfo plain = model();
  plain.chunk_size = 0;
  const Json json = Json::parse(R"({"model": "fake", "messages": [{"role": "user", "content": "hi"}]})");
  EXPECT_EQ(parse_chat(json, plain, true, {}).query.mode, Mode::kFull);
}

TEST(ParseChatTest, EveryWrongFieldIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"(, "n": 2)", "n"},
      {R"(, "temperature": 3)", "temperature"},
      {R"(, "temperature": "hot")", "temperature"},
      {R"(, "top_p": -1)", "top_p"},
      {R"(, "max_tokens": 0)", "max_tokens"},
      {R"(, "max_completion_tokens": -5)", "max_completion_tokens"},
      {R"(, "max_tokens": 3, "max_completion_tokens": 5)", "max_tokens"},
      {R"(, "seed": "x")", "seed"},
      {R"(, "stop": 1)", "stop"},
      {R"(, "stop": [""])", "stop[0]"},
      {R"(, "stream": 1)", "stream"},
      {R"(, "stream_options": {"include_usage": true})", "stream_options"},
      {R"(, "stream": true, "stream_options": {"usage": true})", "stream_options.usage"},
      {R"(, "logprobs": 3)", "logprobs"},
      {R"(, "top_logprobs": 3)", "top_logprobs"},
      {R"(, "logprobs": true, "top_logprobs": 21)", "top_logprobs"},
      {R"(, "presence_penalty": 0.5)", "presence_penalty"},
      {R"(, "frequency_penalty": 1)", "frequency_penalty"},
      {R"(, "logit_bias": {"5": 1})", "logit_bias"},
      {R"(, "tools": [{}])", "tools"},
      {R"(, "tool_choice": "required")", "tool_choice"},
      {R"(, "response_format": {"type": "json_object"})", "response_format"},
      {R"(, "modalities": ["audio"])", "modalities"},
      {R"(, "user": 3)", "user"},
      {R"(, "refrag": {"mode": "fast"})", "refrag.mode"},
      {R"(, "refrag": {"retrieve": {"top_k": -1}})", "refrag.retrieve.top_k"},
      {R"(, "refrag": {"expand": {"fraction": 2}})", "refrag.expand.fraction"},
      {R"(, "refrag": {"x": 1})", "refrag.x"},
      {R"(, "colour": 1)", "colour"},
  };
  for (const auto& [fields, param] : cases) EXPECT_EQ(param_of([&] { chat(fields); }), param) << fields;
}

TEST(ParseChatTest, EveryWrongMessageIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([])", "messages"},
      {R"({})", "messages"},
      {R"(null)", "messages"},
      {R"(["hi"])", "messages[0]"},
      {R"([{"content": "hi"}])", "messages[0].role"},
      {R"([{"role": "robot", "content": "hi"}])", "messages[0].role"},
      {R"([{"role": "user"}])", "messages[0].content"},
      {R"([{"role": "user", "content": ""}])", "messages[0].content"},
      {R"([{"role": "user", "content": 3}])", "messages[0].content"},
      {R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])", "messages[0].content[0].type"},
      {R"([{"role": "user", "content": [{"type": "text"}]}])", "messages[0].content[0].text"},
      {R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])", "messages[1].role"},
      {R"([{"role": "assistant", "content": "b", "tool_calls": [{}]}])", "messages[0].tool_calls"},
      {R"([{"role": "user", "content": "a", "colour": 1}])", "messages[0].colour"},
  };
  for (const auto& [messages, param] : cases) {
    const Json json = Json::parse(std::string(R"({"model": "fake", "messages": )") + messages + "}");
    EXPECT_EQ(param_of([&] { parse_chat(json, model(), false, {}); }), param) << messages;
  }
}

TEST(ParseChatTest, AnotherModelIsNotFound) {
  try {
    parse_chat(Json::parse(R"({"model": "gpt-4", "messages": []})"), model(), false, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_EQ(error.param(), "model");
    EXPECT_THAT(error.what(), HasSubstr("fake"));
  }
  EXPECT_EQ(param_of([] { parse_chat(Json::parse(R"({"messages": []})"), model(), false, {}); }), "model");
}

TEST(ParseCompletionTest, APromptIsRawUnlessOurExtrasAskForContext) {
  const auto parse = [](const char* text) { return parse_completion(Json::parse(text), model(), true, {}); };
  const CompletionRequest raw =
      parse(R"({"model": "fake", "prompt": ["Once"], "logprobs": 0, "best_of": 1, "echo": false})");
  EXPECT_TRUE(raw.query.raw_prompt);
  EXPECT_EQ(raw.query.mode, Mode::kNone);
  EXPECT_EQ(raw.query.question, "Once");
  EXPECT_TRUE(raw.logprobs);
  EXPECT_EQ(raw.query.logprobs, 1u);
  const CompletionRequest asked = parse(R"({"model": "fake", "prompt": "Who?", "refrag": {"retrieve": {"top_k": 2}}})");
  EXPECT_FALSE(asked.query.raw_prompt);
  EXPECT_EQ(asked.query.mode, Mode::kRefrag);
  EXPECT_EQ(asked.query.retrieve.top_k, 2u);
}

TEST(ParseCompletionTest, EveryWrongFieldIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"()", "prompt"},
      {R"(, "prompt": "")", "prompt"},
      {R"(, "prompt": [])", "prompt"},
      {R"(, "prompt": ["a", "b"])", "prompt"},
      {R"(, "prompt": [1, 2])", "prompt"},
      {R"(, "prompt": "a", "logprobs": -1)", "logprobs"},
      {R"(, "prompt": "a", "echo": true)", "echo"},
      {R"(, "prompt": "a", "suffix": "z")", "suffix"},
      {R"(, "prompt": "a", "best_of": 3)", "best_of"},
      {R"(, "prompt": "a", "messages": [])", "messages"},
  };
  for (const auto& [fields, param] : cases) {
    const Json json = Json::parse(std::string(R"({"model": "fake")") + fields + "}");
    EXPECT_EQ(param_of([&] { parse_completion(json, model(), false, {}); }), param) << fields;
  }
}

EmbeddingsRequest embeddings(const std::string& fields) {
  return parse_embeddings(Json::parse(R"({"model": "fake", )" + fields + "}"), model(), {});
}

TEST(ParseEmbeddingsTest, TextsAndTokenIdsComeAloneOrMany) {
  EXPECT_EQ(embeddings(R"("input": "one")").texts, (std::vector<std::string>{"one"}));
  EXPECT_EQ(embeddings(R"("input": ["one", "two"], "encoding_format": "base64")").texts,
            (std::vector<std::string>{"one", "two"}));
  // Bytes are tokens of the fake model, from 4 on.
  EXPECT_EQ(embeddings(R"("input": [108, 109])").texts, (std::vector<std::string>{"hi"}));
  EXPECT_EQ(embeddings(R"("input": [[108], [109, 109]], "dimensions": 16)").texts,
            (std::vector<std::string>{"h", "ii"}));
  EXPECT_EQ(embeddings(R"("input": ["ab", "c"])").tokens, 3u);
}

TEST(ParseEmbeddingsTest, EveryWrongFieldIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("user": "u")", "input"},
      {R"("input": "")", "input"},
      {R"("input": [])", "input"},
      {R"("input": 3)", "input"},
      {R"("input": ["a", ""])", "input[1]"},
      {R"("input": ["a", 3])", "input[1]"},
      {R"("input": [1000000])", "input"},
      {R"("input": [-1])", "input"},
      {R"("input": [[108], [99999]])", "input[1]"},
      {R"("input": "a", "encoding_format": "hex")", "encoding_format"},
      {R"("input": "a", "dimensions": 3)", "dimensions"},
      {R"("input": "a", "colour": 3)", "colour"},
  };
  for (const auto& [fields, param] : cases) EXPECT_EQ(param_of([&] { embeddings(fields); }), param) << fields;
}

TEST(RenderEmbeddingsTest, VectorsAreNumbersOrBase64OfLittleEndianFloats) {
  const std::vector<std::vector<float>> vectors = {{1.0f, -2.5f}, {0.0f, 0.5f}};
  const Json plain = render_embeddings(vectors, {.texts = {}, .tokens = 7}, "fake");
  EXPECT_EQ(plain["object"], "list");
  EXPECT_EQ(plain["data"][0], Json::parse(R"({"object": "embedding", "index": 0, "embedding": [1.0, -2.5]})"));
  EXPECT_EQ(plain["data"][1]["index"], 1);
  EXPECT_EQ(plain["usage"], Json::parse(R"({"prompt_tokens": 7, "total_tokens": 7})"));
  const Json packed = render_embeddings(vectors, {.texts = {}, .base64 = true}, "fake");
  EXPECT_EQ(packed["data"][0]["embedding"], "AACAPwAAIMA=");  // Python: base64.b64encode(struct.pack("<2f", 1, -2.5))
}

Answer answer() {
  Answer answer;
  answer.text = "yes";
  answer.finish_reason = FinishReason::kLength;
  answer.usage.prompt_positions = 10;
  answer.usage.completion_tokens = 3;
  answer.citations = {{"d", "d#0", 1, 2}};
  answer.tokens = {{.text = "yé", .index = 0, .logprob = -0.5, .top = {{"yé", -0.5}, {"no", -1.5}}},
                   {.text = "s", .index = 1, .logprob = -0.25, .top = {{"s", -0.25}}}};
  return answer;
}

TEST(CompletionWireTest, AWholeChatAnswerHasOpenAisShape) {
  const CompletionWire wire(CompletionWire::Kind::kChat, {}, "r1", "fake", 99);
  Json json = wire.whole(answer());
  EXPECT_EQ(json["refrag"]["citations"][0]["document_id"], "d");
  EXPECT_EQ(json["refrag"]["usage"]["prompt_positions"], 10);
  EXPECT_TRUE(json["refrag"].contains("timings_ms"));
  json.erase("refrag");
  EXPECT_EQ(json, Json::parse(R"({"id": "chatcmpl-r1", "object": "chat.completion", "created": 99, "model": "fake",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes", "refusal": null}, "logprobs": null,
                 "finish_reason": "length"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}})"));
}

TEST(CompletionWireTest, AStreamOpensWithARoleAndClosesWithAReason) {
  CompletionWire wire(CompletionWire::Kind::kChat, {}, "r1", "fake", 99);
  const Json opening = wire.opening({});
  EXPECT_EQ(opening["object"], "chat.completion.chunk");
  EXPECT_EQ(opening["choices"][0]["delta"], Json::parse(R"({"role": "assistant", "content": ""})"));
  EXPECT_EQ(opening["refrag"]["retrieval"]["empty"], true);
  EXPECT_EQ(wire.piece({"a", 0, {}, {}})["choices"][0]["delta"], Json::parse(R"({"content": "a"})"));
  const Json closing = wire.closing(answer());
  EXPECT_EQ(closing["choices"][0]["delta"], Json::object());
  EXPECT_EQ(closing["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(wire.usage(answer())["choices"], Json::array());
  EXPECT_EQ(wire.usage(answer())["usage"]["total_tokens"], 13);
}

TEST(CompletionWireTest, ChatLogprobsListAlternativesAsFarAsAsked) {
  const CompletionWire wire(CompletionWire::Kind::kChat, {.logprobs = true, .top_logprobs = 1}, "r", "fake", 0);
  const Json content = wire.whole(answer())["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 2u);
  EXPECT_EQ(content[0]["bytes"], Json::parse("[121, 195, 169]"));
  EXPECT_EQ(content[0]["logprob"], -0.5);
  EXPECT_EQ(content[0]["top_logprobs"].size(), 1u);
  const CompletionWire bare(CompletionWire::Kind::kChat, {.logprobs = true}, "r", "fake", 0);
  EXPECT_EQ(bare.whole(answer())["choices"][0]["logprobs"]["content"][0]["top_logprobs"], Json::array());
}

TEST(CompletionWireTest, TextLogprobsCountTheirOffsetsInCodePoints) {
  const CompletionWire wire(CompletionWire::Kind::kText, {.logprobs = true, .top_logprobs = 2}, "r", "fake", 0);
  const Json json = wire.whole(answer());
  EXPECT_EQ(json["object"], "text_completion");
  EXPECT_EQ(json["choices"][0]["text"], "yes");
  EXPECT_EQ(json["choices"][0]["logprobs"]["text_offset"], Json::parse("[0, 2]"));
  EXPECT_EQ(json["choices"][0]["logprobs"]["top_logprobs"][0], Json::parse(R"({"yé": -0.5, "no": -1.5})"));
}

TEST(CompletionWireTest, TheOffsetsOfAStreamGoOnFromPieceToPiece) {
  CompletionWire wire(CompletionWire::Kind::kText, {.logprobs = true}, "r", "fake", 0);
  EXPECT_EQ(wire.piece({"yé", 0, {}, {}})["choices"][0]["logprobs"]["text_offset"], Json::parse("[0]"));
  EXPECT_EQ(wire.piece({"s", 1, {}, {}})["choices"][0]["logprobs"]["text_offset"], Json::parse("[2]"));
  EXPECT_EQ(wire.piece({"!", 2, {}, {}})["choices"][0]["logprobs"]["text_offset"], Json::parse("[3]"));
}

}  // namespace
}  // namespace refrag::server
