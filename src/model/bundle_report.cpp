#include <ATen/ATen.h>

#include <utility>

#include "base/message.h"
#include "model/bundle_loader.h"
#include "model/foreign_errors.h"
#include "refrag/model_bundle.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using Shape = std::vector<std::pair<std::string, std::string>>;

std::pair<std::string, std::string> entry(const char* name, std::size_t value) { return {name, std::to_string(value)}; }

// What is said of a part whose weights can be opened, whether or not it fits the others.
PartReport report_weights(const std::string& name, const fs::path& directory_or_file) {
  PartReport report;
  report.name = name;
  try {
    const Checkpoint checkpoint = Checkpoint::open(directory_or_file);
    report.stored_dtype = checkpoint.dtype_name();
    report.parameters = checkpoint.parameters();
    report.bytes = checkpoint.bytes();
  } catch (const std::exception&) {
    // The loader has named it already.
  }
  return report;
}

PartReport report_encoder(const std::string& name, const fs::path& directory, const EncoderConfig* config) {
  PartReport report = report_weights(name, directory);
  if (config != nullptr) {
    report.architecture = config->architecture;
    report.shape = {entry("layers", config->num_layers),     entry("width", config->width),
                    entry("heads", config->num_heads),       entry("ffn width", config->ffn_width),
                    entry("vocabulary", config->vocab_size), entry("longest input", config->longest_input())};
  }
  return report;
}

PartReport report_decoder(const fs::path& directory, const LlamaDecoder* decoder) {
  PartReport report = report_weights("decoder", directory);
  if (decoder != nullptr) {
    const LlamaConfig& config = decoder->config();
    report.architecture = "LlamaForCausalLM";
    report.shape = {entry("layers", static_cast<std::size_t>(config.num_layers)),
                    entry("width", static_cast<std::size_t>(config.width)),
                    entry("heads", static_cast<std::size_t>(config.num_heads)),
                    entry("key/value heads", static_cast<std::size_t>(config.num_kv_heads)),
                    entry("head width", static_cast<std::size_t>(config.head_dim)),
                    entry("ffn width", static_cast<std::size_t>(config.ffn_width)),
                    entry("vocabulary", static_cast<std::size_t>(config.vocab_size)),
                    entry("positions", static_cast<std::size_t>(config.max_positions))};
  }
  return report;
}

PartReport report_projector(const fs::path& file, const Projector* projector) {
  PartReport report = report_weights("projector", file);
  report.architecture = "fc2(gelu(fc1(x)))";
  if (projector != nullptr) {
    report.shape = {entry("input width", projector->input_width()), entry("hidden width", projector->hidden_width()),
                    entry("output width", projector->output_width())};
  }
  return report;
}

PartReport report_policy(const fs::path& file, const ExpansionPolicy* policy) {
  PartReport report = report_weights("policy", file);
  report.architecture = "post-LN transformer";
  if (policy != nullptr) {
    report.shape = {entry("layers", policy->num_layers()),
                    entry("width", policy->width()),
                    entry("trained positions", policy->trained_positions()),
                    {"reads", policy->reads_projected() ? "projected chunk vectors" : "the encoder's chunk vectors"},
                    {"sees the question", policy->question_aware() ? "yes" : "no"}};
  }
  return report;
}

void report_parts(const BundleLayout& layout, const BundleSpec& spec, const ModelBundle::Parts& parts,
                  BundleReport& report) {
  report.parts.push_back(report_decoder(layout.decoder(), parts.decoder.get()));
  if (spec.encoder) {
    const EncoderConfig* config = parts.chunk_encoder == nullptr ? nullptr : &parts.chunk_encoder->config();
    report.parts.push_back(report_encoder("encoder", layout.encoder(), config));
    report.parts.push_back(report_projector(layout.projector(), parts.projector.get()));
  }
  if (spec.policy) {
    report.parts.push_back(report_policy(layout.policy(), parts.policy.get()));
  }
  if (BundleLayout::is_there(layout.retriever())) {
    const EncoderConfig* config = parts.retriever == nullptr ? nullptr : parts.retriever->config();
    report.parts.push_back(report_encoder("retriever", layout.retriever(), config));
  }
  if (BundleLayout::is_there(layout.reranker())) {
    const EncoderConfig* config = parts.reranker == nullptr ? nullptr : &parts.reranker->config();
    report.parts.push_back(report_encoder("reranker", layout.reranker(), config));
  }
}

}  // namespace

BundleReport ModelBundle::inspect(const fs::path& directory) try {
  const BundleLayout layout = BundleLayout::find(directory);
  BundleReport report;
  BundleSpec spec;
  try {
    spec = layout.read_spec();
  } catch (const Error& error) {
    report.problems.emplace_back(error.what());
    return report;  // without it nothing says which parts there should be
  }
  const auto note = [&](const Error& problem) { report.problems.emplace_back(problem.what()); };
  // On the device "meta" shapes are checked and no weight is copied.
  const auto parts = BundleLoader(layout, spec, at::TensorOptions(at::kFloat).device(at::kMeta), note).load();
  report.name = spec.name;
  report.chunk_size = spec.chunk_size;
  report.identities = parts->identities;
  report.projector_identity = parts->projector_identity;
  report_parts(layout, spec, *parts, report);
  return report;
} catch (const std::exception& caught) {
  throw as_error(caught);
}

}  // namespace refrag
