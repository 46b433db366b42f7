#include <md4c.h>

#include <exception>
#include <limits>
#include <vector>

#include "base/message.h"
#include "refrag/error.h"
#include "text/decode_text.h"
#include "text/html_text.h"
#include "text/plain_text_writer.h"
#include "text/reader.h"

namespace refrag {
namespace {

/// Turns md4c's events into text. md4c is C: no exception may pass through it, so the first is kept.
class MarkdownBuilder {
 public:
  void enter(MD_BLOCKTYPE type, const void* detail);
  void leave(MD_BLOCKTYPE type);
  void text(MD_TEXTTYPE type, std::string_view text);
  std::string title() { return title_.finish(); }
  std::string finish() { return page_.finish(); }

  template <typename Step>
  int guard(Step step) noexcept {
    try {
      step();
      return 0;
    } catch (...) {
      failure_ = std::current_exception();
      return 1;  // md4c stops
    }
  }
  void rethrow() const {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }

 private:
  void enter_item(const MD_BLOCK_LI_DETAIL& item);
  void add(std::string_view text);
  void end_line();
  void add_html(std::string_view html);

  PlainTextWriter page_;
  PlainTextWriter title_;  // of the first heading of level 1
  enum class FirstHeading { kAhead, kInside, kPast } heading_ = FirstHeading::kAhead;
  bool in_html_ = false;            // a raw HTML block is open...
  std::string html_;                // ...and this is what it holds so far
  std::vector<std::size_t> lists_;  // the next number of each open list; 0 for bullets
  std::exception_ptr failure_;
};

void MarkdownBuilder::enter(MD_BLOCKTYPE type, const void* detail) {
  switch (type) {
    case MD_BLOCK_H: {
      const unsigned level = static_cast<const MD_BLOCK_H_DETAIL*>(detail)->level;
      page_.begin_heading(level);
      if (level == 1 && heading_ == FirstHeading::kAhead) {
        heading_ = FirstHeading::kInside;
      }
      break;
    }
    case MD_BLOCK_CODE:
      page_.begin_code();
      break;
    case MD_BLOCK_UL:
      lists_.push_back(0);
      page_.begin_list();
      break;
    case MD_BLOCK_OL:
      lists_.push_back(static_cast<const MD_BLOCK_OL_DETAIL*>(detail)->start);
      page_.begin_list();
      break;
    case MD_BLOCK_LI:
      enter_item(*static_cast<const MD_BLOCK_LI_DETAIL*>(detail));
      break;
    case MD_BLOCK_TR:
      page_.begin_row();
      break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
      page_.begin_cell();
      break;
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_P:
    case MD_BLOCK_HR:
    case MD_BLOCK_TABLE:
      page_.end_block();
      break;
    case MD_BLOCK_HTML:
      in_html_ = true;
      break;
    case MD_BLOCK_DOC:
    case MD_BLOCK_THEAD:
    case MD_BLOCK_TBODY:
      break;
  }
}

void MarkdownBuilder::enter_item(const MD_BLOCK_LI_DETAIL& item) {
  std::string marker = "- ";
  if (!lists_.empty() && lists_.back() != 0) {
    marker = message(lists_.back()++, ". ");
  }
  if (item.is_task != 0) {
    marker += item.task_mark == ' ' ? "[ ] " : "[x] ";
  }
  page_.begin_item(marker);
}

void MarkdownBuilder::leave(MD_BLOCKTYPE type) {
  switch (type) {
    case MD_BLOCK_H:
      page_.end_heading();
      if (heading_ == FirstHeading::kInside) {
        heading_ = FirstHeading::kPast;
      }
      break;
    case MD_BLOCK_CODE:
      page_.end_code();
      break;
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
      lists_.pop_back();
      page_.end_list();
      break;
    case MD_BLOCK_LI:
      page_.end_line();
      break;
    case MD_BLOCK_TR:
      page_.end_row();
      break;
    case MD_BLOCK_HTML:
      page_.add_block(extract_html(html_).text);
      html_.clear();
      in_html_ = false;
      break;
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_P:
    case MD_BLOCK_TABLE:
      page_.end_block();
      break;
    case MD_BLOCK_DOC:
    case MD_BLOCK_HR:
    case MD_BLOCK_THEAD:
    case MD_BLOCK_TBODY:
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
      break;
  }
}

void MarkdownBuilder::add(std::string_view text) {
  page_.text(text);
  if (heading_ == FirstHeading::kInside) {
    title_.text(text);
  }
}

void MarkdownBuilder::end_line() {
  page_.end_line();
  title_.text(" ");
}

// A block of HTML is read as a page of its own; of tags within a line only <br> says something.
void MarkdownBuilder::add_html(std::string_view html) {
  if (in_html_) {
    html_.append(html);
  } else if (html.starts_with("<br")) {
    end_line();
  }
}

void MarkdownBuilder::text(MD_TEXTTYPE type, std::string_view text) {
  switch (type) {
    case MD_TEXT_NULLCHAR:
      add("\ufffd");
      break;
    case MD_TEXT_BR:
      end_line();
      break;
    case MD_TEXT_SOFTBR:
      add(" ");
      break;
    case MD_TEXT_ENTITY:
      add(decode_entity(text));
      break;
    case MD_TEXT_HTML:
      add_html(text);
      break;
    case MD_TEXT_NORMAL:
    case MD_TEXT_CODE:
    case MD_TEXT_LATEXMATH:
      add(text);
      break;
  }
}

MarkdownBuilder& builder_of(void* context) { return *static_cast<MarkdownBuilder*>(context); }

int on_enter(MD_BLOCKTYPE type, void* detail, void* context) {
  return builder_of(context).guard([&] { builder_of(context).enter(type, detail); });
}
int on_leave(MD_BLOCKTYPE type, void* /*detail*/, void* context) {
  return builder_of(context).guard([&] { builder_of(context).leave(type); });
}
int on_span(MD_SPANTYPE /*type*/, void* /*detail*/, void* /*context*/) { return 0; }
int on_text(MD_TEXTTYPE type, const MD_CHAR* text, MD_SIZE size, void* context) {
  return builder_of(context).guard([&] { builder_of(context).text(type, {text, size}); });
}

struct FrontMatter {
  std::string title;
  std::string_view rest;  // the text behind it
};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\"'");
  const std::size_t end = text.find_last_not_of(" \t\r\"'");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end + 1 - begin);
}

