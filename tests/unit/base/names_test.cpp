#include <gtest/gtest.h>

#include "refrag/document.h"
#include "refrag/error.h"
#include "refrag/knowledge_base.h"
#include "refrag/query.h"

namespace refrag {
namespace {

TEST(NamesTest, EnumerationsAreSpelledAsTheInterfacesHaveThem) {
  EXPECT_STREQ(name_of(Mode::kRefrag), "refrag");
  EXPECT_STREQ(name_of(Mode::kFull), "full");
  EXPECT_STREQ(name_of(Mode::kNone), "none");
  EXPECT_STREQ(name_of(RetrieveMode::kHybrid), "hybrid");
  EXPECT_STREQ(name_of(RetrieveMode::kDense), "dense");
  EXPECT_STREQ(name_of(RetrieveMode::kLexical), "lexical");
  EXPECT_STREQ(name_of(ExpandBy::kPolicy), "policy");
  EXPECT_STREQ(name_of(ExpandBy::kRandom), "random");
  EXPECT_STREQ(name_of(ExpandBy::kFirst), "first");
  EXPECT_STREQ(name_of(ExpandBy::kSimilarity), "similarity");
  EXPECT_STREQ(name_of(ExpandBy::kIds), "ids");
  EXPECT_STREQ(name_of(ChunkState::kCompressed), "compressed");
  EXPECT_STREQ(name_of(ChunkState::kExpanded), "expanded");
  EXPECT_STREQ(name_of(ChunkState::kExpandedWhileDecoding), "expanded_while_decoding");
  EXPECT_STREQ(name_of(FinishReason::kStop), "stop");
  EXPECT_STREQ(name_of(FinishReason::kLength), "length");
  EXPECT_STREQ(name_of(FinishReason::kCancelled), "cancelled");
  EXPECT_STREQ(name_of(FinishReason::kError), "error");
  EXPECT_STREQ(name_of(DocumentStatus::kCreated), "created");
  EXPECT_STREQ(name_of(DocumentStatus::kReplaced), "replaced");
  EXPECT_STREQ(name_of(DocumentStatus::kUnchanged), "unchanged");
  EXPECT_STREQ(name_of(DocumentStatus::kError), "error");
  EXPECT_STREQ(name_of(VectorFormat::kFp16), "fp16");
  EXPECT_STREQ(name_of(VectorFormat::kInt8), "int8");
}

TEST(NamesTest, ErrorCodesAreSpelledAsTheInterfacesHaveThem) {
  EXPECT_STREQ(name_of(ErrorCode::kInvalidArgument), "invalid_argument");
  EXPECT_STREQ(name_of(ErrorCode::kContextLengthExceeded), "context_length_exceeded");
  EXPECT_STREQ(name_of(ErrorCode::kNotFound), "not_found");
  EXPECT_STREQ(name_of(ErrorCode::kUnsupported), "unsupported");
  EXPECT_STREQ(name_of(ErrorCode::kCorrupt), "corrupt");
  EXPECT_STREQ(name_of(ErrorCode::kIdentityMismatch), "identity_mismatch");
  EXPECT_STREQ(name_of(ErrorCode::kBusy), "busy");
  EXPECT_STREQ(name_of(ErrorCode::kQueueFull), "queue_full");
  EXPECT_STREQ(name_of(ErrorCode::kTimeout), "timeout");
  EXPECT_STREQ(name_of(ErrorCode::kCancelled), "cancelled");
  EXPECT_STREQ(name_of(ErrorCode::kUnavailable), "unavailable");
  EXPECT_STREQ(name_of(ErrorCode::kIo), "io_error");
  EXPECT_STREQ(name_of(ErrorCode::kInternal), "internal_error");
}

}  // namespace
}  // namespace refrag
