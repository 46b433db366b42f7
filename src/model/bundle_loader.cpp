#include "model/bundle_loader.h"

#include <utility>

#include "base/hash.h"
#include "base/message.h"
#include "model/bundle_fit.h"
#include "model/foreign_errors.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

std::optional<TokenId> special_token(const Tokenizer& tokenizer, const std::string& token, const std::string& field) {
  if (token.empty()) {
    return std::nullopt;
  }
  const std::optional<TokenId> id = tokenizer.id_of(token);
  if (!id) {
    throw Error(ErrorCode::kCorrupt,
                message(field, " is \"", token, "\"; expected a token of the decoder's tokenizer, or nothing"), field);
  }
  return id;
}

}  // namespace

BundleLoader::BundleLoader(const BundleLayout& layout, const BundleSpec& spec, const at::TensorOptions& options,
                           OnProblem on_problem, const PartLayouts& weights)
    : layout_(layout),
      spec_(spec),
      options_(options),
      weights_(weights),
      on_problem_(std::move(on_problem)),
      parts_(std::make_unique<ModelBundle::Parts>()) {}

void BundleLoader::attempt(const std::string& part, const std::function<void()>& load) const {
  try {
    load();
  } catch (const std::exception& caught) {
    const Error error = as_error(caught);
    on_problem_(Error(error.code(), message(part, ": ", error.what()), error.param()));
  }
}

std::unique_ptr<ModelBundle::Parts> BundleLoader::load() {
  parts_->name = spec_.name;
  parts_->chunk_size = spec_.chunk_size;
  parts_->prompt = spec_.prompt;
  parts_->passage_tokens = spec_.passage_tokens;
  load_decoder();
  load_encoder();
  load_search();
  check_fit();
  identify();
  return std::move(parts_);
}

void BundleLoader::load_decoder() {
  attempt("tokenizer", [&] { parts_->tokenizer = Tokenizer::load(layout_.decoder()); });
  attempt("chat template", [&] { parts_->chat_template = ChatTemplate::load(layout_.decoder()); });
  attempt("decoder", [&] { parts_->decoder = LlamaDecoder::load(layout_.decoder(), options_, weights_.decoder); });
}

void BundleLoader::load_encoder() {
  // A part that is there but not declared would be ignored in silence.
  const auto refuse_undeclared = [&](const fs::path& path, const char* field) {
    if (!layout_.is_plain() && BundleLayout::is_there(path)) {
      throw Error(ErrorCode::kCorrupt, message(path.string(), " is there, and refrag.json has no \"", field, "\""));
    }
  };
  if (!spec_.encoder) {
    attempt("encoder", [&] { refuse_undeclared(layout_.encoder(), "encoder"); });
  } else {
    if (parts_->tokenizer != nullptr) {
      attempt("encoder (mode refrag)", [&] { parts_->chunk_encoder = load_chunk_encoder(); });
    }
    attempt("projector (mode refrag)",
            [&] { parts_->projector = Projector::load(layout_.projector(), options_.device(), weights_.others); });
  }
  if (!spec_.policy) {
    attempt("policy", [&] { refuse_undeclared(layout_.policy(), "policy"); });
  } else {
    attempt("policy (expansion by policy)", [&] {
      parts_->policy = ExpansionPolicy::load(layout_.policy(), *spec_.policy, options_.device(), weights_.others);
    });
  }
}

std::shared_ptr<const ChunkEncoder> BundleLoader::load_chunk_encoder() const {
  ChunkInput input;
  input.pooling = spec_.encoder->pooling;
  input.normalize = spec_.encoder->normalize;
  if (spec_.encoder->shared_tokenizer) {
    input.start = special_token(*parts_->tokenizer, spec_.encoder->start, "encoder.start");
    input.end = special_token(*parts_->tokenizer, spec_.encoder->end, "encoder.end");
  } else {
    input.own_tokenizer = Tokenizer::load(layout_.encoder());
  }
  return std::make_shared<ChunkEncoder>(RobertaEncoder::load(layout_.encoder(), options_, weights_.others),
                                        parts_->tokenizer, std::move(input));
}

void BundleLoader::load_search() {
  const BundleSpec::Retrieval& retrieval = spec_.retrieval;
  const TextEmbedderOptions options{retrieval.query_prefix, retrieval.passage_prefix, retrieval.max_tokens};
  const bool has_retriever = BundleLayout::is_there(layout_.retriever());
  if (has_retriever) {
    attempt("retriever (dense search)",
            [&] { parts_->retriever = TextEmbedder::load(layout_.retriever(), options, options_, weights_.others); });
  } else if (parts_->chunk_encoder != nullptr) {
    parts_->retriever =
        std::make_shared<TextEmbedder>(parts_->chunk_encoder, parts_->tokenizer, spec_.chunk_size, options);
  }
  if (BundleLayout::is_there(layout_.reranker())) {
    attempt("reranker", [&] { parts_->reranker = CrossEncoder::load(layout_.reranker(), options_, weights_.others); });
  }
  // A chunk encoder was not trained to retrieve: dense search by it is on demand only.
  parts_->default_retrieve =
      retrieval.preferred.value_or(has_retriever ? RetrieveMode::kHybrid : RetrieveMode::kLexical);
}

void BundleLoader::check_fit() const {
  for (const std::string& misfit : find_misfits(*parts_)) {
    on_problem_(Error(ErrorCode::kCorrupt, misfit));
  }
}

// Both identities are the SHA-256 of a JSON object that names what went into them: a mismatch can name what differs.
void BundleLoader::identify() {
  ModelBundle::Parts& parts = *parts_;
  Json note = Json::object();
  if (parts.tokenizer != nullptr && (parts.chunk_encoder != nullptr || !spec_.encoder)) {
    Json chunks = parts.chunk_encoder != nullptr ? parts.chunk_encoder->describe() : Json::object();
    chunks["chunk_size"] = parts.chunk_size;
    chunks["decoder_tokenizer"] = parts.tokenizer->identity();
    parts.identities.chunks = sha256_hex(chunks.dump());
    note["chunks"] = std::move(chunks);
  }
  if (parts.retriever != nullptr) {
    Json passages = parts.retriever->describe();
    if (parts.retriever->config() == nullptr) {
      passages["chunks"] = parts.identities.chunks;
    }
    parts.identities.passages = sha256_hex(passages.dump());
    note["passages"] = std::move(passages);
  }
  parts.identity_note = note.dump();
  parts.projector_identity = parts.projector == nullptr ? "" : parts.projector->identity();
}

}  // namespace refrag
