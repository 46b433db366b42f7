#pragma once
#include <faiss/IndexFlat.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace refrag {

/// All that comes before the vectors in a file of a faiss::IndexFlatIP.
std::string flat_header(std::size_t width, std::size_t rows);
/// How long such a file is.
std::size_t flat_bytes(std::size_t width, std::size_t rows);
/// The index in such a file's bytes, on the heap; null where they are anything else.
std::unique_ptr<faiss::IndexFlatIP> read_flat(std::span<const std::byte> bytes, std::size_t width, std::size_t rows);

}  // namespace refrag
