#include "text/aligned_text.h"

#include <algorithm>

namespace refrag {

ByteRange AlignedText::origin(std::size_t begin, std::size_t end) const {
  if (origins_.empty()) {
    return {first_ + static_cast<std::uint32_t>(begin), first_ + static_cast<std::uint32_t>(end)};
  }
  if (begin == end) {
    const std::uint32_t place = begin < origins_.size() ? origins_[begin].begin : origins_.back().end;
    return {place, place};
  }
  return {origins_[begin].begin, origins_[end - 1].end};
}

AlignedText AlignedText::slice(std::size_t begin, std::size_t end) const {
  AlignedText part(text_.substr(begin, end - begin), begin == 0 ? first_ : origin(begin, end).begin);
  if (!origins_.empty() && begin < end) {
    part.origins_.assign(origins_.begin() + static_cast<std::ptrdiff_t>(begin),
                         origins_.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return part;
}

void AlignedTextBuilder::keep(std::size_t begin, std::size_t end) {
  text_.append(from_.text_, begin, end - begin);
  if (from_.origins_.empty()) {
    for (std::size_t i = begin; i < end; ++i) {
      origins_.push_back(from_.origin(i, i + 1));
    }
  } else {
    origins_.insert(origins_.end(), from_.origins_.begin() + static_cast<std::ptrdiff_t>(begin),
                    from_.origins_.begin() + static_cast<std::ptrdiff_t>(end));
  }
}

void AlignedTextBuilder::put(std::string_view text, std::size_t begin, std::size_t end) {
  text_ += text;
  origins_.insert(origins_.end(), text.size(), from_.origin(begin, end));
}

AlignedText AlignedTextBuilder::finish() {
  AlignedText made;
  made.text_ = std::move(text_);
  made.origins_ = std::move(origins_);
  made.first_ = from_.first_;
  return made;
}

}  // namespace refrag
