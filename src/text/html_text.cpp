#include "text/html_text.h"

#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <limits>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "text/decode_text.h"
#include "text/plain_text_writer.h"

namespace refrag {
namespace {

// Real pages stay below a few hundred; libxml2 walks its stack of open elements at every end tag.
constexpr std::size_t kMaxDepth = 2048;

enum class Element {
  kInline,
  kDropped,
  kBlock,
  kHeading,
  kCode,
  kBulletList,
  kNumberList,
  kItem,
  kTable,
  kRow,
  kCell,
  kBreak,
  kImage,
  kTitle
};

Element kind_of(std::string_view name) {
  static const std::unordered_map<std::string_view, Element> kinds = [] {
    std::unordered_map<std::string_view, Element> map;
    for (const char* dropped : {"script", "style", "noscript", "template", "svg", "nav", "footer", "iframe", "object",
                                "canvas", "audio", "video", "select", "button", "textarea", "dialog", "math"}) {
      map[dropped] = Element::kDropped;
    }
    for (const char* block :
         {"p",          "div",     "section",    "article", "main",    "header",  "aside",  "figure",
          "figcaption", "address", "dl",         "dt",      "details", "summary", "center", "fieldset",
          "legend",     "form",    "blockquote", "hr",      "body",    "caption", "menu",   "dir"}) {
      map[block] = Element::kBlock;
    }
    for (const char* heading : {"h1", "h2", "h3", "h4", "h5", "h6"}) {
      map[heading] = Element::kHeading;
    }
    map["pre"] = Element::kCode;
    map["ul"] = Element::kBulletList;
    map["ol"] = Element::kNumberList;
    map["li"] = Element::kItem;
    map["table"] = Element::kTable;
    map["tr"] = Element::kRow;
    map["td"] = map["th"] = Element::kCell;
    map["br"] = map["dd"] = Element::kBreak;
    map["img"] = Element::kImage;
    map["title"] = Element::kTitle;
    return map;
  }();
  const auto found = kinds.find(name);
  return found == kinds.end() ? Element::kInline : found->second;
}

std::string_view view(const xmlChar* text) {
  return text == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(text));
}

// Name and value after one another, closed by a null name.
std::string_view attribute(const xmlChar** attributes, std::string_view wanted) {
  for (; attributes != nullptr && attributes[0] != nullptr; attributes += 2) {
    if (view(attributes[0]) == wanted) {
      return view(attributes[1]);
    }
  }
  return {};
}

bool has_attribute(const xmlChar** attributes, std::string_view wanted) {
  for (; attributes != nullptr && attributes[0] != nullptr; attributes += 2) {
    if (view(attributes[0]) == wanted) {
      return true;
    }
  }
  return false;
}

bool is_hidden(const xmlChar** attributes) {
  const std::string_view role = attribute(attributes, "role");
  return has_attribute(attributes, "hidden") || attribute(attributes, "aria-hidden") == "true" ||
         role == "navigation" || role == "contentinfo" || role == "search" ||
         attribute(attributes, "class") == "headerlink";
}

/// Turns the parser's events into text. libxml2 is C: no exception may pass through it, so the first is kept.
class PageBuilder {
 public:
  explicit PageBuilder(bool keep_all) : keep_all_(keep_all) {}

  void start(std::string_view name, const xmlChar** attributes);
  void end(std::string_view name);
  void characters(std::string_view text);
  HtmlText finish();

  template <typename Step>
  void guard(Step step) noexcept {
    if (failure_) {
      return;
    }
    try {
      step();
    } catch (...) {
      failure_ = std::current_exception();
      if (parser != nullptr) {
        xmlStopParser(parser);
      }
    }
  }
  void rethrow() const {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }

  htmlParserCtxtPtr parser = nullptr;

 private:
  void start_item();

