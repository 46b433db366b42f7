// Every tokenizer fixture: what Hugging Face's `tokenizers` and SentencePiece give for the same files (README.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "support/golden.h"
#include "text/json_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer.h"
#include "text/vocab_file.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using testing::golden_directory;

/// One file of a fixture that a tokenizer can be made from: its vectors hold for each.
struct Form {
  fs::path vectors;
  fs::path directory;  // of the tokenizer
  std::string file;    // "tokenizer.json"

  friend std::ostream& operator<<(std::ostream& out, const Form& form) {
    return out << form.vectors.parent_path().filename().string() << "/" << form.file;
  }
};

/// Real tokenizers may not lie here: REFRAG_SMOLLM2_DIR names the directory of real_smollm2's, and so on.
std::string variable_of(const std::string& fixture) {
  std::string name = "REFRAG_" + fixture.substr(fixture.find('_') + 1) + "_DIR";
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; });
  return name;
}

fs::path outside_directory(const std::string& fixture) {
  const char* directory = std::getenv(variable_of(fixture).c_str());
  return directory == nullptr ? fs::path() : fs::path(directory);
}

std::vector<Form> all_forms() {
  std::vector<Form> forms;
  const fs::path root = golden_directory() / "tokenizers";
  if (!fs::is_directory(root)) {
    return forms;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    const fs::path vectors = entry.path() / "vectors.json";
    if (!fs::exists(vectors)) {
      continue;
    }
    bool has_form = false;
    for (const char* file : {"tokenizer.model", "tokenizer.json", "vocab.txt"}) {
      if (fs::exists(entry.path() / file)) {
        forms.push_back({vectors, entry.path(), file});
        has_form = true;
      }
    }
    if (!has_form) {
      forms.push_back({vectors, outside_directory(entry.path().filename().string()), "tokenizer.json"});
    }
  }
  std::sort(forms.begin(), forms.end(),
            [](const Form& a, const Form& b) { return std::pair(a.vectors, a.file) < std::pair(b.vectors, b.file); });
  return forms;
}

std::vector<Form> forms_with_chats() {
  std::vector<Form> forms = all_forms();
  std::erase_if(forms, [](const Form& form) { return !testing::read_golden_json(form.vectors).contains("chat"); });
  return forms;
}

std::shared_ptr<const Tokenizer> load(const Form& form) {
  return form.file == "tokenizer.model"  ? load_sentencepiece(form.directory)
         : form.file == "tokenizer.json" ? load_json_tokenizer(form.directory)
                                         : load_vocab_file(form.directory);
}

std::vector<TokenId> ids_of(const Json& json) { return json.get<std::vector<TokenId>>(); }

/// The vectors of a tokenizer.json come from `tokenizers`, which finds special tokens in the text; those of a
/// tokenizer.model from SentencePiece, which does not.
class GoldenTokenizerTest : public ::testing::TestWithParam<Form> {
 protected:
  void SetUp() override {
    if (GetParam().directory.empty()) {
      const std::string fixture = GetParam().vectors.parent_path().filename().string();
      GTEST_SKIP() << GetParam() << " is not here; " << variable_of(fixture) << " names its directory";
    }
    vectors_ = testing::read_golden_json(GetParam().vectors);
    tokenizer_ = load(GetParam());
    special_ = is_sentencepiece() ? SpecialTokens::kAsText : SpecialTokens::kParse;
  }

  bool is_sentencepiece() const { return GetParam().file == "tokenizer.model"; }
  const Json& cases() const { return vectors_.at("cases"); }

  Json vectors_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  SpecialTokens special_ = SpecialTokens::kAsText;
};

class GoldenChatTest : public GoldenTokenizerTest {};

TEST_P(GoldenTokenizerTest, IdsAreThoseOfTheReference) {
  ASSERT_FALSE(cases().empty());
  for (const Json& c : cases()) {
    const auto text = c.at("text").get<std::string>();
    EXPECT_EQ(tokenizer_->encode_for_model(text, special_), ids_of(c.at("ids"))) << c.at("text");
    if (c.contains("ids_without_special")) {
      EXPECT_EQ(tokenizer_->encode(text, special_), ids_of(c.at("ids_without_special"))) << c.at("text");
    }
  }
}

TEST_P(GoldenTokenizerTest, TokensAreSpeltAsInTheReference) {
  for (const Json& c : cases()) {
    if (!c.contains("tokens")) {
      continue;
    }
    // SentencePiece's list leaves BOS and EOS out.
    const auto text = c.at("text").get<std::string>();
    const std::vector<TokenId> ids =
        is_sentencepiece() ? tokenizer_->encode(text, special_) : tokenizer_->encode_for_model(text, special_);
    std::vector<std::string> spelt;
    for (const TokenId id : ids) {
      spelt.push_back(tokenizer_->token_of(id));
    }
    auto expected = c.at("tokens").get<std::vector<std::string>>();
    ASSERT_EQ(spelt.size(), expected.size()) << c.at("text");
    for (std::size_t i = 0; i < expected.size(); ++i) {
      // `tokenizers` writes the text itself where the token is unknown or stands for a stretch of it.
      if (tokenizer_->id_of(expected[i]) == ids[i]) {
        EXPECT_EQ(spelt[i], expected[i]) << c.at("text");
      }
    }
  }
}

