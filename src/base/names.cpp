// The words of the JSON interfaces for the enumerations of include/refrag.
#include "refrag/document.h"
#include "refrag/knowledge_base.h"
#include "refrag/model_bundle.h"
#include "refrag/query.h"

namespace refrag {

const char* name_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kAuto:
      return "auto";
    case Dtype::kFp32:
      return "fp32";
    case Dtype::kBf16:
      return "bf16";
    case Dtype::kInt8:
      return "int8";
  }
  return "";
}

const char* name_of(Mode mode) {
  switch (mode) {
    case Mode::kRefrag:
      return "refrag";
    case Mode::kFull:
      return "full";
    case Mode::kNone:
      return "none";
  }
  return "";
}

const char* name_of(RetrieveMode mode) {
  switch (mode) {
    case RetrieveMode::kHybrid:
      return "hybrid";
    case RetrieveMode::kDense:
      return "dense";
    case RetrieveMode::kLexical:
      return "lexical";
  }
  return "";
}

const char* name_of(ExpandBy by) {
  switch (by) {
    case ExpandBy::kPolicy:
      return "policy";
    case ExpandBy::kRandom:
      return "random";
    case ExpandBy::kFirst:
      return "first";
    case ExpandBy::kSimilarity:
      return "similarity";
    case ExpandBy::kIds:
      return "ids";
  }
  return "";
}

const char* name_of(ChunkState state) {
  switch (state) {
    case ChunkState::kCompressed:
      return "compressed";
    case ChunkState::kExpanded:
      return "expanded";
    case ChunkState::kExpandedWhileDecoding:
      return "expanded_while_decoding";
  }
  return "";
}

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  return "";
}

const char* name_of(DocumentStatus status) {
  switch (status) {
    case DocumentStatus::kCreated:
      return "created";
    case DocumentStatus::kReplaced:
      return "replaced";
    case DocumentStatus::kUnchanged:
      return "unchanged";
    case DocumentStatus::kError:
      return "error";
  }
  return "";
}

const char* name_of(VectorFormat format) {
  switch (format) {
    case VectorFormat::kFp16:
      return "fp16";
    case VectorFormat::kInt8:
      return "int8";
  }
  return "";
}

}  // namespace refrag
