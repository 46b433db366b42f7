#pragma once
#include "refrag/error.h"

namespace refrag::cli {

enum ExitCode : int {
  kDone = 0,
  kFailure = 1,        // the machine or we ourselves failed
  kWrongUse = 2,       // options or input
  kNotThere = 3,       // a file, document or model that was named
  kWrongData = 4,      // damaged, or made by another model
  kTryAgain = 5,       // another writer is at work
  kSomeLeftOut = 6,    // done, but some documents could not be taken
  kInterrupted = 130,  // Ctrl-C; what was committed stays
};

int exit_code_of(ErrorCode code);

}  // namespace refrag::cli