  bool keep_all_;  // navigation and footers too
  PlainTextWriter page_;
  PlainTextWriter title_;
  PlainTextWriter first_heading_;
  std::vector<std::size_t> lists_;  // the next number of each open list; 0 for bullets
  std::size_t depth_ = 0;
  std::size_t dropped_depth_ = 0;  // open elements from the dropped one inwards
  bool in_title_ = false;
  enum class FirstHeading { kAhead, kInside, kPast } heading_ = FirstHeading::kAhead;
  std::exception_ptr failure_;
};

void PageBuilder::start(std::string_view name, const xmlChar** attributes) {
  if (++depth_ > kMaxDepth) {
    throw Error(ErrorCode::kInvalidArgument, message("HTML elements are nested deeper than ", kMaxDepth));
  }
  const Element kind = kind_of(name);
  const bool is_navigation = name == "nav" || name == "footer" || is_hidden(attributes);
  const bool is_dropped = is_navigation ? !keep_all_ : kind == Element::kDropped;
  if (dropped_depth_ > 0 || (is_dropped && name != "body" && name != "html")) {
    ++dropped_depth_;
    return;
  }
  switch (kind) {
    case Element::kHeading:
      page_.begin_heading(static_cast<std::size_t>(name[1] - '0'));
      if (name == "h1" && heading_ == FirstHeading::kAhead) {
        heading_ = FirstHeading::kInside;
      }
      break;
    case Element::kCode:
      page_.begin_code();
      break;
    case Element::kBulletList:
    case Element::kNumberList:
      lists_.push_back(kind == Element::kNumberList ? 1 : 0);
      page_.begin_list();
      break;
    case Element::kItem:
      start_item();
      break;
    case Element::kRow:
      page_.begin_row();
      break;
    case Element::kCell:
      page_.begin_cell();
      break;
    case Element::kBreak:
      page_.end_line();
      first_heading_.text(" ");
      break;
    case Element::kImage:
      page_.text(message(' ', attribute(attributes, "alt"), ' '));
      break;
    case Element::kTitle:
      in_title_ = true;
      break;
    case Element::kTable:
    case Element::kBlock:
    case Element::kDropped:
      page_.end_block();
      break;
    case Element::kInline:
      break;
  }
}

void PageBuilder::start_item() {
  if (lists_.empty() || lists_.back() == 0) {
    page_.begin_item("- ");
  } else {
    page_.begin_item(message(lists_.back()++, ". "));
  }
}

void PageBuilder::end(std::string_view name) {
  depth_ -= std::min<std::size_t>(depth_, 1);
  if (dropped_depth_ > 0) {
    --dropped_depth_;
    return;
  }
  switch (kind_of(name)) {
    case Element::kHeading:
      page_.end_heading();
      if (heading_ == FirstHeading::kInside) {
        heading_ = FirstHeading::kPast;
      }
      break;
    case Element::kCode:
      page_.end_code();
      break;
    case Element::kBulletList:
    case Element::kNumberList:
      if (!lists_.empty()) {
        lists_.pop_back();
      }
      page_.end_list();
      break;
    case Element::kTitle:
      in_title_ = false;
      break;
    case Element::kRow:
      page_.end_row();
      break;
    case Element::kTable:
      page_.end_row();
      page_.end_block();
      break;
    case Element::kItem:
      page_.end_line();
      break;
    case Element::kBlock:
    case Element::kDropped:
      page_.end_block();
      break;
    case Element::kCell:
    case Element::kBreak:
    case Element::kImage:
    case Element::kInline:
      break;
  }
}

void PageBuilder::characters(std::string_view text) {
  if (dropped_depth_ > 0) {
    return;
  }
  if (in_title_) {
    title_.text(text);
    return;
  }
  page_.text(text);
  if (heading_ == FirstHeading::kInside) {
    first_heading_.text(text);
  }
}

HtmlText PageBuilder::finish() {
  HtmlText result{.title = title_.finish(), .text = page_.finish()};
  if (result.title.empty()) {
    result.title = first_heading_.finish();
  }
  return result;
}

PageBuilder& builder_of(void* context) { return *static_cast<PageBuilder*>(context); }

void on_start(void* context, const xmlChar* name, const xmlChar** attributes) {
  builder_of(context).guard([&] { builder_of(context).start(view(name), attributes); });
}
void on_end(void* context, const xmlChar* name) {
  builder_of(context).guard([&] { builder_of(context).end(view(name)); });
}
void on_characters(void* context, const xmlChar* text, int length) {
  builder_of(context).guard([&] {
    builder_of(context).characters(
        {reinterpret_cast<const char*>(text), static_cast<std::size_t>(std::max(length, 0))});
  });
}

bool is_ascii(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Whether the page says "charset=utf-8" where browsers look for it.
bool declares_utf8(std::string_view bytes) {
  std::string head(bytes.substr(0, 1024));
  std::transform(head.begin(), head.end(), head.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const char* form : {"charset=utf-8", "charset=\"utf-8", "charset='utf-8", "encoding=\"utf-8"}) {
    if (head.find(form) != std::string::npos) {
      return true;
    }
  }
  return false;
}

struct EncodedPage {
  std::string bytes;
  const char* encoding;  // null: as the page declares it
};

// What is valid UTF-8 with characters beyond ASCII is UTF-8 whatever the page declares, or whether it does.
EncodedPage with_encoding(std::string_view bytes) {
  EncodedPage page{.bytes = {}, .encoding = "UTF-8"};
  if (has_wide_byte_order_mark(bytes) || bytes.starts_with("\xef\xbb\xbf") || declares_utf8(bytes) ||
      (!is_ascii(bytes) && is_valid_utf8(bytes))) {
    page.bytes = decode_text(bytes);
  } else {
    page.bytes = bytes;
    page.encoding = nullptr;
  }
  std::erase(page.bytes, '\0');  // ends the input for libxml2
  return page;
}

struct FreeParser {
  void operator()(htmlParserCtxtPtr parser) const { htmlFreeParserCtxt(parser); }
};

HtmlText parse(const EncodedPage& page, bool keep_all) {
  PageBuilder builder(keep_all);
  const std::unique_ptr<htmlParserCtxt, FreeParser> parser(htmlNewParserCtxt());
  if (!parser) {
    throw std::bad_alloc();
  }
  *parser->sax = htmlSAXHandler{};  // events alone: no tree is built
  parser->sax->startElement = on_start;
  parser->sax->endElement = on_end;
  parser->sax->characters = on_characters;
  parser->sax->ignorableWhitespace = on_characters;
  parser->sax->cdataBlock = on_characters;
  parser->userData = &builder;
  builder.parser = parser.get();
  htmlCtxtReadMemory(parser.get(), page.bytes.data(), static_cast<int>(page.bytes.size()), nullptr, page.encoding,
                     HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
  builder.rethrow();
  return builder.finish();
}

}  // namespace

HtmlText extract_html(std::string_view bytes) {
  static const bool initialized = (xmlInitParser(), true);  // once, before any thread's first parser
  static_cast<void>(initialized);
  if (bytes.size() > std::numeric_limits<int>::max() / 4) {
    throw Error(ErrorCode::kInvalidArgument,
                message("an HTML page of ", bytes.size(), " bytes; expected less than 512 MiB"));
  }
  const EncodedPage page = with_encoding(bytes);
  HtmlText result = parse(page, false);
  // A <nav> that is never closed holds the whole page.
  return result.text.empty() ? parse(page, true) : result;
}

std::string decode_entity(std::string_view entity) {
  if (entity.size() < 3 || entity.front() != '&' || entity.back() != ';') {
    return std::string(entity);
  }
  const std::string name(entity.substr(1, entity.size() - 2));
  std::uint32_t code_point = 0;
  if (name.front() == '#') {
    const bool is_hex = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
    std::from_chars(name.data() + (is_hex ? 2 : 1), name.data() + name.size(), code_point, is_hex ? 16 : 10);
  } else if (const htmlEntityDesc* found = htmlEntityLookup(reinterpret_cast<const xmlChar*>(name.c_str()))) {
    code_point = found->value;
  } else {
    return std::string(entity);
  }
  const bool is_character = code_point != 0 && code_point < 0x110000 && (code_point < 0xd800 || code_point > 0xdfff);
  std::array<xmlChar, 8> bytes{};
  const int length = xmlCopyCharMultiByte(bytes.data(), is_character ? static_cast<int>(code_point) : 0xfffd);
  return std::string(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(length));
}

}  // namespace refrag