TEST_P(GoldenTokenizerTest, DecodedTextIsThatOfTheReference) {
  for (const Json& c : cases()) {
    const std::vector<TokenId> ids = ids_of(c.at("ids"));
    EXPECT_EQ(tokenizer_->decode(ids), c.at("decoded").get<std::string>()) << c.at("text");
    if (c.contains("decoded_all")) {
      EXPECT_EQ(tokenizer_->decode(ids, false), c.at("decoded_all").get<std::string>()) << c.at("text");
    }
  }
}

TEST_P(GoldenTokenizerTest, BytesThatAreNotUtf8CountAsReplacementCharacters) {
  for (const Json& c : cases()) {
    if (!c.contains("source_hex")) {
      continue;
    }
    const auto hex = c.at("source_hex").get<std::string>();
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    EXPECT_EQ(tokenizer_->encode_for_model(bytes, special_), ids_of(c.at("ids"))) << hex;
  }
}

TEST_P(GoldenTokenizerTest, TextGivenTokenByTokenIsTheDecodedText) {
  for (const Json& c : cases()) {
    std::vector<TokenId> ids = ids_of(c.at("ids"));
    for (int round = 0; round < 2; ++round) {
      IncrementalDecoder decoder(tokenizer_);
      std::string text;
      for (const TokenId id : ids) {
        const std::string part = decoder.add(id);
        EXPECT_TRUE(is_valid_utf8(part)) << c.at("text");
        text += part;
      }
      EXPECT_EQ(text + decoder.finish(), tokenizer_->decode(ids)) << c.at("text");
      std::reverse(ids.begin(), ids.end());  // half characters and byte tokens in a senseless order
    }
  }
}

TEST_P(GoldenTokenizerTest, RangesAreInOrderAndCutNoCharacter) {
  for (const Json& c : cases()) {
    const auto text = c.at("text").get<std::string>();
    const Encoding encoding = tokenizer_->encode_with_ranges(text, special_);
    ASSERT_EQ(encoding.ids.size(), encoding.ranges.size());
    std::uint32_t done = 0;
    for (const ByteRange& range : encoding.ranges) {
      EXPECT_LE(done, range.begin) << c.at("text");
      EXPECT_LE(range.begin, range.end) << c.at("text");
      EXPECT_LE(range.end, text.size()) << c.at("text");
      EXPECT_TRUE(is_valid_utf8(text.substr(range.begin, range.end - range.begin))) << c.at("text");
      done = range.end;
    }
  }
}

TEST_P(GoldenTokenizerTest, UserTextHasNoSpecialTokens) {
  for (const Json& c : cases()) {
    const TokenId unknown = tokenizer_->id_of("<unk>").value_or(tokenizer_->id_of("[UNK]").value_or(-1));
    for (const TokenId id : tokenizer_->encode(c.at("text").get<std::string>())) {
      EXPECT_TRUE(!tokenizer_->is_special(id) || id == unknown)
          << c.at("text") << " gives " << tokenizer_->token_of(id);
    }
  }
}

TEST_P(GoldenTokenizerTest, AnyCutIntoPiecesGivesTheIdsOfTheWholeText) {
  for (const Json& c : cases()) {
    const auto text = c.at("text").get<std::string>();
    const std::size_t middle = byte_of_code_point(text, count_code_points(text) / 2);
    const Encoding pieces =
        tokenizer_->encode_pieces({{text.substr(0, middle), special_}, {text.substr(middle), special_}});
    EXPECT_EQ(pieces.ids, tokenizer_->encode(text, special_)) << c.at("text");
  }
}

TEST_P(GoldenChatTest, RenderedChatsGiveTheIdsOfTheReference) {
  for (const Json& chat : vectors_.at("chat")) {
    EXPECT_EQ(tokenizer_->encode(chat.at("text").get<std::string>(), SpecialTokens::kParse), ids_of(chat.at("ids")))
        << chat.at("text");
  }
}

std::string test_name(const ::testing::TestParamInfo<Form>& info) {
  std::string name = ::testing::PrintToString(info.param);
  for (char& c : name) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    c = fits ? c : '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenTokenizerTest, ::testing::ValuesIn(all_forms()), test_name);
INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenChatTest, ::testing::ValuesIn(forms_with_chats()), test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenTokenizerTest);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenChatTest);

TEST(GoldenTokenizersTest, FixturesAreThere) {
  if (!testing::has_golden("tokenizers")) {
    GTEST_SKIP() << "no tokenizers in " << golden_directory();
  }
  EXPECT_FALSE(all_forms().empty());
}

}  // namespace
}  // namespace refrag
