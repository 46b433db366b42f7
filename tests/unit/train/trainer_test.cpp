#include "train/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "base/fail_point.h"
#include "model/checkpoint.h"
#include "model/chunk_encoder.h"
#include "model/projector.h"
#include "refrag/error.h"
#include "refrag/model_bundle.h"
#include "train/plot.h"
#include "unit/train/toy_data.h"

namespace refrag::train {
namespace {

class TrainerTest : public ::testing::Test {
 protected:
  TrainReport run(Stage stage, const Json& json, bool resume = false, std::uint64_t stop_after = 0) {
    const TrainConfig config = parse_train_config(stage, json, {});
    TrainOptions options;
    options.resume = resume;
    std::uint64_t done = 0;
    options.stops = [&] { return stop_after > 0 && ++done >= stop_after; };
    return train(config, options);
  }

  std::vector<Json> log_of(const std::string& out) const {
    std::vector<Json> lines;
    std::ifstream in(toy_.path(out) / "log.jsonl");
    for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
    return lines;
  }

  std::vector<double> losses_of(const std::string& out) const {
    std::vector<double> losses;
    for (const Json& line : log_of(out)) {
      if (line.contains("loss")) losses.push_back(line["loss"].get<double>());
    }
    return losses;
  }

  /// Mean of the last few losses less that of the first few.
  double gain_of(const std::string& out, std::size_t count = 3) const {
    const std::vector<double> losses = losses_of(out);
    double first = 0;
    double last = 0;
    for (std::size_t n = 0; n < count; ++n) {
      first += losses[n] / static_cast<double>(count);
      last += losses[losses.size() - 1 - n] / static_cast<double>(count);
    }
    return first - last;
  }

  void expect_whole(const std::string& out) const {
    const BundleReport report = ModelBundle::inspect(toy_.path(out) / "bundle");
    EXPECT_TRUE(report.problems.empty()) << report.problems.front();
  }

