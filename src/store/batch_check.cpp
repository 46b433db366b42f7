#include "store/batch_check.h"

#include <cmath>
#include <string>
#include <string_view>
#include <unordered_set>
#include <variant>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kMostIdBytes = 512;
constexpr float kMostFp16 = 65504.0F;  // greater ones would be stored as infinity

[[noreturn]] void refuse(const std::string& field, const std::string& found_and_expected) {
  throw Error(ErrorCode::kInvalidArgument, field + found_and_expected, field);
}

void check_text(const std::string& text, const std::string& field) {
  if (!is_valid_utf8(text)) {
    refuse(field, " is not valid UTF-8");
  }
}

void check_vectors(const std::vector<float>& vectors, std::size_t expected, float most, const std::string& field) {
  if (vectors.size() != expected) {
    refuse(field, message(" has ", vectors.size(), " floats; expected ", expected));
  }
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    if (!(std::abs(vectors[i]) <= most)) {  // true for NaN too
      refuse(message(field, "[", i, "]"), message(" is ", vectors[i], "; expected a finite number up to ", most));
    }
  }
}

void check_passage(const PassageRecord& passage, std::size_t code_points, const KnowledgeBaseSchema& schema,
                   const std::string& field) {
  if (passage.start > passage.end || passage.end > code_points) {
    refuse(field, message(" is ", passage.start, " to ", passage.end, "; expected a range within the ", code_points,
                          " code points of the text"));
  }
  for (std::size_t i = 0; i < passage.chunks.size(); ++i) {
    const ChunkRecord& chunk = passage.chunks[i];
    const std::string chunk_field = message(field, ".chunks[", i, "]");
    if (chunk.ids.empty() || chunk.ids.size() > schema.chunk_size) {
      refuse(chunk_field, message(" has ", chunk.ids.size(), " tokens; expected 1 to ", schema.chunk_size));
    }
    if (chunk.start > chunk.end || chunk.end > code_points) {
      refuse(chunk_field, message(" is ", chunk.start, " to ", chunk.end, "; expected a range within the ", code_points,
                                  " code points of the text"));
    }
    for (const TokenId id : chunk.ids) {
      if (id < 0) {
        refuse(chunk_field, message(" has token id ", id, "; expected 0 or more"));
      }
    }
  }
  constexpr float kMostFloat = 1e18F;  // inner products of vectors of such floats stay finite
  const float most_in_chunk = schema.vector_format == VectorFormat::kFp16 ? kMostFp16 : kMostFloat;
  check_vectors(passage.vector, schema.passage_width, kMostFloat, field + ".vector");
  check_vectors(passage.chunk_vectors, passage.chunks.size() * schema.chunk_width, most_in_chunk,
                field + ".chunk_vectors");
}

void check_metadata(const Metadata& metadata, const std::string& field) {
  for (const auto& [name, value] : metadata) {
    check_text(name, field + " name");
    const std::string value_field = message(field, ".", name);
    if (const auto* text = std::get_if<std::string>(&value)) {
      check_text(*text, value_field);
    }
    if (const auto* number = std::get_if<double>(&value); number != nullptr && !std::isfinite(*number)) {
      refuse(value_field, message(" is ", *number, "; expected a finite number"));
    }
  }
}

void check_id(const std::string& id, const std::string& field) {
  check_text(id, field);
  if (id.empty() || id.size() > kMostIdBytes) {
    refuse(field, message(" has ", id.size(), " bytes; expected 1 to ", kMostIdBytes));
  }
}

}  // namespace

void check_batch(const Batch& batch, const KnowledgeBaseSchema& schema) {
  std::unordered_set<std::string_view> ids;
  for (std::size_t i = 0; i < batch.documents.size(); ++i) {
    const DocumentRecord& record = batch.documents[i];
    const std::string field = message("documents[", i, "]");
    check_id(record.document.id, field + ".id");
    if (!ids.insert(record.document.id).second) {
      refuse(field + ".id", message(" is \"", record.document.id, "\", which the batch holds already"));
    }
    check_text(record.document.title, field + ".title");
    check_text(record.document.text, field + ".text");
    check_metadata(record.document.metadata, field + ".metadata");
    const std::size_t code_points = count_code_points(record.document.text);
    for (std::size_t j = 0; j < record.passages.size(); ++j) {
      check_passage(record.passages[j], code_points, schema, message(field, ".passages[", j, "]"));
    }
  }
}

}  // namespace refrag
