#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

#include "base/json_reader.h"
#include "model/encoder_config.h"
#include "model/policy_options.h"
#include "refrag/query.h"
#include "text/prompt_template.h"

namespace refrag {

/// refrag.json, field by field (docs/formats.md).
struct BundleSpec {
  struct Encoder {
    bool shared_tokenizer = true;  // decoder ids as they are; else the chunk's text through encoder/'s own tokenizer
    std::string start;             // special tokens around shared ids, as the vocabulary spells them; empty: none
    std::string end;
    Pooling pooling = Pooling::kCls;
    bool normalize = false;  // L2, after pooling
  };
  struct Retrieval {
    std::optional<RetrieveMode> preferred;  // absent: hybrid where there is a retriever/, else lexical
    std::size_t max_tokens = 0;             // longest input of the retriever; 0: what it was published with
    std::string query_prefix;
    std::string passage_prefix;
  };
  std::string name;
  std::size_t chunk_size = 0;  // 0: no encoder
  std::optional<Encoder> encoder;
  PromptTemplate prompt;
  std::size_t passage_tokens = 256;
  Retrieval retrieval;
  std::optional<PolicyOptions> policy;
};

constexpr std::int64_t kBundleFormatVersion = 1;

/// Throws kCorrupt naming the field: a wrong type or value, a field that is not known, a field that is missing; and
/// kUnsupported for a newer format version.
BundleSpec read_bundle_spec(const std::filesystem::path& file);
BundleSpec parse_bundle_spec(const Json& json, const std::string& file);

}  // namespace refrag
