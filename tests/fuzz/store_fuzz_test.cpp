#include <string>
#include <vector>

#include "store/chunk_vectors.h"
#include "store/passage_index.h"
#include "store/record_codec.h"
#include "support/mutate.h"
#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

namespace fs = std::filesystem;

/// Reads all there is, then writes: the ways by which damage could do harm.
void use(const fs::path& directory) {
  const std::shared_ptr<KnowledgeBase> base = KnowledgeBase::open(directory);
  (void)base->stats();
  read_everything(*base);
  (void)base->snapshot().search_lexical("moon sun mars", 10, {{"year", std::int64_t{1969}}});
  base->commit(batch_of({"mars", "pluto"}));
  base->remove({"pluto"});
  base->merge();
  read_everything(*base);
}

/// A knowledge base to damage, made anew from its files for each round.
class StoreFuzz : public StoreTest {
 protected:
  void store(VectorFormat format) {
    create(small_schema(format));
    kb().commit(
        {{record_of("moon", "the moon shines", {{"year", std::int64_t{1969}}}), record_of("sun", "the sun")}, {}});
    kb().commit(batch_of({"mars"}));
    kb().remove({"sun"});
    close();
  }
  void fuzz_file(const std::string& name) {
    const fs::path copy = path().string() + "2";
    fuzz({read_file(path() / name)}, [&](const std::string& content) {
      fs::remove_all(copy);
      fs::copy(path(), copy, fs::copy_options::recursive);
      write_file_atomic(copy / name, content);
      use(copy);
    });
  }
};

TEST_F(StoreFuzz, MetadataFile) {
  store(VectorFormat::kFp16);
  fuzz_file("meta.db");
}

TEST_F(StoreFuzz, PassagesFile) {
  store(VectorFormat::kFp16);
  fuzz_file("segments/000001.passages.faiss");
}

TEST_F(StoreFuzz, ChunksFile) {
  store(VectorFormat::kInt8);
  fuzz_file("segments/000001.chunks.faiss");
}

/// A segment file whose checksums fit its bytes, as an attacker would leave it.
std::shared_ptr<const SegmentFile> checked_file(const fs::path& path, const std::string& content) {
  write_file_atomic(path, content);
  FileRecord record;
  record.bytes = content.size();
  for (std::size_t start = 0; start < content.size(); start += FileRecord::kBlockBytes) {
    record.hashes += sha256_hex(std::string_view(content).substr(start, FileRecord::kBlockBytes));
  }
  return std::make_shared<const SegmentFile>(path, record);
}

TEST_F(StoreFuzz, ChunkVectorsWhoseChecksumsFit) {
  for (const VectorFormat format : {VectorFormat::kFp16, VectorFormat::kInt8}) {
    store(format);
    fuzz({read_file(segments() / "000001.chunks.faiss")}, [&](const std::string& content) {
      const ChunkVectors vectors(checked_file(path() / "x", content), 8, format, 7);
      (void)vectors.decode(0, 7);
    });
    fs::remove_all(path());
  }
}

TEST_F(StoreFuzz, FlatPassageIndexWhoseChecksumsFit) {
  store(VectorFormat::kFp16);
  fuzz({read_file(segments() / "000001.passages.faiss")}, [&](const std::string& content) {
    const PassageIndex index(checked_file(path() / "x", content), PassageIndexKind::kFlat, 6, 2);
    (void)index.search(vector_of("x", 6), 2, RowSet::all(2));
    (void)index.vector(1);
  });
}

TEST_F(StoreFuzz, InvertedPassageIndexWhoseChecksumsFit) {
  constexpr std::size_t kRows = 400;
  std::vector<std::string> seeds;
  for (const bool is_sparse : {false, true}) {  // where vectors are the same, most lists are empty
    std::vector<float> vectors;
    for (std::size_t row = 0; row < kRows; ++row) {
      const std::vector<float> vector = vector_of(std::to_string(is_sparse ? 0 : row), 6);
      vectors.insert(vectors.end(), vector.begin(), vector.end());
    }
    fs::create_directories(path());
    SegmentFileWriter file(path() / "x");
    write_passage_index(file, PassageIndexKind::kInverted, vectors, 6);
    file.finish();
    seeds.push_back(read_file(path() / "x.tmp"));
  }
  fuzz(seeds, [&](const std::string& content) {
    const PassageIndex index(checked_file(path() / "x", content), PassageIndexKind::kInverted, 6, kRows);
    (void)index.search(vector_of("x", 6), 20, RowSet::all(kRows));
    (void)index.vector(kRows - 1);
  });
}

TEST(RecordFuzz, Blobs) {
  SegmentRows rows;
  rows.add(3, 2);
  rows.add(4, 0);
  rows.add(1'000'000'000, 70'000);
  const std::vector<ChunkRecord> chunks = {{{1, 2, 3}, 100, 110}, {{70'000}, 111, 111}, {{0}, 90, 1000}};
  fuzz({encode_rows(rows), encode_chunks(chunks, 105), encode_metadata({{"a", "1"}, {"b", 2.5}, {"c", true}})},
       [](const std::string& blob) {
         for (const auto& decode : std::vector<std::function<void()>>{[&] { decode_rows(blob, "x"); },
                                                                      [&] { decode_chunks(blob, 105, "x"); },
                                                                      [&] { decode_metadata(blob, "x"); }}) {
           try {
             decode();
           } catch (const Error&) {
             // The next decoder still has to see the blob.
           }
         }
       });
}

}  // namespace
}  // namespace refrag::testing
