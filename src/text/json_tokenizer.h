#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "base/json_reader.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace refrag {

/// The tokenizer that tokenizer.json describes, as Hugging Face's `tokenizers` runs it; its truncation and padding are
/// not ours. Throws kUnsupported with the name of a part that is not known, kCorrupt for a broken file.
std::shared_ptr<const Tokenizer> load_json_tokenizer(const std::filesystem::path& directory);

/// The same from its parts. `where` names the file in messages, `identity` is what Tokenizer::identity gives.
std::shared_ptr<const Tokenizer> make_json_tokenizer(const Json& json, const TokenizerConfig& config,
                                                     const std::string& where, std::string identity);

}  // namespace refrag
