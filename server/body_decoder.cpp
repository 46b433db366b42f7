#include "server/body_decoder.h"

#include <brotli/decode.h>
#include <zlib.h>

#include <array>
#include <cstdint>
#include <new>

namespace refrag::server {
namespace {

using Buffer = std::array<char, 16 * 1024>;

[[noreturn]] void fail() { throw HttpError(400, "bad_request", "the compression of the body is broken"); }

class Plain : public BodyDecoder {
 public:
  void feed(std::string_view bytes, const TakeBytes& take) override { take(bytes); }
};

class Inflater : public BodyDecoder {
 public:
  Inflater() {
    static constexpr int kGzipOrZlib = 32 + MAX_WBITS;  // as the first bytes say
    if (inflateInit2(&stream_, kGzipOrZlib) != Z_OK) throw std::bad_alloc();
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() override { inflateEnd(&stream_); }

  void feed(std::string_view bytes, const TakeBytes& take) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    Buffer buffer;
    do {
      if (is_whole_ && stream_.avail_in > 0) inflateReset(&stream_);  // gzip files may be joined
      stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream_.avail_out = static_cast<uInt>(buffer.size());
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) fail();
      is_whole_ = result == Z_STREAM_END;
      take({buffer.data(), buffer.size() - stream_.avail_out});
    } while (stream_.avail_in > 0 || stream_.avail_out == 0);
  }

 private:
  z_stream stream_{};
};

class Brotli : public BodyDecoder {
 public:
  Brotli() {
    if (state_ == nullptr) throw std::bad_alloc();
  }

  void feed(std::string_view bytes, const TakeBytes& take) override {
    const auto* next = reinterpret_cast<const std::uint8_t*>(bytes.data());
    std::size_t left = bytes.size();
    BrotliDecoderResult result = BROTLI_DECODER_RESULT_ERROR;
    do {
      Buffer buffer;
      auto* out = reinterpret_cast<std::uint8_t*>(buffer.data());
      std::size_t room = buffer.size();
      result = BrotliDecoderDecompressStream(state_.get(), &left, &next, &room, &out, nullptr);
      if (result == BROTLI_DECODER_RESULT_ERROR) fail();
      take({buffer.data(), buffer.size() - room});
    } while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
    if (left > 0) fail();  // something follows the end
    is_whole_ = result == BROTLI_DECODER_RESULT_SUCCESS;
  }

 private:
  std::unique_ptr<BrotliDecoderState, decltype(&BrotliDecoderDestroyInstance)> state_{
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr), BrotliDecoderDestroyInstance};
};

}  // namespace

std::unique_ptr<BodyDecoder> make_body_decoder(const std::string& encoding) {
  if (encoding == "gzip" || encoding == "deflate") return std::make_unique<Inflater>();
  if (encoding == "br") return std::make_unique<Brotli>();
  return std::make_unique<Plain>();
}

}  // namespace refrag::server
