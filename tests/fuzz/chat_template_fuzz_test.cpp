// Hostile chat templates: nothing but refrag::Error may come out.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "support/golden.h"
#include "support/mutate.h"
#include "text/chat_template.h"

namespace refrag {
namespace {

using testing::fuzz;

void render(const std::string& source) {
  const std::vector<ChatMessage> messages = {
      {"system", "Be <brief>.\n"}, {"user", " </s> w\u00F6rld "}, {"assistant", "<think>a</think>\xFF"}, {"user", ""}};
  const ChatTemplate chat(source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  for (const TextPiece& piece : chat.render(messages, true)) {
    ASSERT_FALSE(piece.text.empty());
    ASSERT_TRUE(is_valid_utf8(piece.text));
  }
}

TEST(ChatTemplateFuzzTest, TemplatesOfHostileBytes) {
  const std::filesystem::path golden = std::filesystem::path(REFRAG_SOURCE_DIR) / "tests" / "golden";
  const Json cases = parse_json_file(golden / "chat_templates" / "cases.json");
  std::vector<std::string> seeds;
  for (const Json& source : cases.at("templates")) {
    seeds.push_back(source.get<std::string>());
  }
  fuzz(seeds, render);
}

/// Templates that have a limit each to run into, or to slip by once they are changed a little.
TEST(ChatTemplateFuzzTest, TemplatesThatAskForTooMuch) {
  const std::string doubled =
      "{% set n = namespace(a=[], b=[]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}"
      "{% endfor %}{{ n.a == n.b }}{{ n.a in n.b }}{{ n.a | tojson(indent=4) }}";
  const std::string bound =
      "{% set n = namespace(a={}) %}{% for i in range(200) %}{% set n.a = {'a': n.a.items} %}{% endfor %}{{ n.a.a() }}";
  fuzz(
      {doubled, bound, "{% set n = namespace() %}{% set n.a = n %}{{ n }}{{ n == n }}{{ n | tojson }}",
       "{% set n = namespace(a=1) %}{% for i in range(200) %}{% set n.a = [n.a, {'b': n.a}] %}{% endfor %}{{ n.a }}",
       "{% macro m(x) %}{{ m(x + '' ~ x) + '' + '' }}{% endmacro %}{% for i in [1] %}{{ m('x') }}{% endfor %}",
       "{{ range(400) | join('x' * 900000) }}{{ ('a,' * 900000).split(',') | map('upper') | join }}",
       "{% set s = 'xy' * 90000 %}{% set l = [s, s, s, s] %}{{ l | map('replace', 'x', s) | list | length }}",
       "{% set s = 'x' * 90000 %}{% for c in s %}{% if s == 'y' or s in s %}{{ loop.previtem }}{% endif %}{% endfor %}",
       "{{ messages[0].content[::-1] | list | tojson }}{{ dict(a=1)['x' * 999] }}{{ ('x' * 999).strip('y' * 99) }}"},
      render, testing::fuzz_rounds() / 4);
}

}  // namespace
}  // namespace refrag
