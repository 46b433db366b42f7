#include "train/config.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "refrag/error.h"

namespace refrag::train {
namespace {

Json sft_config() {
  return Json::parse(R"({"out": "run", "start": {"bundle": "b"}, "data": {"questions": ["q.jsonl"]}, "steps": 100,
                         "optimizer": {"learning_rate": 0.001}})");
}

/// What a config is refused with: the field at fault.
std::string refusal_of(Stage stage, const Json& json, const std::vector<std::string>& overrides = {}) {
  try {
    parse_train_config(stage, json, overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(error.param()), std::string::npos) << error.what();
    return error.param();
  }
  return "nothing";
}

TEST(TrainConfigTest, UnknownKeysAreRefusedByName) {
  Json json = sft_config();
  json["optimizer"]["learnig_rate"] = 1;
  EXPECT_EQ(refusal_of(Stage::kSft, json), "optimizer.learnig_rate");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"steppes=3"}), "steppes");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"cpt.target=3"}), "cpt");  // another stage's
}

TEST(TrainConfigTest, OverridesSetValuesAndTakeThemOut) {
  Json json = sft_config();
  json["data"]["text"] = {"t.jsonl"};
  json["sft"]["text"] = 0.5;
  json["cpt"] = {{"target", 8}};
  EXPECT_DOUBLE_EQ(parse_train_config(Stage::kSft, json, {}).questions.text, 0.5);
  const TrainConfig without =
      parse_train_config(Stage::kSft, json, {"data.text=null", "sft.text=null", "cpt=null", "lora.rank=null"});
  EXPECT_DOUBLE_EQ(without.questions.text, 0);
  EXPECT_TRUE(without.data.text.empty());
  EXPECT_FALSE(without.lora.has_value());
  EXPECT_EQ(refusal_of(Stage::kSft, json, {"steps.of=null"}), "steps.of");
}

TEST(TrainConfigTest, ContradictionsAreRefusedByName) {
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"start.decoder=d"}), "start.bundle");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"sft.full=0.7", "sft.none=0.7"}), "sft.full");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"sft.full=0.7", "sft.reconstruct=0.7"}), "sft.full");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"sft.missing=0.1"}), "sft.refusal");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"sft.text=0.1"}), "data.text");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"data.text=[\"t.jsonl\"]"}), "data.text");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"data.join=true"}), "data.join");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"sft.text=1", "sft.full=0.1"}), "sft.text");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"sft.reconstruct_chunks=2"}), "sft.reconstruct_chunks");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"data.text=[\"t.jsonl\"]", "sft.text=0.1"}), "cpt.target");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"train=[\"policy\"]"}), "train");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"start.chunk_size=8"}), "start.chunk_size");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"stage=cpt"}), "stage");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"sft.expand=[0.5, 0.1]"}), "sft.expand");
  EXPECT_EQ(refusal_of(Stage::kPolicy, sft_config(), {"lora.rank=4"}), "lora");
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"lora.rank=4", "train=[\"encoder\"]"}), "lora");
  EXPECT_EQ(refusal_of(Stage::kPolicy, sft_config(), {"policy.warm_steps=101"}), "policy.warm_steps");
  EXPECT_EQ(refusal_of(Stage::kPolicy, sft_config(), {"policy.warm_steps=100", "policy.clip=0.1"}), "policy.clip");
  Json reconstruct = sft_config();
  reconstruct["data"] = {{"text", {"t.jsonl"}}};
  reconstruct["reconstruct"] = {{"curriculum", false}, {"pace", "even"}};
  EXPECT_EQ(refusal_of(Stage::kReconstruct, reconstruct), "reconstruct.pace");
}

TEST(TrainConfigTest, ASetValueTakesThePlaceOfTheFiles) {
  const TrainConfig config =
      parse_train_config(Stage::kSft, sft_config(), {"run.seed=7", "out=other", "sft.expand=0.5"});
  EXPECT_EQ(config.run.seed, 7U);
  EXPECT_EQ(config.out, "other");
  EXPECT_EQ(config.questions.expand.least, 0.5);
  EXPECT_EQ(config.questions.expand.most, 0.5);
  EXPECT_EQ(refusal_of(Stage::kSft, sft_config(), {"seed"}), "--set");
}

TEST(TrainConfigTest, EachStageTrainsItsOwnParts) {
  EXPECT_EQ(parse_train_config(Stage::kSft, sft_config(), {}).train,
            (std::set<Part>{Part::kDecoder, Part::kEncoder, Part::kProjector}));
  EXPECT_EQ(parse_train_config(Stage::kPolicy, sft_config(), {}).train, std::set<Part>{Part::kPolicy});
  EXPECT_EQ(parse_train_config(Stage::kSft, sft_config(), {"train=[\"projector\"]"}).train,
            std::set<Part>{Part::kProjector});
}

}  // namespace
}  // namespace refrag::train
