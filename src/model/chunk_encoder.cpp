#include "model/chunk_encoder.h"

#include <bit>
#include <utility>

#include "base/log.h"
#include "base/message.h"
#include "base/utf8.h"
#include "model/text_input.h"

namespace refrag {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// The bytes of all chunks, one after another, and where each chunk's end.
struct ChunkBytes {
  std::string bytes;
  std::vector<std::size_t> ends;
};

ChunkBytes bytes_of(const Tokenizer& tokenizer, const std::vector<std::vector<TokenId>>& chunks) {
  ChunkBytes all;
  for (const std::vector<TokenId>& chunk : chunks) {
    for (const TokenId id : chunk) {
      all.bytes += tokenizer.bytes_of(id);
    }
    all.ends.push_back(all.bytes.size());
  }
  return all;
}

// A character belongs to the chunk that holds its first byte: the rest of one that began in the chunk before is passed
// over, the rest of the last one is taken from what follows. Where it does not follow, U+FFFD stands for the character.
std::string text_of(const std::string& bytes, std::size_t begin, std::size_t end) {
  while (begin < end && continues_character(bytes[begin])) {
    ++begin;
  }
  std::string text = bytes.substr(begin, end - begin);
  while (end < bytes.size() && continues_character(bytes[end]) && incomplete_tail(text) > 0) {
    text += bytes[end++];
  }
  return text.empty() ? kReplacement : to_valid_utf8(text);
}

}  // namespace

ChunkEncoder::ChunkEncoder(std::shared_ptr<const RobertaEncoder> encoder,
                           std::shared_ptr<const Tokenizer> decoder_tokenizer, ChunkInput input)
    : encoder_(std::move(encoder)), decoder_tokenizer_(std::move(decoder_tokenizer)), input_(std::move(input)) {}

Json ChunkEncoder::describe() const {
  const auto id_or_null = [](const std::optional<TokenId>& id) { return id ? Json(*id) : Json(); };
  const bool shared = input_.own_tokenizer == nullptr;
  return {{"encoder", encoder_->identity()},    {"tokenizer", shared ? "shared" : input_.own_tokenizer->identity()},
          {"start", id_or_null(input_.start)},  {"end", id_or_null(input_.end)},
          {"pooling", name_of(input_.pooling)}, {"normalize", input_.normalize}};
}

EncoderInput ChunkEncoder::wrap(const std::vector<TokenId>& chunk) const {
  EncoderInput input;
  input.ids.reserve(chunk.size() + 2);
  if (input_.start) {
    input.ids.push_back(*input_.start);
  }
  input.ids.insert(input.ids.end(), chunk.begin(), chunk.end());
  if (input_.end) {
    input.ids.push_back(*input_.end);
  }
  return input;
}

EncoderInput ChunkEncoder::tokenize(const std::string& text) const {
  TextInput input = encode_for_encoder(*input_.own_tokenizer, text, encoder_->config().longest_input());
  if (input.was_cut) {
    warn_of_cut();
  }
  if (input.ids.empty()) {  // of nothing that the tokenizer keeps: a chunk of spaces, say
    input.ids.push_back(encoder_->config().pad_id);
  }
  return {std::move(input.ids), {}};
}

// An index run may cut thousands: the first, the second, the fourth and so on are said.
void ChunkEncoder::warn_of_cut() const {
  const std::uint64_t count = ++cut_chunks_;
  if (std::has_single_bit(count)) {
    log_warning(message(count, " chunks so far were longer than the encoder's ", encoder_->config().longest_input(),
                        " tokens once tokenized anew, and were cut: a smaller chunk_size would lose nothing"));
  }
}

std::vector<EncoderInput> ChunkEncoder::inputs_of(const std::vector<std::vector<TokenId>>& chunks) const {
  std::vector<EncoderInput> inputs;
  inputs.reserve(chunks.size());
  if (input_.own_tokenizer == nullptr) {
    for (const std::vector<TokenId>& chunk : chunks) {
      inputs.push_back(wrap(chunk));
    }
    return inputs;
  }
  const ChunkBytes all = bytes_of(*decoder_tokenizer_, chunks);
  std::size_t begin = 0;
  for (const std::size_t end : all.ends) {
    inputs.push_back(tokenize(text_of(all.bytes, begin, end)));
    begin = end;
  }
  return inputs;
}

at::Tensor ChunkEncoder::encode(const std::vector<std::vector<TokenId>>& chunks) const {
  return encoder_->embed(inputs_of(chunks), input_.pooling, input_.normalize);
}

}  // namespace refrag
