#include "text/prompt_pieces.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"

namespace refrag {

JoinedPieces::JoinedPieces(const std::vector<TextPiece>& pieces) {
  for (const TextPiece& piece : pieces) {
    const std::size_t begin = text_.size();
    text_ += to_valid_utf8(piece.text);
    if (text_.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      throw Error(ErrorCode::kInvalidArgument, message("a text of ", text_.size(), " bytes; expected less than 2 GiB"));
    }
    if (piece.special != SpecialTokens::kParse || text_.size() == begin) {
      continue;
    }
    if (!special_.empty() && special_.back().end == begin) {
      special_.back().end = text_.size();
    } else {
      special_.push_back({begin, text_.size()});
    }
  }
}

bool JoinedPieces::allows_special(std::size_t begin, std::size_t end) const {
  const auto after = std::upper_bound(special_.begin(), special_.end(), begin,
                                      [](std::size_t at, const Span& span) { return at < span.begin; });
  return after != special_.begin() && end <= std::prev(after)->end;
}

std::vector<ByteRange> tidy_ranges(const std::string& text, std::vector<ByteRange> ranges) {
  const auto next_character = [&text](std::uint32_t at) {
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) {
      ++at;
    }
    return at;
  };
  std::uint32_t done = 0;
  for (ByteRange& range : ranges) {
    range.begin = std::max(done, next_character(range.begin));
    range.end = std::max(range.begin, next_character(range.end));
    done = range.end;
  }
  return ranges;
}

}  // namespace refrag
