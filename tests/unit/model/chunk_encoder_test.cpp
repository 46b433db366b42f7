#include "model/chunk_encoder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.h"
#include "support/tiny_models.h"

namespace refrag {
namespace {

using ::testing::HasSubstr;
using Ids = std::vector<TokenId>;

/// A byte is a token. As an encoder's tokenizer it puts nothing around a text and drops the bytes of `dropped`.
class ByteTokenizer : public Tokenizer {
 public:
  explicit ByteTokenizer(std::string dropped = "") : dropped_(std::move(dropped)) {}

  Encoding encode_pieces(const std::vector<TextPiece>&) const override { return {}; }
  Ids encode_for_model(std::string_view text, SpecialTokens) const override {
    Ids ids;
    for (const char byte : text) {
      if (dropped_.find(byte) == std::string::npos) {
        ids.push_back(static_cast<unsigned char>(byte));
      }
    }
    return ids;
  }
  Pair encode_pair(std::string_view, std::string_view) const override { return {}; }
  std::string decode(const Ids&, bool) const override { return {}; }
  std::string bytes_of(TokenId id) const override { return {static_cast<char>(id)}; }
  bool strips_leading_space() const override { return false; }
  std::size_t vocab_size() const override { return 256; }
  std::optional<TokenId> id_of(std::string_view) const override { return std::nullopt; }
  std::string token_of(TokenId) const override { return {}; }
  bool is_special(TokenId) const override { return false; }
  std::optional<TokenId> bos() const override { return std::nullopt; }
  std::optional<TokenId> eos() const override { return std::nullopt; }
  std::optional<TokenId> pad() const override { return std::nullopt; }
  const std::string& identity() const override { return dropped_; }

 private:
  std::string dropped_;
};

// The decoder's tokenizer is byte-level BPE, the encoder's own WordPiece.
class ChunkEncoderTest : public ::testing::Test {
 protected:
  ChunkEncoderTest() {
    testing::tiny_encoder("bert", 1500).write(directory_.path());
    encoder_ = RobertaEncoder::load(directory_.path(), at::kFloat);
  }
  at::Tensor encode_directly(const Ids& ids) const { return encoder_->embed({{ids, {}}}, Pooling::kCls, false)[0]; }
  at::Tensor encode_text(const std::string& text) const {
    return encode_directly(bytewise_->encode_for_model(text, SpecialTokens::kAsText));
  }

  TemporaryDirectory directory_;
  std::shared_ptr<const RobertaEncoder> encoder_;
  std::shared_ptr<const Tokenizer> decoder_ = Tokenizer::load(testing::golden_tokenizer("byte_gpt2"));
  std::shared_ptr<const Tokenizer> bytewise_ = std::make_shared<ByteTokenizer>();
  std::shared_ptr<const Tokenizer> own_ = Tokenizer::load(testing::golden_tokenizer("wordpiece_uncased"));
};

TEST_F(ChunkEncoderTest, WrapsSharedIdsInTheTokensThatAreAskedFor) {
  const ChunkEncoder bare(encoder_, decoder_, {});
  const ChunkEncoder started(encoder_, decoder_, {.start = 7});
  const ChunkEncoder wrapped(encoder_, decoder_, {.start = 7, .end = 8});
  const std::vector<Ids> chunks = {{20, 21, 22}, {23}};

  EXPECT_TRUE(at::allclose(bare.encode(chunks)[0], encode_directly({20, 21, 22}), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(started.encode(chunks)[1], encode_directly({7, 23}), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(wrapped.encode(chunks)[0], encode_directly({7, 20, 21, 22, 8}), 1e-5, 1e-5));
}

TEST_F(ChunkEncoderTest, TokenizesTheChunksTextAnewForATokenizerOfItsOwn) {
  const ChunkEncoder encoder(encoder_, decoder_, {.own_tokenizer = own_});
  const Ids chunk = decoder_->encode("the free software");

  EXPECT_TRUE(at::equal(encoder.encode({chunk})[0], encode_directly(own_->encode_for_model("the free software"))));
}

TEST_F(ChunkEncoderTest, GivesACharacterOnABorderToTheChunkThatHoldsItsFirstByte) {
  const ChunkEncoder encoder(encoder_, bytewise_, {.own_tokenizer = bytewise_});
  const at::Tensor vectors = encoder.encode({{'a', 0xC3}, {0xA9, 'b'}, {'c', 0xE2}, {0x82}, {0xAC, 'd'}});

  EXPECT_TRUE(at::allclose(vectors[0], encode_text("a\xC3\xA9"), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(vectors[1], encode_text("b"), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(vectors[2], encode_text("c\xE2\x82\xAC"), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(vectors[3], encode_text("\xEF\xBF\xBD"), 1e-5, 1e-5));  // nothing of its own
  EXPECT_TRUE(at::allclose(vectors[4], encode_text("d"), 1e-5, 1e-5));
}

TEST_F(ChunkEncoderTest, PutsAReplacementForACharacterWhoseRestDoesNotFollow) {
  const ChunkEncoder encoder(encoder_, bytewise_, {.own_tokenizer = bytewise_});
  const at::Tensor vectors = encoder.encode({{'a', 0xC3}, {'b', 0xC3}});

  EXPECT_TRUE(at::allclose(vectors[0], encode_text("a\xEF\xBF\xBD"), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(vectors[1], encode_text("b\xEF\xBF\xBD"), 1e-5, 1e-5));
}

TEST_F(ChunkEncoderTest, EncodesChunksOfWhichItsTokenizerKeepsNothing) {
  const ChunkEncoder encoder(encoder_, bytewise_, {.own_tokenizer = std::make_shared<ByteTokenizer>("\xEF\xBF\xBD ")});
  const at::Tensor vectors = encoder.encode({{0xA9}, {' '}, {}});

  EXPECT_TRUE(at::allclose(vectors[0], encode_directly({0}), 1e-5, 1e-5));  // the padding token
  EXPECT_TRUE(at::allclose(vectors[1], encode_directly({0}), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(vectors[2], encode_directly({0}), 1e-5, 1e-5));
}

TEST_F(ChunkEncoderTest, CutsChunksThatAreTooLongForTheEncoderAndWarns) {
  const ChunkEncoder encoder(encoder_, decoder_, {.own_tokenizer = own_});
  const Ids chunk = decoder_->encode("a b c d e f g h i j k l m n o p q r s t u v w x y z");
  Ids expected = own_->encode_for_model("a b c d e f g h i j k l m n o p q r s t u v w x y z");
  const TokenId end = expected.back();
  expected.resize(encoder_->config().longest_input());
  expected.back() = end;

  configure_log({.level = LogLevel::kWarning});
  ::testing::internal::CaptureStderr();
  const at::Tensor vectors = encoder.encode({chunk, chunk, chunk, chunk});
  const std::string lines = ::testing::internal::GetCapturedStderr();
  configure_log({.level = LogLevel::kOff});

  EXPECT_TRUE(at::allclose(vectors[0], encode_directly(expected), 1e-5, 1e-5));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3) << lines;  // the first, the second and the fourth
  EXPECT_THAT(lines, HasSubstr("4 chunks so far were longer than the encoder's 20 tokens"));
}

TEST_F(ChunkEncoderTest, RefusesAnEmptyChunk) {
  const ChunkEncoder encoder(encoder_, decoder_, {});

  EXPECT_THROW(encoder.encode({{5}, {}}), Error);
}

}  // namespace
}  // namespace refrag
