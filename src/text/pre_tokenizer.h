#pragma once
#include <functional>
#include <vector>

#include "base/json_reader.h"
#include "text/aligned_text.h"
#include "text/regex.h"

namespace refrag {

/// Text cut into the words that the model tokenizes one by one. Spans are in order, do not overlap and are not empty;
/// what lies between them is dropped.
struct Words {
  AlignedText text;
  std::vector<Span> spans;
};

/// How a tokenizer.json cuts text into words: its "pre_tokenizer", a list of steps. Immutable, thread-safe.
class PreTokenizer {
 public:
  PreTokenizer() = default;  // the whole text is one word
  /// Throws kUnsupported with the name of a step that is not known, kCorrupt for a broken one.
  explicit PreTokenizer(JsonReader json);

  Words operator()(AlignedText text) const;

 private:
  using Step = std::function<void(Words&)>;
  void add(JsonReader json);
  void add_byte_level(JsonReader& json);
  void add_metaspace(JsonReader& json);
  void add_split(JsonReader& json);
  std::vector<Step> steps_;
};

}  // namespace refrag
