#include "text/html_text.h"
#include "text/reader.h"

namespace refrag {

Document read_html(std::string_view bytes, const std::string& id) {
  HtmlText page = extract_html(bytes);
  return Document{.id = id, .title = std::move(page.title), .text = std::move(page.text), .metadata = {}};
}

}  // namespace refrag
