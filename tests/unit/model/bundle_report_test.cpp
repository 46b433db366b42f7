#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "refrag/model_bundle.h"
#include "support/tiny_llama.h"
#include "support/tiny_models.h"

namespace refrag {
namespace {

using testing::BundleCopy;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TinyModel;

std::vector<std::string> names_of(const BundleReport& report) {
  std::vector<std::string> names;
  for (const PartReport& part : report.parts) {
    names.push_back(part.name);
  }
  return names;
}

TEST(BundleReport, DescribesEveryPart) {
  const BundleCopy copy;
  const BundleReport report = ModelBundle::inspect(copy.path());

  EXPECT_THAT(report.problems, ElementsAre());
  EXPECT_THAT(names_of(report), ElementsAre("decoder", "encoder", "projector", "policy"));
  EXPECT_EQ(report.name, "refrag-tiny");
  EXPECT_EQ(report.chunk_size, 8U);
  EXPECT_EQ(report.parts[0].architecture, "LlamaForCausalLM");
  EXPECT_EQ(report.parts[0].stored_dtype, "F32");
  EXPECT_NEAR(static_cast<double>(report.parts[0].parameters), 3.05e6, 1e4);  // as the bundle's card says
  EXPECT_EQ(report.parts[0].bytes, 4 * report.parts[0].parameters);
  EXPECT_THAT(report.parts[1].shape, Contains(std::pair<std::string, std::string>("layers", "3")));
}

TEST(BundleReport, GivesTheIdentitiesThatLoadingGives) {
  const BundleCopy copy;
  const auto bundle = ModelBundle::load(copy.path());
  const BundleReport report = ModelBundle::inspect(copy.path());

  EXPECT_EQ(report.identities, bundle->identities());
  EXPECT_EQ(report.projector_identity.size(), 64U);
}

TEST(BundleReport, NamesEveryProblemOfADamagedBundle) {
  const BundleCopy copy;
  copy.remove("encoder");
  copy.remove("decoder/model.safetensors");
  std::ofstream(copy.path() / "decoder" / "model.safetensors") << "not weights at all";
  TinyModel projector;
  testing::add_linear(projector, "fc1", 30, 100);
  testing::add_linear(projector, "fc2", 100, 30);
  copy.replace("projector.safetensors", projector.tensors);
  const BundleReport report = ModelBundle::inspect(copy.path());

  EXPECT_THAT(report.problems, ElementsAre(HasSubstr("decoder: "), HasSubstr("encoder (mode refrag): "),
                                           HasSubstr("the policy is 192 wide; the projector's output")));
  EXPECT_THAT(names_of(report), ElementsAre("decoder", "encoder", "projector", "policy"));
  EXPECT_EQ(report.parts[2].parameters, 30U * 100 + 30 + 100 * 30 + 100);
}

TEST(BundleReport, TellsWhatIsWrongWithRefragJson) {
  BundleCopy copy;
  copy.spec["chunks"] = 8;
  copy.write_spec();

  EXPECT_THAT(ModelBundle::inspect(copy.path()).problems, ElementsAre(HasSubstr("chunks")));
}

TEST(BundleReport, FindsATokenizerThatIsLargerThanItsModel) {
  const BundleCopy copy;
  testing::tiny_encoder("bert", 600).write(copy.path() / "retriever");
  std::filesystem::copy_file(testing::golden_tokenizer("wordpiece_uncased") / "tokenizer.json",
                             copy.path() / "retriever" / "tokenizer.json");

  EXPECT_THAT(ModelBundle::inspect(copy.path()).problems,
              ElementsAre(HasSubstr("the retriever has embeddings for 600 tokens; its tokenizer has 1500")));
}

TEST(BundleReport, ListsAPartThatCannotBeLookedAt) {
  const BundleCopy copy;
  std::filesystem::create_symlink("reranker", copy.path() / "reranker");  // a link to itself

  EXPECT_THAT(ModelBundle::inspect(copy.path()).problems, ElementsAre(HasSubstr("reranker: ")));
}

/// A bundle of a decoder whose tokenizer has one special token, "<far>" (600), past the embedding table.
class FarTokenTest : public ::testing::Test {
 protected:
  FarTokenTest() {
    std::filesystem::create_directory(decoder());
    testing::TinyLlama llama;
    llama.config["vocab_size"] = 600;
    llama.add("model.embed_tokens.weight", {600, 24});
    llama.add("lm_head.weight", {600, 24});
    llama.write(decoder());
    Json tokenizer = parse_json_file(testing::golden_tokenizer("byte_gpt2") / "tokenizer.json");
    Json token = tokenizer["added_tokens"][0];
    token["id"] = 600;
    token["content"] = "<far>";
    tokenizer["added_tokens"].push_back(token);
    testing::write_json(decoder() / "tokenizer.json", tokenizer);
  }
  std::filesystem::path decoder() const { return directory_.path() / "decoder"; }
  std::vector<std::string> problems_with(const std::string& prompt_template) const {
    const Json spec = {{"format_version", 1}, {"name", "far"}, {"prompt", {{"template", prompt_template}}}};
    testing::write_json(directory_.path() / "refrag.json", spec);
    return ModelBundle::inspect(directory_.path()).problems;
  }

  TemporaryDirectory directory_;
};

TEST_F(FarTokenTest, DoesNoHarmWhereNothingGivesIt) { EXPECT_THAT(problems_with("{question}"), ElementsAre()); }

TEST_F(FarTokenTest, IsNamedWhereThePromptGivesIt) {
  EXPECT_THAT(problems_with("<far>{question}"),
              ElementsAre("prompt.template gives \"<far>\", token 600; the decoder has embeddings for 600 tokens"));
}

TEST_F(FarTokenTest, IsNamedWhereTheChatTemplateGivesIt) {
  testing::write_json(decoder() / "tokenizer_config.json",
                      {{"chat_template", "{% for m in messages %}<far>{{ m['content'] }}{% endfor %}"}});

  EXPECT_THAT(problems_with("{question}"), ElementsAre(HasSubstr("the chat template gives \"<far>\", token 600")));
}

TEST(BundleReport, FindsNothingWrongWithAPlainDirectory) {
  const BundleCopy copy;
  const BundleReport report = ModelBundle::inspect(copy.path() / "decoder");

  EXPECT_THAT(report.problems, ElementsAre());
  EXPECT_THAT(names_of(report), ElementsAre("decoder"));
}

}  // namespace
}  // namespace refrag
