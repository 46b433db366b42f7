#pragma once
#include <string>
#include <string_view>

namespace refrag {

struct HtmlText {
  std::string title;  // of <title>, else the first <h1>
  std::string text;
};

/// What a page says, without scripts, styles, navigation and footers. Never reads anything but `bytes`; HTML has no
/// entities of its own to expand. Throws kInvalidArgument for a page nested too deeply.
HtmlText extract_html(std::string_view bytes);

/// The character that "&name;" or "&#x41;" stands for, as UTF-8; the input itself where there is none.
std::string decode_entity(std::string_view entity);

}  // namespace refrag
