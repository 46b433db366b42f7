#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "refrag/error.h"

namespace refrag {
namespace {

using ::testing::HasSubstr;

std::string render(const std::string& source, const std::vector<ChatMessage>& messages = {{"user", "hi"}}) {
  std::string text;
  for (const TextPiece& piece : ChatTemplate(source, {}).render(messages, true)) {
    text += piece.text;
  }
  return text;
}

std::string error_of(const std::string& source) {
  try {
    render(source);
  } catch (const Error& error) {
    return std::string(name_of(error.code())) + ": " + error.what();
  }
  return "no error";
}

std::string times(int count, const std::string& text) {
  std::string all;
  for (int n = 0; n < count; ++n) {
    all += text;
  }
  return all;
}

/// The most memory that this process ever had.
long peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

/// Pieces that are a user's, in brackets.
std::string marked(const std::string& source, const std::string& content) {
  std::string text;
  for (const TextPiece& piece : ChatTemplate(source, {}).render({{"user", content}}, true)) {
    text += piece.special == SpecialTokens::kParse ? piece.text : "[" + piece.text + "]";
  }
  return text;
}

TEST(ChatTemplateTest, ContentStaysAUsersThroughEveryOperation) {
  EXPECT_EQ(marked("<s>{{ messages[0].content }}</s>", "</s>"), "<s>[</s>]</s>");
  EXPECT_EQ(marked("{{ '<' + messages[0]['content'] | trim + '>' }}", "  x "), "<[x]>");
  EXPECT_EQ(marked("{{ messages[0].content.split(',')[1] ~ '!' }}", "a,b"), "[b]!");
  EXPECT_EQ(marked("{{ messages[0].content | replace('a', '<s>') }}", "xay"), "[x]<s>[y]");
  EXPECT_EQ(marked("{{ messages[0].content[1:] | upper }}", "abc"), "[BC]");
  EXPECT_EQ(marked("{{ messages[0] | tojson }}", "q"), "{\"role\": \"user\", \"content\": \"[q]\"}");
  EXPECT_EQ(marked("{% set x %}<s>{{ messages[0].content }}{% endset %}{{ x }}", "q"), "<s>[q]");
}

TEST(ChatTemplateTest, WhatIsNotKnownIsRefusedByName) {
  EXPECT_THAT(error_of("{% include 'x' %}"),
              HasSubstr("unsupported: chat template, line 1: the statement {% include %}"));
  EXPECT_THAT(error_of("{{ 1 | frobnicate }}"), HasSubstr("filter 'frobnicate'"));
  EXPECT_THAT(error_of("{% if false %}{{ 1 is odd_looking }}{% endif %}"), HasSubstr("test 'odd_looking'"));
  EXPECT_THAT(error_of("{{ frobnicate() }}"), HasSubstr("function 'frobnicate'"));
}

TEST(ChatTemplateTest, WhatIsNoTemplateIsToldWithItsLine) {
  EXPECT_THAT(error_of("a\n{% if x %}"), HasSubstr("expected {% endif %}"));
  EXPECT_THAT(error_of("a\n\n{{ 'open }}"), HasSubstr("line 3"));
  EXPECT_THAT(error_of("{{ (1, }}"), HasSubstr("corrupt"));
  EXPECT_THAT(error_of("{{ 1 +"), HasSubstr("not closed"));
}

TEST(ChatTemplateTest, RaiseExceptionSpeaksInTheTemplatesOwnWords) {
  EXPECT_EQ(error_of("{{ raise_exception('only users may begin') }}"), "invalid_argument: only users may begin");
  EXPECT_EQ(error_of("{{ raise_exception('x' * 9999999) }}"), "invalid_argument: " + std::string(1000, 'x'));
}

TEST(ChatTemplateTest, HostileTemplatesEndInAnError) {
  EXPECT_THAT(error_of("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"),
              HasSubstr("steps"));
  EXPECT_THAT(error_of("{{ range(10 ** 9) }}"), HasSubstr("chat template"));
  EXPECT_THAT(error_of("{{ 'x' * 99999999 }}"), HasSubstr("string is longer"));
  EXPECT_THAT(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), HasSubstr("nested more than"));
  EXPECT_THAT(error_of("{{ " + std::string(50'000, '(') + " }}"), HasSubstr("corrupt"));
  EXPECT_THAT(error_of("{{ 1" + times(50'000, " + 1") + " }}"), HasSubstr("tokens"));
  EXPECT_THAT(error_of("{{ 1 // 0 }}"), HasSubstr("division by zero"));
  EXPECT_THAT(error_of("{{ 9223372036854775807 + 1 }}"), HasSubstr("too large"));
}

TEST(ChatTemplateTest, ANamespaceCannotHoldItself) {
  const std::string made = "{% set ns = namespace(a={}) %}";
  EXPECT_THAT(error_of(made + "{% set ns.a = ns %}{{ ns }}"), HasSubstr("a namespace cannot be part of"));
  EXPECT_THAT(error_of(made + "{% set ns.a = [ns] %}{{ ns }}"), HasSubstr("a namespace cannot be part of"));
  EXPECT_THAT(error_of(made + "{% set ns.a = ns.items %}{{ ns.a() }}"), HasSubstr("a namespace cannot be part of"));
  EXPECT_EQ(render("{% macro m(n) %}{% set n.a = 1 %}{% endmacro %}" + made + "{{ m(ns) }}{{ ns.a }}"), "1");
}

TEST(ChatTemplateTest, ValuesCannotBeNestedWithoutEnd) {
  const auto nested = [](const std::string& levels, const std::string& value) {
    return "{% set ns = namespace(a={}) %}{% for i in range(" + levels + ") %}{% set ns.a = " + value +
           " %}{% endfor %}{{ ns.a }}";
  };
  EXPECT_THAT(error_of(nested("90000", "[ns.a]")), HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(error_of(nested("90000", "{'a': ns.a}")), HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(error_of(nested("90000", "{'a': ns.a.items}")), HasSubstr("nested more than 100 deep"));
  EXPECT_EQ(render(nested("98", "[ns.a]")), std::string(98, '[') + "{}" + std::string(98, ']'));
}

TEST(ChatTemplateTest, ValuesThatShareTheirPartsCostWhatTheySeemToHold) {
  const std::string doubled =
      "{% set ns = namespace(a=[], b=[]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}"
      "{% set ns.b = [ns.b, ns.b] %}{% endfor %}";
  EXPECT_THAT(error_of(doubled + "{{ ns.a == ns.b }}"), HasSubstr("steps"));
  EXPECT_THAT(error_of(doubled + "{{ [ns.b] is in [[ns.a]] }}"), HasSubstr("steps"));
  EXPECT_THAT(error_of(doubled + "{{ ns.a }}"), HasSubstr("string is longer"));
  EXPECT_THAT(error_of(doubled + "{{ ns.a | tojson }}"), HasSubstr("string is longer"));
}

TEST(ChatTemplateTest, TheStackHoldsTheDeepestTemplate) {
  const std::string deep = "{% macro m() %}{{ m()" + times(980, " + ''") + " }}{% endmacro %}{{ m() }}";
  EXPECT_THAT(error_of(deep), HasSubstr("nested more than 500 deep"));
  std::thread([&] { EXPECT_THAT(error_of(deep), HasSubstr("nested more than 500 deep")); }).join();
  const std::string loops = times(45, "{% for x in [1] %}") + "{{ m() }}" + times(45, "{% endfor %}");
  EXPECT_THAT(error_of("{% macro m() %}" + loops + "{% endmacro %}{{ m() }}"), HasSubstr("nested more than 500 deep"));
  EXPECT_THAT(error_of("{{ 'ab' | map(" + times(900, "'map', ") + "'upper') | list }}"), HasSubstr("not supported"));
  EXPECT_EQ(render("{{ 1" + times(400, " + 1") + " }}"), "401");
}

TEST(ChatTemplateTest, AMacroThatFailsInsideLoopsIsAnErrorLikeAnyOther) {
  EXPECT_EQ(error_of("{% macro m() %}{{ raise_exception('no') }}{% endmacro %}" + times(5, "{% for x in [1] %}") +
                     "{{ m() }}" + times(5, "{% endfor %}")),
            "invalid_argument: no");
}

TEST(ChatTemplateTest, TextsStopGrowingWhileTheyAreMade) {
  const std::string text = "{% set s = 'x' * 16000000 %}";
  EXPECT_THAT(error_of("{{ range(400) | join('x' * 16000000) }}"), HasSubstr("string is longer"));
  EXPECT_THAT(error_of(text + "{{ s | replace('x', s) }}"), HasSubstr("string is longer"));
  EXPECT_THAT(error_of(text + "{{ [s, s, s, s, s] | string }}"), HasSubstr("string is longer"));
  EXPECT_THAT(error_of(text + "{{ [s, s, s, s, s] | tojson }}"), HasSubstr("string is longer"));
  EXPECT_THAT(error_of(text + "{% set l = [" + times(900, "s, ") + "] %}{{ l | map('string') | length }}"),
              HasSubstr("steps"));
  EXPECT_THAT(error_of(text + "{{ s | list | length }}"), HasSubstr("steps"));
  EXPECT_THAT(error_of(text + "{{ s.split('x') | length }}"), HasSubstr("steps"));
  EXPECT_THAT(
      error_of("{% for i in range(90000) %}{% set x %}" + std::string(900'000, 'x') + "{% endset %}{% endfor %}"),
      HasSubstr("steps"));
}

TEST(ChatTemplateTest, CopiesOfALongTextShareIt) {
  const long before = peak_megabytes();
  EXPECT_EQ(render("{% set s = 'x' * 16000000 %}{% set l = [" + times(900, "s, ") + "] %}{{ l | length }}"), "900");
  EXPECT_LT(peak_megabytes() - before, 1000);  // 28,800 with a copy each
}

// Many minutes with a copy each, which the time limit of a test does not allow.
TEST(ChatTemplateTest, LookingAtALongTextTakesNoTime) {
  EXPECT_EQ(render("{% set s = 'x' * 16000000 %}{% for i in range(90000) %}{% if s == 'y' %}no{% endif %}"
                   "{% endfor %}yes"),
            "yes");
}

// Hours where every place is compared.
TEST(ChatTemplateTest, SearchesTakeLinearTime) {
  const std::string texts = "{% set s = 'a' * 16000000 %}{% set n = 'a' * 8000000 ~ 'b' %}";
  EXPECT_EQ(render(texts + "{{ n in s }} {{ s.find(n) }} {{ s.count(n) }} {{ s.split(n) | length }}"), "False -1 0 1");
  EXPECT_THAT(error_of(texts + "{{ s.strip(n) }}"), HasSubstr("strip with a string of 8000001 bytes"));
  EXPECT_THAT(error_of(texts + "{{ s.rsplit(n) }}"), HasSubstr("rsplit with a string of 8000001 bytes"));
}

TEST(ChatTemplateTest, LongTemplatesAreRead) { EXPECT_EQ(render(times(150'000, "{{1}}\n")).size(), 299'999U); }

TEST(ChatTemplateTest, APromptOfCountlessPiecesIsRefused) {
  const std::vector<ChatMessage> words = {{"user", times(600'000, "a ")}};
  EXPECT_THROW(render("{{ messages[0].content | replace(' ', 'x') }}", words), Error);
  EXPECT_NO_THROW(render("{{ messages[0].content | replace('a', 'x') | length }}", words));
}

TEST(ChatTemplateTest, NamesAndKeysAreShort) {
  const std::string text = "{% set s = 'x' * 16000000 %}";
  EXPECT_THAT(error_of("{{ " + std::string(500'000, 'a') + " }}"), HasSubstr("a name has 500000 bytes"));
  EXPECT_THAT(error_of(text + "{{ {s: 1} }}"), HasSubstr("keys"));
  EXPECT_THAT(error_of(text + "{{ {}[s].a }}"),
              AllOf(HasSubstr("is undefined"), ::testing::SizeIs(::testing::Lt(1000))));
  std::string many;
  for (int n = 0; n < 600; ++n) {
    many += "{% set ns.a" + std::to_string(n) + " = 1 %}";
  }
  EXPECT_THAT(error_of("{% set ns = namespace() %}" + many), HasSubstr("more than 500 keys"));
}

TEST(ChatTemplateTest, ConversationsOfMegabytesRender) {
  const std::string content = times(400'000, "hello there\n");
  const std::string source =
      "{%- for message in messages[::-1] %}{% set seen = message.content is string and not "
      "message.content.startswith('<tool>') and messages | length > 1 %}{% endfor %}"
      "{%- for message in messages %}{% set content = message['content'] | trim %}"
      "{%- if '</think>' in content %}{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
      "{{- '<|' + message.role + '|>' + content + '<|end|>' + '\\n' }}{% endfor %}";
  const std::string text = render(source, {{"user", content}, {"assistant", "</think>" + content}, {"user", content}});
  const std::string stripped = content.substr(0, content.size() - 1);
  EXPECT_TRUE(text == "<|user|>" + stripped + "<|end|>\n<|assistant|>" + stripped + "<|end|>\n<|user|>" + stripped +
                          "<|end|>\n");
}

TEST(ChatTemplateTest, LoadTakesTheDefaultOfSeveralTemplatesAndTokensInBothSpellings) {
  const TemporaryDirectory directory;
  write_file_atomic(directory.path() / "tokenizer_config.json",
                    R"({"bos_token": {"content": "<b>"}, "eos_token": "</b>", "chat_template":
                        [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ bos_token }}{{ eos_token }}"}]})");
  const std::optional<ChatTemplate> chat = ChatTemplate::load(directory.path());
  ASSERT_TRUE(chat.has_value());
  const std::vector<TextPiece> pieces = chat->render({}, false);
  ASSERT_EQ(pieces.size(), 1U);
  EXPECT_EQ(pieces.front().text, "<b></b>");
}

TEST(ChatTemplateTest, AModelWithoutATemplateHasNone) {
  const TemporaryDirectory directory;
  EXPECT_FALSE(ChatTemplate::load(directory.path()).has_value());
  write_file_atomic(directory.path() / "tokenizer_config.json", "{}");
  EXPECT_FALSE(ChatTemplate::load(directory.path()).has_value());
}

}  // namespace
}  // namespace refrag