  ToyData toy_;
};

TEST_F(TrainerTest, EveryStageLearnsAndWritesABundleForTheNext) {
  run(Stage::kPretrain, toy_.pretrain_config(60));
  EXPECT_GT(gain_of("pretrain"), 3.0);
  expect_whole("pretrain");

  Json reconstruct = toy_.with_encoder(toy_.config("reconstruct", 40, 0.01));
  reconstruct["data"]["text"] = {toy_.path("documents.jsonl")};
  reconstruct["reconstruct"] = {{"max_chunks", 2}};
  run(Stage::kReconstruct, reconstruct);
  EXPECT_GT(gain_of("reconstruct"), 0.2);
  expect_whole("reconstruct");

  Json cpt = toy_.config("cpt", 30, 0.005);
  cpt["start"]["bundle"] = toy_.path("reconstruct/bundle");
  cpt["data"]["text"] = {toy_.path("documents.jsonl")};
  cpt["data"]["join"] = true;
  cpt["run"]["recompute"] = true;
  cpt["cpt"] = {{"max_chunks", 4}, {"target", 8}, {"expand", 0.2}};
  run(Stage::kCpt, cpt);
  EXPECT_GT(gain_of("cpt"), 0.1);
  expect_whole("cpt");

  Json sft = toy_.with_questions(toy_.config("sft", 60, 0.01));
  sft["start"]["bundle"] = toy_.path("cpt/bundle");
  sft["sft"] = {{"passages", 2}, {"questions", 2}, {"full", 0.2},         {"none", 0.1},
                {"answer", 0.2}, {"missing", 0.1}, {"refusal", "unknown"}};
  run(Stage::kSft, sft);
  EXPECT_GT(gain_of("sft"), 1.0);
  expect_whole("sft");

  Json policy = toy_.with_questions(toy_.config("policy", 30, 0.01));
  policy["start"]["bundle"] = toy_.path("sft/bundle");
  policy["start"]["policy"] = {{"heads", 2}, {"ffn_width", 32}};
  policy["policy"] = {{"questions", 4},           {"group", 3},       {"passages", 2},
                      {"partial", 0.3},           {"warm_steps", 20}, {"evaluate_every", 15},
                      {"evaluation_questions", 8}};
  policy["save"] = {{"dtype", "bf16"}};
  run(Stage::kPolicy, policy);
  expect_whole("policy");
  EXPECT_EQ(ModelBundle::inspect(toy_.path("policy/bundle")).parts.back().name, "policy");
  const std::vector<double> losses = losses_of("policy");
  EXPECT_GT(losses[0] - losses[19], 0.3);  // supervised
  int evaluations = 0;
  for (const Json& line : log_of("policy")) {
    if (!line.contains("evaluation")) continue;
    ++evaluations;
    for (const char* rule : {"policy", "random", "similarity", "high_perplexity", "low_perplexity"}) {
      EXPECT_LT(line["evaluation"][rule].get<double>(), 0);
    }
  }
  EXPECT_EQ(evaluations, 3);  // steps 0, 15 and 30

  const std::string picture = plot_logs({toy_.path("sft/log.jsonl"), toy_.path("policy/log.jsonl")});
  EXPECT_EQ(picture.rfind("<svg", 0), 0U);
  EXPECT_NE(picture.find("similarity"), std::string::npos);
}

TEST_F(TrainerTest, ARunThatGoesOnHasTheLossesOfOneThatNeverStopped) {
  Json whole = toy_.pretrain_config(11);
  run(Stage::kPretrain, whole);
  Json parts = whole;
  parts["out"] = toy_.path("parts");
  EXPECT_TRUE(run(Stage::kPretrain, parts, false, 3).interrupted);
  // Dies after step 9: its last checkpoint is that of step 8, so steps 9 to 11 come again.
  {
    const FailPoint crash("train.step");
    EXPECT_THROW(run(Stage::kPretrain, parts, true), Error);
  }
  EXPECT_FALSE(run(Stage::kPretrain, parts, true).interrupted);

  EXPECT_EQ(losses_of("parts"), losses_of("pretrain"));
  EXPECT_EQ(read_file(toy_.path("parts/bundle/decoder/model.safetensors")),
            read_file(toy_.path("pretrain/bundle/decoder/model.safetensors")));
}

TEST_F(TrainerTest, AQuestionStageAndThePolicyGoOnAsWell) {
  run(Stage::kPretrain, toy_.pretrain_config(2));
  Json sft = toy_.with_questions(toy_.with_encoder(toy_.config("sft", 6, 0.01)));
  sft["data"]["text"] = {toy_.path("documents.jsonl")};
  sft["sft"] = {{"text", 0.3}, {"reconstruct", 0.3}};
  sft["cpt"] = {{"max_chunks", 2}, {"target", 5}};
  run(Stage::kSft, sft);
  sft["out"] = toy_.path("sft-parts");
  run(Stage::kSft, sft, false, 4);
  run(Stage::kSft, sft, true);
  EXPECT_EQ(losses_of("sft-parts"), losses_of("sft"));

  Json policy = toy_.with_questions(toy_.config("policy", 6, 0.01));
  policy["start"]["bundle"] = toy_.path("sft/bundle");
  policy["start"]["policy"] = {{"heads", 2}, {"ffn_width", 32}};
  policy["policy"] = {
      {"questions", 2}, {"group", 2}, {"passages", 2}, {"evaluate_every", 4}, {"evaluation_questions", 2}};
  policy["policy"]["deviation"] = "step";
  run(Stage::kPolicy, policy);
  policy["out"] = toy_.path("policy-parts");
  run(Stage::kPolicy, policy, false, 4);
  run(Stage::kPolicy, policy, true);
  EXPECT_EQ(losses_of("policy-parts"), losses_of("policy"));
  EXPECT_EQ(log_of("policy-parts").size(), log_of("policy").size());
}

TEST_F(TrainerTest, APartOfTheExamplesOfSftWritesChunksBack) {
  run(Stage::kPretrain, toy_.pretrain_config(2));
  Json json = toy_.with_questions(toy_.with_encoder(toy_.config("sft", 20, 0.01)));
  json["sft"] = {{"passages", {1, 3}}, {"reconstruct", 1}};
  run(Stage::kSft, json);
  EXPECT_GT(gain_of("sft"), 1.0);
  for (const Json& line : log_of("sft")) {  // each vector has all of its tokens to be written: 4, but for last chunks
    const auto chunks = line["chunks"].get<std::uint64_t>();
    EXPECT_LE(line["targets"].get<std::uint64_t>(), 4 * chunks);
    EXPECT_GT(line["targets"].get<std::uint64_t>(), 3 * chunks);
  }
  json["out"] = toy_.path("one");
  json["sft"]["reconstruct_chunks"] = 1;
  run(Stage::kSft, json);
  for (const Json& line : log_of("one")) EXPECT_EQ(line["chunks"], line["examples"]);
}

TEST_F(TrainerTest, SftLearnsFromRunningTextBesideItsQuestions) {
  run(Stage::kPretrain, toy_.pretrain_config(2));
  Json json = toy_.with_questions(toy_.with_encoder(toy_.config("sft", 20, 0.01)));
  json["data"]["text"] = {toy_.path("documents.jsonl")};
  json["sft"] = {{"passages", {1, 3}}, {"text", 1}};
  json["cpt"] = {{"max_chunks", 2}, {"target", 5}, {"curriculum", false}};
  run(Stage::kSft, json);
  EXPECT_GT(gain_of("sft"), 0.3);
  for (const Json& line : log_of("sft")) {
    EXPECT_EQ(line["chunks"], 2 * line["examples"].get<int>());
    EXPECT_EQ(line["targets"], 5 * line["examples"].get<int>());
  }
  json["out"] = toy_.path("mixed");
  json["sft"] = {{"passages", {1, 3}}, {"text", 0.3}, {"reconstruct", 0.5}};
  run(Stage::kSft, json);
  EXPECT_GT(gain_of("mixed"), 0.3);
}

TEST_F(TrainerTest, QuestionsThatNeverFitAreAnErrorToThePolicy) {
  Json pretrain = toy_.pretrain_config(1);
  pretrain["start"]["decoder"]["positions"] = 16;
  pretrain["pretrain"] = {{"context", 16}};
  run(Stage::kPretrain, pretrain);
  Json policy = toy_.with_questions(toy_.with_encoder(toy_.config("policy", 2, 0.01)));
  policy["start"]["policy"] = {{"heads", 2}, {"ffn_width", 32}};
  policy["policy"] = {{"questions", 2}, {"group", 2}, {"passages", 2}, {"evaluation_questions", 2}};
  try {
    run(Stage::kPolicy, policy);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(error.param(), "data.questions");
  }
}

TEST_F(TrainerTest, RecomputationInBf16HasTheLossesOfNone) {
  Json json = toy_.pretrain_config(6);
  json["run"]["dtype"] = "bf16";
  run(Stage::kPretrain, json);
  json["out"] = toy_.path("recomputed");
  json["run"]["recompute"] = true;
  run(Stage::kPretrain, json);
  const std::vector<double> plain = losses_of("pretrain");
  const std::vector<double> recomputed = losses_of("recomputed");
  ASSERT_EQ(recomputed.size(), plain.size());
  for (std::size_t n = 0; n < plain.size(); ++n) EXPECT_NEAR(recomputed[n], plain[n], 1e-5) << "step " << n + 1;
}

TEST_F(TrainerTest, StringsThatAreSaidAgainAreLearntFrom) {
  Json json = toy_.pretrain_config(40);
  json["pretrain"] = {{"context", 64}, {"repeats", 0.5}};
  run(Stage::kPretrain, json);
  EXPECT_GT(gain_of("pretrain"), 1.0);
}

TEST_F(TrainerTest, AFreshRunGoesOnInTheDataWhereAnEarlierOneEnded) {
  run(Stage::kPretrain, toy_.pretrain_config(3));
  const Json spec = parse_json_file(toy_.path("pretrain/bundle/refrag.json"));
  const auto position = spec["training"]["stages"][0]["position"].get<std::uint64_t>();
  EXPECT_GT(position, 0U);
  Json json = toy_.config("again", 2, 0.01);
  json["data"]["text"] = {toy_.path("documents.jsonl")};
  run(Stage::kPretrain, json);
  json["data"]["position"] = position;
  json["out"] = toy_.path("further");
  run(Stage::kPretrain, json);
  EXPECT_NE(losses_of("further"), losses_of("again"));
}

TEST_F(TrainerTest, LowRankAdaptersLearnAreMergedAndGoOn) {
  run(Stage::kPretrain, toy_.pretrain_config(30));
  Json json = toy_.with_questions(toy_.config("lora", 60, 0.05));
  json["sft"] = {{"passages", 2}, {"questions", 2}, {"full", 1}};
  json["lora"] = {{"rank", 4}, {"alpha", 8}};
  run(Stage::kSft, json);
  EXPECT_GT(gain_of("lora", 6), 0.2);
  expect_whole("lora");
  const auto tensor = [&](const std::string& out, const std::string& name) {
    return Checkpoint::open(toy_.path(out) / "bundle" / "decoder").tensor(name).clone();
  };
  const std::string up = "model.layers.1.mlp.up_proj.weight";
  const at::Tensor change = tensor("lora", up) - tensor("pretrain", up);
  EXPECT_GT(change.abs().max().item<double>(), 1e-3);
  EXPECT_EQ(at::linalg_matrix_rank(change, 1e-4).item<std::int64_t>(),
            4);  // gate and up share the adapter of their matrix
  const std::string embedding = "model.embed_tokens.weight";
  EXPECT_TRUE(tensor("lora", embedding).equal(tensor("pretrain", embedding)));

  json["out"] = toy_.path("lora-parts");
  run(Stage::kSft, json, false, 13);
  run(Stage::kSft, json, true);
  EXPECT_EQ(losses_of("lora-parts"), losses_of("lora"));
}

TEST_F(TrainerTest, ALossThatIsNoNumberStopsAndKeepsTheLastCheckpoint) {
  Json json = toy_.pretrain_config(50);
  json["optimizer"]["learning_rate"] = 10;
  json["optimizer"]["clip"] = 0;
  json["optimizer"]["warmup"] = 0.5;
  try {
    run(Stage::kPretrain, json);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_NE(std::string(error.what()).find("last checkpoint stays"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(std::filesystem::exists(toy_.path("pretrain/checkpoint.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(toy_.path("pretrain/bundle")));
}

TEST_F(TrainerTest, ALossThatRisesTooFarStops) {
  Json json = toy_.pretrain_config(80);
  json["optimizer"] = {{"learning_rate", 2}, {"warmup", 1}};  // learns at first, then overshoots
  json["run"]["divergence"] = 0.3;
  try {
    run(Stage::kPretrain, json);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("run.divergence"), std::string::npos) << error.what();
  }
}

TEST_F(TrainerTest, ARunIsNotOverwrittenNorGoneOnWithByAnotherConfig) {
  Json json = toy_.pretrain_config(4);
  run(Stage::kPretrain, json);
  EXPECT_THROW(run(Stage::kPretrain, json), Error);
  json["optimizer"]["learning_rate"] = 0.5;
  try {
    run(Stage::kPretrain, json, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.param(), "--resume");
  }
}

TEST_F(TrainerTest, ABundleWithoutTheTrainedPartIsRefused) {
  run(Stage::kPretrain, toy_.pretrain_config(1));
  Json json = toy_.config("reconstruct", 1, 0.01);
  json["data"]["text"] = {toy_.path("documents.jsonl")};
  try {
    run(Stage::kReconstruct, json);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("start.encoder"), std::string::npos) << error.what();
  }
  Json twice = toy_.with_encoder(toy_.config("twice", 1, 0.01));
  twice["start"]["bundle"] = testing::trained_bundle();
  twice["data"]["text"] = {toy_.path("documents.jsonl")};
  EXPECT_THROW(run(Stage::kReconstruct, twice), Error);
}

TEST_F(TrainerTest, ARetrieverLearnsToFindAQuestionsPassage) {
  Json json = toy_.with_questions(toy_.config("retriever", 60, 0.01));
  json["start"]["bundle"] = testing::trained_bundle();
  json["start"]["retriever"] = {{"width", 32}, {"layers", 1}, {"heads", 2}, {"positions", 64}};
  json["retriever"] = {{"pairs", 8}};
  run(Stage::kRetriever, json);
  expect_whole("retriever");
  EXPECT_GT(gain_of("retriever"), 0.5);
  EXPECT_GT(log_of("retriever").back()["accuracy"].get<double>(), 0.5);
  EXPECT_NE(ModelBundle::load(toy_.path("retriever/bundle"))->identities().passages,
            ModelBundle::load(testing::trained_bundle())->identities().passages);
}

TEST_F(TrainerTest, HuggingFaceCheckpointsAreAStartAsWell) {
  run(Stage::kPretrain, toy_.pretrain_config(1));
  const std::filesystem::path encoder = toy_.path("roberta");
  testing::tiny_encoder("roberta", 1500).write(encoder);
  std::filesystem::copy(testing::golden_tokenizer("byte_roberta") / "tokenizer.json", encoder / "tokenizer.json");
  Json json = toy_.config("hf", 3, 0.01);
  json["start"] = {{"decoder", toy_.path("pretrain/bundle/decoder")}, {"encoder", encoder}, {"chunk_size", 4}};
  json["data"]["text"] = {toy_.path("documents.jsonl")};
  json["reconstruct"] = {{"max_chunks", 1}};
  run(Stage::kReconstruct, json);
  expect_whole("hf");
  EXPECT_EQ(read_file(toy_.path("hf/bundle/decoder/model.safetensors")),
            read_file(toy_.path("pretrain/bundle/decoder/model.safetensors")));  // frozen
}

TEST_F(TrainerTest, SlotsCarryAChunksTokensFromTheStart) {
  Json pretrain = toy_.pretrain_config(1);
  pretrain["start"]["decoder"]["width"] = 128;
  run(Stage::kPretrain, pretrain);
  const auto vectors_of = [&](const std::string& out, const Json& encoder) {
    Json json = toy_.config(out, 1, 1e-9);
    json["start"]["encoder"] = encoder;
    json["start"]["chunk_size"] = 4;
    json["data"]["text"] = {toy_.path("documents.jsonl")};
    json["train"] = {"encoder"};
    run(Stage::kReconstruct, json);
    ChunkInput input;
    input.start = 1;  // <s>
    const ChunkEncoder chunks(RobertaEncoder::load(toy_.path(out) / "bundle" / "encoder", at::kFloat), nullptr, input);
    return chunks.encode({{300, 301, 302, 303}, {303, 302, 301, 300}, {300, 301, 302, 500}});
  };
  const auto change = [](const at::Tensor& vectors, std::int64_t other) {
    return 1 - at::cosine_similarity(vectors[0], vectors[other], 0).item<double>();
  };
  Json encoder = {{"width", 128}, {"layers", 1}, {"heads", 4}, {"ffn_width", 32}};
  const at::Tensor random = vectors_of("random", encoder);
  encoder["slots"] = true;
  const at::Tensor slots = vectors_of("slots", encoder);
  EXPECT_GT(change(slots, 1), 10 * change(random, 1));  // the order of the tokens is in it
  EXPECT_GT(change(slots, 1), 3 * change(slots, 2));    // of which one token changed
  const auto projector = Projector::load(toy_.path("slots/bundle/projector.safetensors"), at::kCPU);
  const at::Tensor ratio = projector->forward(slots) / slots;  // passed on, as large as the decoder's embeddings
  EXPECT_LT((ratio - ratio[0][0]).abs().max().item<double>(), 1e-3 * ratio[0][0].item<double>());
}

TEST_F(TrainerTest, SlotsThatDoNotFitAreRefusedByName) {
  run(Stage::kPretrain, toy_.pretrain_config(1));
  const auto refused = [&](Json encoder) {
    Json json = toy_.config("refused", 1, 0.01);
    encoder["layers"] = 1;
    encoder["slots"] = true;
    json["start"]["encoder"] = encoder;
    json["start"]["chunk_size"] = 4;
    json["data"]["text"] = {toy_.path("documents.jsonl")};
    try {
      run(Stage::kReconstruct, json);
    } catch (const Error& error) {
      return error.param();
    }
    return std::string("nothing");
  };
  EXPECT_EQ(refused({{"width", 16}, {"heads", 2}}), "start.encoder.heads");
  EXPECT_EQ(refused({{"width", 32}, {"heads", 4}}), "start.encoder.width");
  EXPECT_EQ(refused({{"width", 16}, {"heads", 4}}), "nothing");
}

}  // namespace
}  // namespace refrag::train
