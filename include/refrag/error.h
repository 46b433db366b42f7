#pragma once
#include <stdexcept>
#include <string>
#include <utility>

#include "refrag/export.h"

namespace refrag {

/// What kind of thing went wrong. The HTTP status and the exit code follow from it alone.
enum class REFRAG_EXPORT ErrorCode {
  kInvalidArgument,        // a field, option or argument is wrong; `param` names it
  kContextLengthExceeded,  // the prompt has more positions than the model or the server allows
  kNotFound,               // a file, document or model that was named does not exist
  kUnsupported,            // valid, but this build or this model cannot do it; the message names what
  kCorrupt,                // a file does not hold what its format promises
  kIdentityMismatch,       // the knowledge base was made by another encoder, tokenizer or chunk size
  kBusy,                   // another writer holds the knowledge base; try again
  kQueueFull,              // more requests than the engine takes; try again
  kTimeout,
  kCancelled,
  kUnavailable,  // shutting down, or no model loaded yet
  kIo,           // the operating system refused to read or write
  kInternal,     // our own mistake
};

/// The word that stands for a code in JSON and on the command line, such as "context_length_exceeded".
REFRAG_EXPORT const char* name_of(ErrorCode code);

/// The one exception type of this library. The message says what was found and what was expected.
class REFRAG_EXPORT Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::string param = {})
      : std::runtime_error(message), code_(code), param_(std::move(param)) {}

  ErrorCode code() const noexcept { return code_; }
  /// The field at fault as the caller spells it ("expand.fraction"), or empty.
  const std::string& param() const noexcept { return param_; }

 private:
  ErrorCode code_;
  std::string param_;
};

}  // namespace refrag
