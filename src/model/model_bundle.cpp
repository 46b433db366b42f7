#include "refrag/model_bundle.h"

#include <ATen/Parallel.h>

#include <utility>

#include "model/bundle_loader.h"
#include "model/foreign_errors.h"
#include "model/model_options.h"

namespace refrag {
namespace {

constexpr std::size_t kChunkSizeWithoutEncoder = 16;  // decoder tokens

}  // namespace

ModelBundle::ModelBundle(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ModelBundle::~ModelBundle() = default;

std::shared_ptr<const ModelBundle> ModelBundle::load(const std::filesystem::path& directory,
                                                     const ModelOptions& options) try {
  const ModelOptions resolved = resolve(options);
  const BundleLayout layout = BundleLayout::find(directory);
  const BundleSpec spec = layout.read_spec();
  at::set_num_threads(static_cast<int>(resolved.threads));
  BundleLoader loader(
      layout, spec, tensor_options(resolved), [](const Error& problem) { throw problem; }, layouts_of(resolved));
  std::unique_ptr<Parts> parts = loader.load();
  parts->options = resolved;
  if (!resolved.lazy_decoder) {
    parts->decoder->read_weights();
  }
  return std::shared_ptr<const ModelBundle>(new ModelBundle(std::move(parts)));
} catch (const std::exception& caught) {
  throw as_error(caught);
}

std::shared_ptr<const ModelBundle> ModelBundle::Parts::assemble(std::unique_ptr<Parts> parts) {
  return std::shared_ptr<const ModelBundle>(new ModelBundle(std::move(parts)));
}

const std::string& ModelBundle::name() const { return parts_->name; }
std::size_t ModelBundle::chunk_size() const { return parts_->chunk_size; }
const Identities& ModelBundle::identities() const { return parts_->identities; }
const ModelBundle::Parts& ModelBundle::parts() const { return *parts_; }

KnowledgeBaseSchema ModelBundle::schema(VectorFormat format) const {
  KnowledgeBaseSchema schema;
  schema.identities = parts_->identities;
  // Without an encoder a base still holds its text as chunks of tokens, which mode full reads.
  schema.chunk_size = parts_->chunk_size > 0 ? parts_->chunk_size : kChunkSizeWithoutEncoder;
  schema.chunk_width = parts_->chunk_encoder == nullptr ? 0 : parts_->chunk_encoder->width();
  schema.passage_width = parts_->retriever == nullptr ? 0 : parts_->retriever->width();
  schema.vector_format = format;
  schema.model_name = parts_->name;
  schema.identity_note = parts_->identity_note;
  return schema;
}

}  // namespace refrag
