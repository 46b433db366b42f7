#include "store/chunk_vectors.h"

#include <faiss/IndexScalarQuantizer.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

faiss::IndexScalarQuantizer index_for(const ChunkCodec& codec) {
  const auto type =
      codec.format == VectorFormat::kInt8 ? faiss::ScalarQuantizer::QT_8bit : faiss::ScalarQuantizer::QT_fp16;
  faiss::IndexScalarQuantizer index(static_cast<int>(codec.width), type, faiss::METRIC_INNER_PRODUCT);
  index.sq.trained = codec.ranges;
  index.is_trained = true;
  return index;
}

/// All that comes before the codes of `rows` vectors: FAISS writes an index without codes, whose last eight bytes are
/// their number, 0; we put the real number there.
std::string header_for(faiss::IndexScalarQuantizer& index, std::size_t rows) {
  index.ntotal = static_cast<faiss::Index::idx_t>(rows);
  faiss::VectorIOWriter writer;
  faiss::write_index(&index, &writer);
  index.ntotal = 0;
  const std::uint64_t bytes = rows * index.code_size;
  std::memcpy(writer.data.data() + writer.data.size() - sizeof bytes, &bytes, sizeof bytes);
  return {writer.data.begin(), writer.data.end()};
}

std::size_t trained_floats(std::size_t width, VectorFormat format) {
  return format == VectorFormat::kInt8 ? 2 * width : 0;
}

/// The trained ranges stand right before the number of codes, the header's last eight bytes.
std::vector<float> ranges_in(std::span<const std::byte> header, std::size_t count) {
  std::vector<float> ranges(count);
  const std::size_t bytes = count * sizeof(float);
  if (count > 0) {
    std::memcpy(ranges.data(), header.data() + header.size() - sizeof(std::uint64_t) - bytes, bytes);
  }
  return ranges;
}

}  // namespace

/// FAISS's codec for one vector at a time. (Its functions for many start threads for each call, in the caller's turn.)
class ChunkQuantizer {
 public:
  explicit ChunkQuantizer(const faiss::IndexScalarQuantizer& index)
      : scalar_(index.sq), code_bytes_(index.code_size), quantizer_(scalar_.select_quantizer()) {}

  std::size_t code_bytes() const { return code_bytes_; }
  /// `code` must be zeros.
  void encode(const float* vector, std::uint8_t* code) const { quantizer_->encode_vector(vector, code); }
  void decode(const std::uint8_t* code, float* vector) const { quantizer_->decode_vector(code, vector); }

 private:
  faiss::ScalarQuantizer scalar_;  // holds the ranges that quantizer_ reads
  std::size_t code_bytes_;
  std::unique_ptr<const faiss::ScalarQuantizer::SQuantizer> quantizer_;
};

RangeFinder::RangeFinder(std::size_t width)
    : width_(width),
      least_(width, std::numeric_limits<float>::max()),
      most_(width, std::numeric_limits<float>::lowest()) {}

void RangeFinder::add(std::span<const float> vectors) {
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const std::size_t dimension = i % width_;
    least_[dimension] = std::min(least_[dimension], vectors[i]);
    most_[dimension] = std::max(most_[dimension], vectors[i]);
  }
}

std::vector<float> RangeFinder::ranges() const {
  std::vector<float> ranges = least_;
  for (std::size_t i = 0; i < width_; ++i) {
    ranges.push_back(most_[i] - least_[i]);
  }
  return ranges;
}

std::vector<float> common_ranges(std::vector<float> a, std::span<const float> b) {
  const std::size_t width = a.size() / 2;
  for (std::size_t i = 0; i < width; ++i) {
    float& least = a[i];
    float& size = a[width + i];
    const float most = least + size;
    const float other_least = b[i];
    const float other_most = other_least + b[width + i];
    if (other_least >= least && other_most <= most) {
      continue;
    }
    // A range that holds the other stays what it is, to the last bit.
    size = least >= other_least && most <= other_most ? b[width + i]
                                                      : std::max(most, other_most) - std::min(least, other_least);
    least = std::min(least, other_least);
  }
  return a;
}

