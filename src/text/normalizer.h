#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "text/aligned_text.h"

namespace refrag {

/// What a tokenizer.json does to text before it is cut: its "normalizer", a list of steps. Immutable, thread-safe.
class Normalizer {
 public:
  Normalizer() = default;  // leaves text as it is
  /// Throws kUnsupported with the name of a step that is not known, kCorrupt for a broken one.
  explicit Normalizer(JsonReader json);

  AlignedText operator()(AlignedText text) const;

 private:
  using Step = std::function<AlignedText(AlignedText)>;
  void add(JsonReader json);
  void add_bert(JsonReader& json);
  std::vector<Step> steps_;
};

}  // namespace refrag
