#include "cli/exit_code.h"

namespace refrag::cli {

int exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kContextLengthExceeded:
    case ErrorCode::kUnsupported:
      return kWrongUse;
    case ErrorCode::kNotFound:
      return kNotThere;
    case ErrorCode::kCorrupt:
    case ErrorCode::kIdentityMismatch:
      return kWrongData;
    case ErrorCode::kBusy:
    case ErrorCode::kQueueFull:
    case ErrorCode::kTimeout:
    case ErrorCode::kUnavailable:
      return kTryAgain;
    case ErrorCode::kCancelled:
      return kInterrupted;
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      return kFailure;
  }
  return kFailure;
}

}  // namespace refrag::cli