ChunkVectorsWriter::ChunkVectorsWriter(SegmentFileWriter& file, const ChunkCodec& codec, std::size_t rows)
    : file_(file), width_(codec.width) {
  faiss::IndexScalarQuantizer index = index_for(codec);
  quantizer_ = std::make_unique<const ChunkQuantizer>(index);
  const std::string header = header_for(index, rows);
  file_.append(header.data(), header.size());
}

ChunkVectorsWriter::~ChunkVectorsWriter() = default;

void ChunkVectorsWriter::append(std::span<const float> vectors) {
  std::vector<std::uint8_t> code;
  for (std::size_t start = 0; start < vectors.size(); start += width_) {
    code.assign(quantizer_->code_bytes(), 0);
    quantizer_->encode(vectors.data() + start, code.data());
    file_.append(code.data(), code.size());
  }
}

void ChunkVectorsWriter::append_codes(std::span<const std::byte> codes) { file_.append(codes.data(), codes.size()); }

ChunkVectors::ChunkVectors(std::shared_ptr<const SegmentFile> file, std::size_t width, VectorFormat format,
                           std::size_t rows)
    : file_(std::move(file)), codec_{width, format, std::vector<float>(trained_floats(width, format))}, rows_(rows) {
  faiss::IndexScalarQuantizer index = index_for(codec_);
  code_bytes_ = index.code_size;
  header_bytes_ = header_for(index, rows).size();
  const std::uint64_t expected_bytes = header_bytes_ + rows * code_bytes_;
  if (file_->size() != expected_bytes) {
    throw Error(ErrorCode::kCorrupt, message(file_->path().string(), " has ", file_->size(), " bytes; expected ",
                                             expected_bytes, " for ", rows, " chunk vectors"));
  }
  const std::span<const std::byte> header = file_->bytes(0, header_bytes_);
  codec_.ranges = ranges_in(header, codec_.ranges.size());
  index.sq.trained = codec_.ranges;
  // What FAISS would write for such vectors is what the file must begin with: nothing in it needs to be trusted.
  const std::string expected = header_for(index, rows);
  const bool ranges_finite = std::ranges::all_of(codec_.ranges, [](float value) { return std::isfinite(value); });
  if (!ranges_finite || std::memcmp(header.data(), expected.data(), expected.size()) != 0) {
    throw Error(ErrorCode::kCorrupt, message(file_->path().string(), " does not begin with the header of ", rows,
                                             " chunk vectors of ", width, " floats in ", name_of(format)));
  }
  quantizer_ = std::make_unique<const ChunkQuantizer>(index);
}

ChunkVectors::~ChunkVectors() = default;

std::span<const std::byte> ChunkVectors::codes(std::size_t first_row, std::size_t rows) const {
  if (first_row > rows_ || rows > rows_ - first_row) {
    throw Error(ErrorCode::kInternal, message(file_->path().string(), " has ", rows_, " chunk vectors; asked for ",
                                              rows, " from row ", first_row));
  }
  return file_->bytes(header_bytes_ + first_row * code_bytes_, rows * code_bytes_);
}

std::vector<float> ChunkVectors::decode(std::size_t first_row, std::size_t rows) const {
  const std::span<const std::byte> stored = codes(first_row, rows);
  std::vector<std::uint16_t> code((code_bytes_ + 1) /
                                  2);  // FAISS reads fp16 codes as 16-bit words: the copy aligns them
  std::vector<float> vectors(rows * codec_.width);
  for (std::size_t row = 0; row < rows; ++row) {
    std::memcpy(code.data(), stored.data() + row * code_bytes_, code_bytes_);
    quantizer_->decode(reinterpret_cast<const std::uint8_t*>(code.data()), vectors.data() + row * codec_.width);
  }
  return vectors;
}

}  // namespace refrag
