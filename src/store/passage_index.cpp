#include "store/passage_index.h"

#include <faiss/impl/IDSelector.h>

#include <algorithm>
#include <string>

#include "base/message.h"
#include "refrag/error.h"
#include "store/flat_index.h"
#include "store/inverted_index.h"

namespace refrag {
namespace {

using FaissId = faiss::Index::idx_t;

std::unique_ptr<const faiss::IndexFlatIP> open_flat(const SegmentFile& file, std::size_t width, std::size_t rows) {
  std::unique_ptr<const faiss::IndexFlatIP> index = read_flat(file.all(), width, rows);
  if (index == nullptr) {
    throw Error(ErrorCode::kCorrupt,
                message(file.path().string(), " is not a flat index of ", rows, " vectors of ", width, " floats"));
  }
  return index;
}

}  // namespace

void write_passage_index(SegmentFileWriter& file, PassageIndexKind kind, std::span<const float> vectors,
                         std::size_t width) {
  if (kind == PassageIndexKind::kInverted) {
    write_inverted(file, vectors, width);
    return;
  }
  const std::string header = flat_header(width, vectors.size() / width);
  file.append(header.data(), header.size());
  file.append(vectors.data(), vectors.size_bytes());
}

class PassageIndex::Impl {
 public:
  Impl(std::shared_ptr<const SegmentFile> file, PassageIndexKind kind, std::size_t width, std::size_t rows)
      : width_(width) {
    if (kind == PassageIndexKind::kFlat) {
      flat_ = open_flat(*file, width, rows);
    } else {
      inverted_ = std::make_unique<const InvertedIndex>(std::move(file), width, rows);
    }
  }

  void search(const float* query, FaissId count, faiss::IDSelector* selector, const RowSet& allowed, float* scores,
              FaissId* rows) const {
    if (flat_ != nullptr) {
      faiss::SearchParameters parameters;
      parameters.sel = selector;
      flat_->search(1, query, count, scores, rows, &parameters);
      return;
    }
    const faiss::IndexIVFFlat& index = inverted_->index();
    faiss::SearchParametersIVF parameters;
    parameters.sel = selector;
    parameters.nprobe = lists_to_search(index.nlist, allowed);
    std::vector<FaissId> lists(parameters.nprobe);
    std::vector<float> nearness(parameters.nprobe);
    index.quantizer->search(1, query, static_cast<FaissId>(lists.size()), nearness.data(), lists.data());
    // IndexIVF::search would count into a global, which is a race.
    faiss::IndexIVFStats stats;
    index.search_preassigned(1, query, count, lists.data(), nearness.data(), scores, rows, /*store_pairs=*/false,
                             &parameters, &stats);
  }

  std::vector<float> vector(std::size_t row) const {
    std::vector<float> vector(width_);
    if (flat_ != nullptr) {
      flat_->reconstruct(static_cast<FaissId>(row), vector.data());
    } else {
      inverted_->copy_vector(row, vector);
    }
    return vector;
  }

 private:
  /// An eighth of the lists; all of them where few rows are allowed, which might stand in any list and cost little.
  static std::size_t lists_to_search(std::size_t all, const RowSet& allowed) {
    const bool few = allowed.count() < allowed.rows() / 8;
    return few ? all : std::clamp<std::size_t>(all / 8, std::min<std::size_t>(16, all), all);
  }

  std::size_t width_;
  std::unique_ptr<const faiss::IndexFlatIP> flat_;  // one of the two
  std::unique_ptr<const InvertedIndex> inverted_;
};

PassageIndex::PassageIndex(std::shared_ptr<const SegmentFile> file, PassageIndexKind kind, std::size_t width,
                           std::size_t rows)
    : impl_(std::make_unique<const Impl>(std::move(file), kind, width, rows)) {}

PassageIndex::~PassageIndex() = default;

std::vector<std::pair<float, std::size_t>> PassageIndex::search(std::span<const float> query, std::size_t count,
                                                                const RowSet& allowed) const {
  const std::size_t most = std::min(count, allowed.count());
  std::vector<std::pair<float, std::size_t>> found;
  if (most == 0) {
    return found;
  }
  std::vector<float> scores(most);
  std::vector<FaissId> rows(most);
  faiss::IDSelectorBitmap selector(allowed.bitmap().size(), allowed.bitmap().data());
  const bool all_allowed = allowed.count() == allowed.rows();
  impl_->search(query.data(), static_cast<FaissId>(most), all_allowed ? nullptr : &selector, allowed, scores.data(),
                rows.data());
  for (std::size_t i = 0; i < most; ++i) {
    if (rows[i] >= 0) {  // -1 stands where there was no further row
      found.emplace_back(scores[i], static_cast<std::size_t>(rows[i]));
    }
  }
  return found;
}

std::vector<float> PassageIndex::vector(std::size_t row) const { return impl_->vector(row); }

}  // namespace refrag
