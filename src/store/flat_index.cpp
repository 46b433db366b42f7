#include "store/flat_index.h"

#include <faiss/impl/io.h>
#include <faiss/index_io.h>

#include <cstdint>
#include <cstring>

namespace refrag {

std::string flat_header(std::size_t width, std::size_t rows) {
  faiss::IndexFlatIP index(static_cast<faiss::Index::idx_t>(width));
  index.ntotal = static_cast<faiss::Index::idx_t>(rows);
  faiss::VectorIOWriter writer;
  faiss::write_index(&index, &writer);
  // FAISS wrote an index without vectors, whose last eight bytes are the number of its floats, 0: here is the real one.
  const std::uint64_t floats = rows * width;
  std::memcpy(writer.data.data() + writer.data.size() - sizeof floats, &floats, sizeof floats);
  return {writer.data.begin(), writer.data.end()};
}

std::size_t flat_bytes(std::size_t width, std::size_t rows) {
  return flat_header(width, rows).size() + rows * width * sizeof(float);
}

std::unique_ptr<faiss::IndexFlatIP> read_flat(std::span<const std::byte> bytes, std::size_t width, std::size_t rows) {
  const std::string header = flat_header(width, rows);
  if (bytes.size() != flat_bytes(width, rows) || std::memcmp(bytes.data(), header.data(), header.size()) != 0) {
    return nullptr;
  }
  auto index = std::make_unique<faiss::IndexFlatIP>(static_cast<faiss::Index::idx_t>(width));
  index->codes.resize(bytes.size() - header.size());
  std::memcpy(index->codes.data(), bytes.data() + header.size(), index->codes.size());
  index->ntotal = static_cast<faiss::Index::idx_t>(rows);
  return index;
}

}  // namespace refrag
