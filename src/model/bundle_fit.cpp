#include "model/bundle_fit.h"

#include <optional>
#include <set>
#include <utility>

#include "base/message.h"

namespace refrag {
namespace {

using Parts = ModelBundle::Parts;
using Misfits = std::vector<std::string>;

/// A tokenizer and the embedding table that its ids index.
struct Table {
  const Tokenizer* tokenizer = nullptr;
  std::size_t rows = 0;
  std::string model;  // whose it is, for messages
};

// Special tokens past the table are harmless as such (a pad token that someone added): no text becomes one.
void check_vocabulary(const Table& table, Misfits& misfits) {
  const Tokenizer& tokenizer = *table.tokenizer;
  for (std::size_t id = table.rows; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.is_special(static_cast<TokenId>(id))) {
      misfits.push_back(message(table.model, " has embeddings for ", table.rows, " tokens; its tokenizer has ",
                                tokenizer.vocab_size()));
      return;
    }
  }
}

// But what we write ourselves does: templates, and the tokens around a text.
void check_made(const std::string& maker, const std::vector<TokenId>& ids, const Table& table, Misfits& misfits) {
  for (const TokenId id : std::set<TokenId>(ids.begin(), ids.end())) {
    if (static_cast<std::size_t>(id) >= table.rows && table.tokenizer->is_special(id)) {
      misfits.push_back(message(maker, " gives \"", table.tokenizer->token_of(id), "\", token ", id, "; ", table.model,
                                " has embeddings for ", table.rows, " tokens"));
    }
  }
}

void check_template(const std::string& field, const std::string& text, const Table& table, Misfits& misfits) {
  check_made(field, table.tokenizer->encode(text, SpecialTokens::kParse), table, misfits);
}

// By an example: one message of each kind that every template takes.
void check_chat_template(const ChatTemplate& chat, const Table& table, Misfits& misfits) {
  try {
    const std::vector<TextPiece> pieces =
        chat.render({{"user", "a"}, {"assistant", "b"}, {"user", "c"}}, /*add_generation_prompt=*/true);
    check_made("the chat template", table.tokenizer->encode_pieces(pieces).ids, table, misfits);
  } catch (const Error&) {
    // It takes no such conversation, and says so to whoever asks for one.
  }
}

void check_decoder(const Parts& parts, Misfits& misfits) {
  const Table table{parts.tokenizer.get(), static_cast<std::size_t>(parts.decoder->config().vocab_size), "the decoder"};
  check_vocabulary(table, misfits);
  if (const std::optional<TokenId> bos = table.tokenizer->bos()) {
    check_made("the beginning of a prompt", {*bos}, table, misfits);
  }
  check_template("prompt.template", parts.prompt.text, table, misfits);
  check_template("prompt.passage", parts.prompt.passage, table, misfits);
  check_template("prompt.separator", parts.prompt.separator, table, misfits);
  if (parts.chat_template) {
    check_chat_template(*parts.chat_template, table, misfits);
  }
}

void check_width(const std::string& reader, std::size_t expected, const std::string& writer, std::size_t found,
                 Misfits& misfits) {
  if (expected != found) {
    misfits.push_back(message(reader, " is ", expected, " wide; ", writer, " is ", found));
  }
}

void check_chunk_encoder(const Parts& parts, Misfits& misfits) {
  const ChunkEncoder& encoder = *parts.chunk_encoder;
  const ChunkInput& input = encoder.input();
  if (input.own_tokenizer != nullptr) {
    const Table table{input.own_tokenizer.get(), encoder.config().vocab_size, "the encoder"};
    check_vocabulary(table, misfits);
    check_made("the encoder's tokenizer", input.own_tokenizer->encode_for_model(""), table, misfits);
    return;
  }
  const Table table{parts.tokenizer.get(), encoder.config().vocab_size, "the encoder"};
  check_vocabulary(table, misfits);
  check_template("prompt.query", parts.prompt.query, table, misfits);
  for (const auto& [field, id] : {std::pair("encoder.start", input.start), std::pair("encoder.end", input.end)}) {
    if (id) {
      check_made(field, {*id}, table, misfits);
    }
  }
  const std::size_t needed = parts.chunk_size + (input.start ? 1 : 0) + (input.end ? 1 : 0);
  if (needed > encoder.config().longest_input()) {
    misfits.push_back(message("chunk_size is ", parts.chunk_size, ", ", needed,
                              " tokens with the special ones; the "
                              "encoder reads at most ",
                              encoder.config().longest_input()));
  }
}

void check_retriever(const TextEmbedder& retriever, Misfits& misfits) {
  const Table table{&retriever.tokenizer(), retriever.config()->vocab_size, "the retriever"};
  check_vocabulary(table, misfits);
  check_made("the retriever's tokenizer", retriever.tokenizer().encode_for_model(""), table, misfits);
}

void check_reranker(const CrossEncoder& reranker, Misfits& misfits) {
  const Table table{&reranker.tokenizer(), reranker.config().vocab_size, "the reranker"};
  check_vocabulary(table, misfits);
  check_made("the reranker's tokenizer", reranker.tokenizer().encode_pair("", "").ids, table, misfits);
}

}  // namespace

std::vector<std::string> find_misfits(const Parts& parts) {
  Misfits misfits;
  if (parts.tokenizer != nullptr && parts.decoder != nullptr) {
    check_decoder(parts, misfits);
  }
  if (parts.tokenizer != nullptr && parts.chunk_encoder != nullptr) {
    check_chunk_encoder(parts, misfits);
  }
  if (parts.projector != nullptr && parts.chunk_encoder != nullptr) {
    check_width("the projector's input", parts.projector->input_width(), "the encoder", parts.chunk_encoder->width(),
                misfits);
  }
  if (parts.projector != nullptr && parts.decoder != nullptr) {
    check_width("the projector's output", parts.projector->output_width(), "the decoder",
                static_cast<std::size_t>(parts.decoder->config().width), misfits);
  }
  if (parts.policy != nullptr && parts.policy->reads_projected() && parts.projector != nullptr) {
    check_width("the policy", parts.policy->width(), "the projector's output, which it reads,",
                parts.projector->output_width(), misfits);
  }
  if (parts.policy != nullptr && !parts.policy->reads_projected() && parts.chunk_encoder != nullptr) {
    check_width("the policy", parts.policy->width(), "the encoder, whose vectors it reads,",
                parts.chunk_encoder->width(), misfits);
  }
  if (parts.retriever != nullptr && parts.retriever->config() != nullptr) {
    check_retriever(*parts.retriever, misfits);
  }
  if (parts.reranker != nullptr) {
    check_reranker(*parts.reranker, misfits);
  }
  return misfits;
}

}  // namespace refrag
