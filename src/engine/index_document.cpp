#include "engine/index_document.h"

#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>
#include <variant>

#include "base/hash.h"
#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "text/sentences.h"

namespace refrag {
namespace {

constexpr std::size_t kMaxIdBytes = 512;
// One document is held whole: tokens, and 4 bytes a float of its chunk vectors, about 50 bytes a byte of text.
constexpr std::size_t kMaxTextBytes = 16u << 20;
constexpr std::size_t kMaxTitleBytes = 64u << 10;

[[noreturn]] void refuse(const std::string& field, const std::string& found_and_expected) {
  throw Error(ErrorCode::kInvalidArgument, message(field, ' ', found_and_expected), field);
}

void check_id(const std::string& id) {
  if (id.empty() || id.size() > kMaxIdBytes) {
    refuse("id", id.empty() ? message("is empty; expected 1 to ", kMaxIdBytes, " bytes")
                            : message("has ", id.size(), " bytes; expected 1 to ", kMaxIdBytes));
  }
  // Replacing what is invalid could make two ids one.
  if (!is_valid_utf8(id) || id.find('\0') != std::string::npos) {
    refuse("id", "is not plain UTF-8 text");
  }
}

void check_size(const std::string& field, std::size_t bytes, std::size_t most) {
  if (bytes > most) {
    refuse(field, message("has ", bytes, " bytes; expected at most ", most));
  }
}

}  // namespace

Metadata storable_metadata(const Metadata& metadata) {
  Metadata result;
  for (const auto& [name, value] : metadata) {
    const std::string stored_name = normalize_document_text(name);
    if (const auto* number = std::get_if<double>(&value); number != nullptr && !std::isfinite(*number)) {
      refuse("metadata." + stored_name, message("is ", *number, "; expected a finite number"));
    }
    const auto* text = std::get_if<std::string>(&value);
    result[stored_name] = text == nullptr ? value : MetadataValue(normalize_document_text(*text));
  }
  return result;
}

namespace {

// A type's letter before its value: 1, 1.0, true and "1" are four values.
struct HashForm {
  std::string operator()(const std::string& text) const { return 's' + text; }
  std::string operator()(std::int64_t number) const { return 'i' + std::to_string(number); }
  std::string operator()(bool flag) const { return flag ? "bt" : "bf"; }
  std::string operator()(double number) const {
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    return 'd' + std::string(digits.data(), end);
  }
};

PassageRecord record_of(Passage passage, const CodePointIndex& code_points) {
  PassageRecord record;
  record.start = code_points.at_byte(passage.bytes.begin);
  record.end = code_points.at_byte(passage.bytes.end);
  record.chunks.reserve(passage.chunks.size());
  for (Chunk& chunk : passage.chunks) {
    record.chunks.push_back({.ids = std::move(chunk.ids),
                             .start = code_points.at_byte(chunk.bytes.begin),
                             .end = code_points.at_byte(chunk.bytes.end)});
  }
  return record;
}

void check_rows(const Matrix& vectors, std::size_t rows, std::size_t width, const char* what) {
  if (vectors.rows != rows || vectors.width != width || vectors.values.size() != rows * width) {
    throw Error(ErrorCode::kInternal, message("the model gave ", vectors.rows, " x ", vectors.width, " floats of ",
                                              what, " vectors; expected ", rows, " x ", width));
  }
}

void add_chunk_vectors(std::vector<CutDocument>& documents, const ModelRunner& runner, std::size_t width) {
  std::vector<std::vector<TokenId>> chunks;
  for (const CutDocument& document : documents) {
    for (const PassageRecord& passage : document.record.passages) {
      for (const ChunkRecord& chunk : passage.chunks) {
        chunks.push_back(chunk.ids);
      }
    }
  }
  const Matrix vectors = runner.encode_chunks(chunks);
  check_rows(vectors, chunks.size(), width, "chunk");
  auto next = vectors.values.begin();
  for (CutDocument& document : documents) {
    for (PassageRecord& passage : document.record.passages) {
      const auto end = next + static_cast<std::ptrdiff_t>(passage.chunks.size() * width);
      passage.chunk_vectors.assign(next, end);
      next = end;
    }
  }
}

void add_passage_vectors(std::vector<CutDocument>& documents, const ModelRunner& runner, std::size_t width) {
  std::vector<std::string> texts;
  for (const CutDocument& document : documents) {
    for (const ByteRange& bytes : document.passage_bytes) {
      texts.push_back(document.record.document.text.substr(bytes.begin, bytes.end - bytes.begin));
    }
  }
  const Matrix vectors = runner.embed_passages(texts);
  check_rows(vectors, texts.size(), width, "passage");
  std::size_t row = 0;
  for (CutDocument& document : documents) {
    for (PassageRecord& passage : document.record.passages) {
      const auto vector = vectors.row(row++);
      passage.vector.assign(vector.begin(), vector.end());
    }
  }
}

/// What add_passage_vectors would give, from the chunk vectors that are there: half the work.
void add_mean_vectors(std::vector<CutDocument>& documents, std::size_t width) {
  for (CutDocument& document : documents) {
    for (PassageRecord& passage : document.record.passages) {
      std::vector<double> sum(width, 0.0);
      for (std::size_t i = 0; i < passage.chunk_vectors.size(); ++i) sum[i % width] += passage.chunk_vectors[i];
      const double length = std::sqrt(std::inner_product(sum.begin(), sum.end(), sum.begin(), 0.0));
      passage.vector.clear();
      for (const double value : sum) passage.vector.push_back(static_cast<float>(length > 0 ? value / length : 0.0));
    }
  }
}

}  // namespace

Document storable_form(const Document& document) {
  check_id(document.id);
  check_size("title", document.title.size(), kMaxTitleBytes);
  check_size("text", document.text.size(), kMaxTextBytes);
  Document result{.id = document.id,
                  .title = normalize_document_text(document.title),
                  .text = normalize_document_text(document.text),
                  .metadata = storable_metadata(document.metadata)};
  if (skip_space(result.text, 0, result.text.size()) == result.text.size()) {  // as the chunker sees blanks
    refuse("text", "is blank; expected words");
  }
  return result;
}

std::string content_hash(const Document& document, const PassageOptions& options) {
  Sha256 hash;
  hash.add_field(message("document 1, passages of ", options.passage_tokens, ", overlap ", options.overlap_tokens,
                         ", chunks of ", options.chunk_size));
  hash.add_field(document.title).add_field(document.text);
  for (const auto& [name, value] : document.metadata) {
    hash.add_field(name).add_field(std::visit(HashForm(), value));
  }
  return hash.hex();
}

CutDocument cut_document(Document document, std::string hash, const Tokenizer& tokenizer,
                         const PassageOptions& options) {
  std::vector<Passage> passages = cut_into_passages(document.text, tokenizer, options);
  if (passages.empty()) {
    refuse("text", "is blank; expected words");
  }
  const CodePointIndex code_points(document.text);
  CutDocument cut;
  for (Passage& passage : passages) {
    cut.passage_bytes.push_back(passage.bytes);
    cut.record.passages.push_back(record_of(std::move(passage), code_points));
  }
  cut.record.content_hash = std::move(hash);
  cut.record.document = std::move(document);
  return cut;
}

void add_vectors(std::vector<CutDocument>& documents, const ModelRunner& runner, const KnowledgeBaseSchema& schema) {
  if (documents.empty()) {
    return;
  }
  if (schema.chunk_width > 0) {
    add_chunk_vectors(documents, runner, schema.chunk_width);
  }
  if (schema.passage_width > 0 && schema.passage_width == schema.chunk_width &&
      runner.info().passages_are_mean_of_chunks) {
    add_mean_vectors(documents, schema.passage_width);
  } else if (schema.passage_width > 0) {
    add_passage_vectors(documents, runner, schema.passage_width);
  }
}

}  // namespace refrag
