#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "refrag/error.h"
#include "refrag/export.h"
#include "refrag/knowledge_base.h"
#include "refrag/query.h"

namespace refrag {

/// What the model computes in. kInt8: the decoder's weights take a byte each, and a few questions at a time, bound by
/// reading them, decode faster; everything else, the KV cache too, stays in fp32 or bf16. On the CPU only.
enum class Dtype { kAuto, kFp32, kBf16, kInt8 };
REFRAG_EXPORT const char* name_of(Dtype);  // "auto", "fp32", "bf16", "int8"
enum class Device { kCpu, kCuda };

struct ModelOptions {
  /// kAuto: bf16 where the processor has instructions for it and was measured to be faster with it, else fp32
  /// (docs/operations.md).
  Dtype dtype = Dtype::kAuto;
  /// With kInt8: kFp32 or kBf16 for all but the decoder's weights; kAuto: as above.
  Dtype beside_int8 = Dtype::kAuto;
  Device device = Device::kCpu;
  /// For one operation of the model, 0 to 1024; 0: one a physical core. Set for the whole process when a bundle is
  /// loaded, since libtorch has one pool: the bundle that was loaded last decides.
  std::size_t threads = 0;
  /// Read the decoder's weights when it first runs, not at loading: for programs that only index or search, which then
  /// do without its memory. They are checked at loading all the same.
  bool lazy_decoder = false;
  /// Keep weights as gradients need them. Else linear layers on the CPU are laid out for the processor's products,
  /// which are up to four times as fast; a decoder whose head is its embedding then holds that matrix twice.
  bool trainable = false;
};

/// What `refrag inspect` prints of one part.
struct PartReport {
  std::string name;  // decoder, encoder, projector, policy, retriever, reranker
  std::string architecture;
  std::string stored_dtype;
  std::size_t parameters = 0;
  std::size_t bytes = 0;
  std::vector<std::pair<std::string, std::string>> shape;  // what its config says, in reading order
};
struct BundleReport {
  std::string name;
  std::size_t chunk_size = 0;
  std::vector<PartReport> parts;
  Identities identities;
  std::string projector_identity;
  std::vector<std::string> problems;  // anything that would keep a mode from working
};

/// Decoder, encoder, projector, policy and tokenizers of one model directory (docs/formats.md). A Hugging Face
/// LlamaForCausalLM directory is taken as it is: it answers in the modes `full` and `none`.
/// Immutable after loading; shared by any number of engines. Throws only refrag::Error.
class REFRAG_EXPORT ModelBundle {
 public:
  static std::shared_ptr<const ModelBundle> load(const std::filesystem::path& directory,
                                                 const ModelOptions& options = {});
  /// Reads and checks without keeping the weights; problems are listed, not thrown, where the directory can be read at
  /// all.
  static BundleReport inspect(const std::filesystem::path& directory);
  ~ModelBundle();

  const std::string& name() const;
  std::size_t chunk_size() const;  // decoder tokens a chunk; 0 without an encoder
  const Identities& identities() const;
  /// What `KnowledgeBase::create` needs for a base of this model.
  KnowledgeBaseSchema schema(VectorFormat format = VectorFormat::kFp16) const;

  struct Parts;
  const Parts& parts() const;  // src/model/parts.h; torch types, not for embedders

 private:
  explicit ModelBundle(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace refrag
