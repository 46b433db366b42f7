#include "refrag/model_bundle.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "model/parts.h"
#include "support/errors.h"
#include "support/tiny_models.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::BundleCopy;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TinyModel;

std::shared_ptr<const ModelBundle> load(const fs::path& directory) {
  return ModelBundle::load(directory, {.dtype = Dtype::kFp32, .threads = 1});
}

std::string refusal(const fs::path& directory, ErrorCode code) {
  try {
    load(directory);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

TEST(ModelBundle, LoadsWhatTheDirectoryHolds) {
  const BundleCopy copy;
  const auto bundle = load(copy.path());
  const KnowledgeBaseSchema schema = bundle->schema();

  EXPECT_EQ(bundle->name(), "refrag-tiny");
  EXPECT_EQ(bundle->chunk_size(), 8U);
  EXPECT_EQ(schema.chunk_width, 192U);
  EXPECT_EQ(schema.passage_width, 192U);  // the chunk encoder, for want of a retriever
  EXPECT_EQ(schema.identities, bundle->identities());
  EXPECT_EQ(schema.identities.chunks.size(), 64U);
  EXPECT_EQ(bundle->parts().default_retrieve, RetrieveMode::kLexical);
  EXPECT_EQ(bundle->parts().options.threads, 1U);
  EXPECT_NE(bundle->parts().policy, nullptr);
  EXPECT_EQ(bundle->parts().reranker, nullptr);
}

TEST(ModelBundle, TakesAHuggingFaceDirectoryAsItIs) {
  const BundleCopy copy;
  const auto bundle = load(copy.path() / "decoder");

  EXPECT_EQ(bundle->name(), "decoder");
  EXPECT_EQ(bundle->chunk_size(), 0U);
  EXPECT_EQ(bundle->schema().chunk_width, 0U);
  EXPECT_EQ(bundle->schema().passage_width, 0U);
  EXPECT_EQ(bundle->parts().chunk_encoder, nullptr);
  EXPECT_NE(bundle->parts().decoder, nullptr);
  EXPECT_EQ(bundle->identities().chunks.size(), 64U);
  EXPECT_EQ(bundle->identities().passages, "");
}

TEST(ModelBundle, TakesARetrieverAndARerankerOfTheirOwn) {
  const BundleCopy copy;
  const std::string alone = load(copy.path())->identities().passages;
  testing::tiny_encoder("bert", 1500).write(copy.path() / "retriever");
  TinyModel reranker = testing::tiny_encoder("bert", 1500);
  reranker.config["architectures"] = {"BertForSequenceClassification"};
  testing::add_linear(reranker, "pooler.dense", 16, 16);
  testing::add_linear(reranker, "classifier", 1, 16);
  reranker.write(copy.path() / "reranker");
  for (const char* part : {"retriever", "reranker"}) {
    fs::copy_file(testing::golden_tokenizer("wordpiece_uncased") / "tokenizer.json",
                  copy.path() / part / "tokenizer.json");
  }
  const auto bundle = load(copy.path());

  EXPECT_EQ(bundle->schema().passage_width, 16U);
  EXPECT_NE(bundle->identities().passages, alone);
  EXPECT_NE(bundle->parts().reranker, nullptr);
}

TEST(ModelBundle, KeepsItsIdentitiesWhenOtherPartsChange) {
  BundleCopy copy;
  const auto before = load(copy.path());
  copy.spec["name"] = "renamed";
  copy.spec["prompt"]["separator"] = "\n";
  copy.spec["passage_tokens"] = 50;
  copy.spec.erase("policy");
  copy.spec.erase("evaluation");
  copy.write_spec();
  copy.remove("policy.safetensors");
  TinyModel projector;
  testing::add_linear(projector, "fc1", 30, 192);
  testing::add_linear(projector, "fc2", 192, 30);
  copy.replace("projector.safetensors", projector.tensors);
  const auto after = load(copy.path());

  EXPECT_EQ(after->identities(), before->identities());
  EXPECT_NE(after->parts().projector_identity, before->parts().projector_identity);
}

TEST(ModelBundle, ChangesItsChunkIdentityWithAllThatDecidesAChunksVector) {
  BundleCopy copy;
  const std::string before = load(copy.path())->identities().chunks;
  const auto chunks_with = [&](const char* pointer, const Json& value) {
    const Json kept = copy.spec;
    copy.spec[Json::json_pointer(pointer)] = value;
    copy.write_spec();
    copy.spec = kept;
    return load(copy.path())->identities().chunks;
  };
  EXPECT_NE(chunks_with("/chunk_size", 4), before);
  EXPECT_NE(chunks_with("/encoder/pooling", "mean"), before);
  EXPECT_NE(chunks_with("/encoder/normalize", true), before);
  EXPECT_NE(chunks_with("/encoder/start", ""), before);
  EXPECT_NE(chunks_with("/encoder/end", "</s>"), before);
  EXPECT_EQ(chunks_with("/passage_tokens", 95), before);
}

TEST(ModelBundle, ChangesOnlyThePassageIdentityWithPrefixesAndTheLongestInput) {
  BundleCopy copy;
  const Identities before = load(copy.path())->identities();
  for (const auto& [name, value] :
       {std::pair<const char*, Json>{"query_prefix", "q: "}, {"passage_prefix", "p: "}, {"max_tokens", 64}}) {
    copy.spec["retrieval"] = {{name, value}};
    copy.write_spec();
    const Identities after = load(copy.path())->identities();

    EXPECT_EQ(after.chunks, before.chunks) << name;
    EXPECT_NE(after.passages, before.passages) << name;
  }
}

TEST(ModelBundle, NotesWhatWentIntoItsIdentities) {
  BundleCopy copy;
  const Json before = Json::parse(load(copy.path())->schema().identity_note);
  copy.spec["encoder"]["pooling"] = "mean";
  copy.write_spec();
  const Json after = Json::parse(load(copy.path())->schema().identity_note);
  const Json difference = Json::diff(before.at("chunks"), after.at("chunks"));

  ASSERT_EQ(difference.size(), 1U) << difference;
  EXPECT_EQ(difference[0]["path"], "/pooling");
  EXPECT_EQ(before.at("passages").at("pooling"), "mean of chunks");
}

TEST(ModelBundle, RefusesADirectoryThatIsNoModel) {
  const TemporaryDirectory empty;

  EXPECT_THAT(refusal(empty.path(), ErrorCode::kNotFound), HasSubstr("neither refrag.json nor config.json"));
  EXPECT_THAT(refusal(empty.path() / "none", ErrorCode::kNotFound), HasSubstr("no such directory"));
}

TEST(ModelBundle, RefusesABundleWithoutAPartThatItPromises) {
  for (const char* part : {"encoder", "decoder/model.safetensors", "projector.safetensors", "policy.safetensors",
                           "decoder/tokenizer.model"}) {
    const BundleCopy copy;
    copy.remove(part);

    EXPECT_THAT(refusal(copy.path(), ErrorCode::kNotFound), HasSubstr(fs::path(part).parent_path().string())) << part;
  }
}

TEST(ModelBundle, RefusesAPartThatRefragJsonDoesNotName) {
  BundleCopy copy;
  copy.spec.erase("policy");
  copy.write_spec();

  EXPECT_THAT(refusal(copy.path(), ErrorCode::kCorrupt), HasSubstr("refrag.json has no \"policy\""));
}

TEST(ModelBundle, RefusesPartsThatDoNotFitNamingBothSides) {
  BundleCopy copy;
  TinyModel projector;
  testing::add_linear(projector, "fc1", 30, 100);
  testing::add_linear(projector, "fc2", 192, 30);
  copy.replace("projector.safetensors", projector.tensors);
  EXPECT_THAT(refusal(copy.path(), ErrorCode::kCorrupt),
              HasSubstr("the projector's input is 100 wide; the encoder is 192"));

  BundleCopy too_long;
  too_long.spec["chunk_size"] = 64;
  too_long.write_spec();
  EXPECT_THAT(refusal(too_long.path(), ErrorCode::kCorrupt),
              AllOf(HasSubstr("chunk_size is 64"), HasSubstr("at most 64")));

  BundleCopy unknown_start;
  unknown_start.spec["encoder"]["start"] = "[CLS]";
  unknown_start.write_spec();
  EXPECT_THAT(refusal(unknown_start.path(), ErrorCode::kCorrupt), HasSubstr("encoder.start is \"[CLS]\""));
}

TEST(ModelBundle, RefusesANumberOfThreadsThatMakesNoSense) {
  const BundleCopy copy;
  const Error error = error_of([&] { ModelBundle::load(copy.path(), {.threads = 3'000'000'000}); });

  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error.param(), "threads");
  EXPECT_THAT(error.what(), HasSubstr("threads is 3000000000; expected 0 (one a physical core) to 1024"));
}

TEST(ModelBundle, ThrowsItsOwnErrorsForPlacesThatCannotBeLookedAt) {
  const BundleCopy copy;
  fs::create_symlink("retriever", copy.path() / "retriever");  // a link to itself

  EXPECT_THAT(refusal(copy.path(), ErrorCode::kIo), HasSubstr("retriever (dense search): "));
}

// Pages that nobody has read show what is written into the file later, so a decoder tells when it read its own.
TEST(ModelBundle, ReadsTheDecoderAtLoadingUnlessItIsToWait) {
  const BundleCopy copy;
  const fs::path file = copy.path() / "decoder" / "model.safetensors";
  const fs::path original = fs::canonical(file);
  fs::remove(file);
  fs::copy_file(original, file);
  const auto eager = load(copy.path());
  const auto lazy = ModelBundle::load(copy.path(), {.dtype = Dtype::kFp32, .threads = 1, .lazy_decoder = true});
  const auto half = static_cast<std::streamoff>(fs::file_size(file) / 2);
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(half) << std::string(half, '\0');
  const auto logits_of = [](const ModelBundle& bundle) {
    const LlamaDecoder& decoder = *bundle.parts().decoder;
    return decoder.logits(decoder.forward(decoder.embed(std::vector<TokenId>{1, 90, 91})));
  };
  const at::Tensor expected = logits_of(*load(testing::trained_bundle()));

  EXPECT_TRUE(at::equal(logits_of(*eager), expected));
  EXPECT_FALSE(at::equal(logits_of(*lazy), expected));
}

TEST(ModelBundle, ChecksADecoderThatIsToWait) {
  const BundleCopy copy;
  auto config = parse_json_file(copy.path() / "decoder" / "config.json");
  config["vocab_size"] = 2049;
  copy.replace("decoder/config.json", config);
  const Error error = error_of([&] { ModelBundle::load(copy.path(), {.lazy_decoder = true}); });

  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("model.embed_tokens.weight"));
}

TEST(ModelBundle, RefusesCudaWhereThereIsNone) {
  if (at::hasCUDA()) {
    GTEST_SKIP() << "this machine has CUDA";
  }
  const BundleCopy copy;
  try {
    ModelBundle::load(copy.path(), {.device = Device::kCuda});
    FAIL() << "loaded on a device that is not there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_EQ(error.param(), "device");
  }
}

TEST(ModelBundle, Int8ChangesTheDecoderAlone) {
  const BundleCopy copy;
  const auto exact = load(copy.path());
  const auto int8 = ModelBundle::load(copy.path(), {.dtype = Dtype::kInt8, .beside_int8 = Dtype::kFp32, .threads = 1});
  const std::vector<std::vector<TokenId>> chunks = {{90, 91, 92}, {93}};
  const auto logits_of = [](const ModelBundle& bundle) {
    const LlamaDecoder& decoder = *bundle.parts().decoder;
    return decoder.logits(decoder.forward(decoder.embed(std::vector<TokenId>{1, 90, 91}))).log_softmax(-1);
  };

  EXPECT_EQ(int8->identities().chunks, exact->identities().chunks);
  EXPECT_TRUE(at::equal(int8->parts().chunk_encoder->encode(chunks), exact->parts().chunk_encoder->encode(chunks)));
  const double difference = (logits_of(*int8) - logits_of(*exact)).abs().mean().item<double>();
  EXPECT_GT(difference, 0);
  EXPECT_LT(difference, 0.1);
}

TEST(ModelBundle, RefusesInt8WhereItCannotBe) {
  const BundleCopy copy;
  const Error of_training =
      error_of([&] { ModelBundle::load(copy.path(), {.dtype = Dtype::kInt8, .trainable = true}); });
  EXPECT_EQ(of_training.code(), ErrorCode::kUnsupported);
  EXPECT_EQ(of_training.param(), "dtype");
  const Error of_itself =
      error_of([&] { ModelBundle::load(copy.path(), {.dtype = Dtype::kInt8, .beside_int8 = Dtype::kInt8}); });
  EXPECT_THAT(of_itself.what(), HasSubstr("beside_int8 is int8; expected auto, fp32 or bf16"));
}

TEST(ModelBundle, ResolvesAutomaticOptions) {
  const BundleCopy copy;
  const ModelOptions options = ModelBundle::load(copy.path())->parts().options;

  EXPECT_NE(options.dtype, Dtype::kAuto);
  EXPECT_GE(options.threads, 1U);
}

}  // namespace
}  // namespace refrag
