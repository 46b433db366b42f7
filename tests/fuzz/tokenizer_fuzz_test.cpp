// Hostile tokenizer files and hostile text: nothing but refrag::Error may come out.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/utf8.h"
#include "support/golden.h"
#include "support/mutate.h"
#include "support/sentencepiece_file.h"
#include "text/charsmap.h"
#include "text/json_tokenizer.h"
#include "text/regex.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"

namespace refrag {
namespace {

using testing::fuzz;

const std::string kText = "Hello  w\u00F6rld, 123 \u4F60\u597D </s> <|end|>\n\U0001F600 e\u0301 \xFF";

std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(REFRAG_SOURCE_DIR) / "tests" / "golden" / "tokenizers" / name;
}

/// What every caller does with a tokenizer.
void use(const Tokenizer& tokenizer, const std::string& text) {
  const std::string valid = to_valid_utf8(text);
  for (const SpecialTokens special : {SpecialTokens::kAsText, SpecialTokens::kParse}) {
    const Encoding encoding = tokenizer.encode_with_ranges(text, special);
    ASSERT_EQ(encoding.ids.size(), encoding.ranges.size());
    std::uint32_t done = 0;
    for (const ByteRange& range : encoding.ranges) {
      ASSERT_TRUE(done <= range.begin && range.begin <= range.end && range.end <= valid.size());
      done = range.end;
    }
    ASSERT_TRUE(is_valid_utf8(tokenizer.decode(encoding.ids)));
  }
  tokenizer.encode_pair(text, text);
  tokenizer.decode({-1, 0, 1, 2, 3, 1 << 30}, false);
  tokenizer.bytes_of(5);
}

/// Without write_file_atomic's waiting for the disk.
void write_quickly(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

void use_file(const std::string& name, const std::string& content) {
  const TemporaryDirectory directory;
  write_quickly(directory.path() / name, content);
  use(*Tokenizer::load(directory.path()), kText);
}

/// A random value inside `json`.
Json& pick(Json& json, std::mt19937_64& random) {
  if (!json.is_structured() || json.empty() || random() % 6 == 0) {
    return json;
  }
  auto child = json.begin();
  std::advance(child, static_cast<std::ptrdiff_t>(random() % json.size()));
  return pick(*child, random);
}

TEST(TokenizerFuzzTest, TokenizerJsonOfHostileBytes) {
  fuzz({read_file(fixture("llama_json/tokenizer.json")), read_file(fixture("byte_llama3/tokenizer.json")),
        read_file(fixture("wordpiece_cased/tokenizer.json"))},
       [](const std::string& content) { use_file("tokenizer.json", content); });
}

TEST(TokenizerFuzzTest, TokenizerJsonOfHostileValues) {
  std::vector<Json> files;
  for (const char* name : {"llama_json", "byte_roberta", "wordpiece_uncased", "xlmr_json"}) {
    files.push_back(parse_json_file(fixture(name) / "tokenizer.json"));
  }
  Json& unigram = files.back();  // fewer tokens and no rules: a round takes milliseconds
  unigram["model"]["vocab"].erase(unigram["model"]["vocab"].begin() + 200, unigram["model"]["vocab"].end());
  unigram["normalizer"]["normalizers"].erase(0);
  unigram["added_tokens"].erase(unigram["added_tokens"].size() - 1);
  std::mt19937_64 random(testing::fuzz_setting("REFRAG_FUZZ_SEED", 1));
  fuzz({"swap values"}, [&](const std::string&) {
    Json json = files[random() % files.size()];
    for (std::uint64_t i = random() % 3 + 1; i > 0; --i) {
      const Json other[] = {
          pick(files[random() % files.size()], random), nullptr, -1, 1e300, "", true, 18446744073709551615U};
      pick(json, random) = other[random() % 3 == 0 ? random() % std::size(other) : 0];
    }
    use(*make_json_tokenizer(json, {}, "tokenizer.json: ", "identity"), kText);
  });
}

TEST(TokenizerFuzzTest, TokenizerModel) {
  testing::SentencePieceFile unigram;
  unigram.with({{"\u2581", -2}, {"a", -1}, {"Hello", -1}, {"</s", -1, testing::SentencePieceFile::kUserDefined}});
  testing::SentencePieceFile merges = unigram;
  merges.with_bytes().is_bpe = true;
  fuzz({unigram.str(), merges.str(), read_file(fixture("sp_bpe_llama/tokenizer.model"))},
       [](const std::string& content) { use_file("tokenizer.model", content); });
}

TEST(TokenizerFuzzTest, PrecompiledRules) {
  const std::string model = read_file(fixture("sp_unigram_bytes/tokenizer.model"));
  fuzz({SentencePieceModel::read(model, "model").charsmap}, [](const std::string& blob) {
    const CharsMap rules(blob, "rules");
    for (std::size_t i = 0; i < kText.size(); ++i) {
      rules.longest_rule(std::string_view(kText).substr(i));
      rules.shortest_rule(std::string_view(kText).substr(i));
    }
  });
}

TEST(TokenizerFuzzTest, VocabTxtAndConfigurations) {
  fuzz({"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\nworld\n,\n"},
       [](const std::string& content) { use_file("vocab.txt", content); });
  const std::string vocab = read_file(fixture("wordpiece_cased/vocab.txt"));
  fuzz({read_file(fixture("wordpiece_cased/tokenizer_config.json")),
        R"({"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": {"7": {"content": "<x>", "lstrip": true}},
            "eos_token": {"content": "</s>"}, "legacy": false, "additional_special_tokens": ["<y>"]})"},
       [&vocab](const std::string& content) {
         const TemporaryDirectory directory;
         write_quickly(directory.path() / "vocab.txt", vocab);
         write_quickly(directory.path() / "tokenizer_config.json", content);
         use(*Tokenizer::load(directory.path()), kText);
       });
}

TEST(TokenizerFuzzTest, Patterns) {
  fuzz({R"((?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}]+[\r\n]*|\s+(?!\S)|\s+)",
        R"([a[bc]\w]\h\u2581\b)", R"( ?[^(\s|[.,!?])]+)"},
       [](const std::string& pattern) { Regex(to_valid_utf8(pattern)).find_all(to_valid_utf8(kText)); });
}

TEST(TokenizerFuzzTest, Text) {
  for (const char* name : {"byte_llama3", "byte_roberta", "llama_json", "xlmr_json", "wordpiece_uncased",
                           "sp_bpe_llama", "sp_unigram_xlmr", "sp_unigram_bytes"}) {
    const auto tokenizer = Tokenizer::load(fixture(name));
    std::vector<std::string> seeds = {kText, "</s><s> <mask>  x", std::string(3, '\0')};
    fuzz(seeds, [&tokenizer](const std::string& text) { use(*tokenizer, text); });
  }
}

TEST(TokenizerFuzzTest, RandomIdsGiveValidTextInPartsThatJoin) {
  for (const char* name :
       {"byte_llama3", "llama_json", "xlmr_json", "wordpiece_uncased", "sp_bpe_llama", "sp_unigram_bytes"}) {
    const auto tokenizer = Tokenizer::load(fixture(name));
    fuzz({std::string("\x01\x02\x45\x00\x77", 5), std::string(40, 'a')}, [&tokenizer](const std::string& bytes) {
      std::vector<TokenId> ids;
      for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        const int pair = static_cast<unsigned char>(bytes[i]) * 256 + static_cast<unsigned char>(bytes[i + 1]);
        ids.push_back(pair % static_cast<int>(tokenizer->vocab_size() + 2) - 1);
      }
      IncrementalDecoder decoder(tokenizer);
      std::string text;
      for (const TokenId id : ids) {
        const std::string part = decoder.add(id);
        ASSERT_TRUE(is_valid_utf8(part));
        text += part;
      }
      ASSERT_EQ(text + decoder.finish(), tokenizer->decode(ids));
    });
  }
}

}  // namespace
}  // namespace refrag