// The settings that static site generators keep between two lines of dashes at the very top are no text.
FrontMatter split_front_matter(std::string_view text) {
  const std::size_t end =
      text.starts_with("---\n") || text.starts_with("---\r\n") ? text.find("\n---", 3) : std::string_view::npos;
  if (end == std::string_view::npos) {
    return {.title = {}, .rest = text};
  }
  FrontMatter result;
  const std::size_t line_end = text.find('\n', end + 1);
  result.rest = line_end == std::string_view::npos ? std::string_view() : text.substr(line_end + 1);
  const std::string_view settings = text.substr(0, end + 1);
  if (const std::size_t title = settings.find("\ntitle:"); title != std::string_view::npos) {
    const std::string_view line = settings.substr(title + 7);
    result.title = trimmed(line.substr(0, line.find('\n')));
  }
  return result;
}

}  // namespace

Document read_markdown(std::string_view bytes, const std::string& id) {
  const std::string decoded = decode_text(bytes);
  FrontMatter front = split_front_matter(decoded);
  const std::string_view source = front.rest;
  if (source.size() > std::numeric_limits<MD_SIZE>::max() / 4) {
    throw Error(ErrorCode::kInvalidArgument,
                message("a Markdown text of ", source.size(), " bytes; expected less than 1 GiB"));
  }
  MD_PARSER parser{};
  parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS;
  parser.enter_block = on_enter;
  parser.leave_block = on_leave;
  parser.enter_span = on_span;
  parser.leave_span = on_span;
  parser.text = on_text;
  MarkdownBuilder builder;
  const int status = md_parse(source.data(), static_cast<MD_SIZE>(source.size()), &parser, &builder);
  builder.rethrow();
  if (status != 0) {
    throw Error(ErrorCode::kInternal, "the Markdown parser ran out of memory");
  }
  std::string title = front.title.empty() ? builder.title() : std::move(front.title);
  return Document{.id = id, .title = std::move(title), .text = builder.finish(), .metadata = {}};
}

}  // namespace refrag
