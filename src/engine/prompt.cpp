#include "engine/prompt.h"

#include <algorithm>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr SpecialTokens kOurs = SpecialTokens::kParse;
constexpr SpecialTokens kTheirs = SpecialTokens::kAsText;

/// Stands for the user message while a chat template is rendered. Private-use characters: no template looks for them,
/// and a text that holds them is only ever compared with the whole of it.
const std::string kMark = "\uE0F1refrag user message\uE0F2";

bool is_placeholder(const TemplatePart& part, const char* name) {
  return part.kind == TemplatePart::Kind::kPlaceholder && part.text == name;
}

std::size_t count(const std::vector<TemplatePart>& parts, const char* name) {
  return static_cast<std::size_t>(std::count_if(
      parts.begin(), parts.end(), [name](const TemplatePart& part) { return is_placeholder(part, name); }));
}

void require_times(const std::vector<TemplatePart>& parts, const char* name, std::size_t least, std::size_t most,
                   const char* field) {
  const std::size_t times = count(parts, name);
  if (times >= least && times <= most) return;
  throw Error(ErrorCode::kInvalidArgument,
              message(field, " has {", name, "} ", times, " times; expected ", least == most ? "once" : "at most once"),
              field);
}

void add_tokens(Prompt& prompt, PromptPart::Kind kind, std::vector<TokenId> tokens, std::size_t passage = 0) {
  if (!tokens.empty()) prompt.parts.push_back({kind, std::move(tokens), passage});
}

}  // namespace

std::size_t Prompt::tokens_of(PromptPart::Kind kind) const {
  std::size_t tokens = 0;
  for (const PromptPart& part : parts) tokens += part.kind == kind ? part.tokens.size() : 0;
  return tokens;
}

PromptWriter::PromptWriter(const ModelInfo& model)
    : tokenizer_(model.tokenizer),
      chat_(model.chat_template),
      separator_(model.prompt.separator),
      bos_(model.prompt.bos) {
  const bool is_default = model.prompt.text == PromptTemplate{}.text;
  text_ = split_template(chat_ && is_default ? kChatMessage : model.prompt.text, {"context", "question"});
  require_times(text_, "question", 1, 1, "prompt.text");
  require_times(text_, "context", 0, 1, "prompt.text");
  takes_passages_ = count(text_, "context") == 1;

  const std::vector<TemplatePart> passage = split_template(model.prompt.passage, {"title", "text"});
  require_times(passage, "text", 1, 1, "prompt.passage");
  const auto text = std::find_if(passage.begin(), passage.end(),
                                 [](const TemplatePart& part) { return is_placeholder(part, "text"); });
  before_text_.assign(passage.begin(), text);
  behind_text_.assign(text + 1, passage.end());

  query_ = split_template(model.prompt.query, {"question"});
  require_times(query_, "question", 1, 1, "prompt.query");
}

Prompt PromptWriter::write(const Query& query, const std::vector<std::string>& titles) const {
  const Frame frame = frame_of(query, !titles.empty());
  Prompt prompt;
  std::vector<TokenId> before = tokens_of(frame.before);
  const std::optional<TokenId> bos = tokenizer_->bos();
  if (frame.add_bos && bos && (before.empty() || before.front() != *bos)) before.insert(before.begin(), *bos);
  add_tokens(prompt, PromptPart::Kind::kFrame, std::move(before));

  const std::vector<TokenId> separator = tokens_of({{separator_, kOurs}});
  for (std::size_t n = 0; n < titles.size(); ++n) {
    if (n > 0) add_tokens(prompt, PromptPart::Kind::kSeparator, separator);
    add_tokens(prompt, PromptPart::Kind::kAround, around_text(before_text_, titles[n]), n);
    prompt.parts.push_back({PromptPart::Kind::kText, {}, n});
    add_tokens(prompt, PromptPart::Kind::kAround, around_text(behind_text_, titles[n]), n);
  }

  add_tokens(prompt, PromptPart::Kind::kFrame, tokens_of(frame.behind));
  return prompt;
}

std::vector<TokenId> PromptWriter::around_text(const std::vector<TemplatePart>& parts, const std::string& title) const {
  Pieces pieces;
  for (const TemplatePart& part : parts) {
    pieces.push_back(is_placeholder(part, "title") ? TextPiece{title, kTheirs} : TextPiece{part.text, kOurs});
  }
  return tokens_of(pieces);
}

std::vector<TokenId> PromptWriter::policy_query(const std::string& question) const {
  return tokens_of(fill(query_, question, kOurs).behind);
}

PromptWriter::Frame PromptWriter::frame_of(const Query& query, bool has_passages) const {
  if (query.raw_prompt) {
    if (!query.history.empty()) {
      throw Error(ErrorCode::kInvalidArgument, "a raw prompt takes no history", "history");
    }
    return {{}, {{query.question, kTheirs}}, true};
  }
  if (chat_) return chat_frame(query, has_passages);
  if (!query.history.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "this model has no chat template: it takes one user message", "history");
  }
  Frame frame = fill(text_, query.question, kOurs);
  frame.add_bos = bos_;
  return frame;
}

PromptWriter::Frame PromptWriter::chat_frame(const Query& query, bool has_passages) const {
  std::vector<ChatMessage> messages = query.history;
  messages.push_back({"user", kMark});
  Frame frame;  // the template spells its own BOS out
  bool found = false;
  for (TextPiece& piece : chat_->render(messages, true)) {
    Pieces& side = found ? frame.behind : frame.before;
    const std::size_t mark = piece.text.find(kMark);
    if (mark == std::string::npos) {
      side.push_back(std::move(piece));
      continue;
    }
    if (found) throw Error(ErrorCode::kUnsupported, "the model's chat template repeats the user message");
    found = true;
    frame.before.push_back({piece.text.substr(0, mark), piece.special});
    // Without passages the question is the message, as in plain chat: no words about passages that are not there.
    const Frame content = has_passages ? fill(text_, query.question, kTheirs) : Frame{{}, {{query.question, kTheirs}}};
    frame.before.insert(frame.before.end(), content.before.begin(), content.before.end());
    frame.behind.insert(frame.behind.end(), content.behind.begin(), content.behind.end());
    frame.behind.push_back({piece.text.substr(mark + kMark.size()), piece.special});
  }
  if (!found) throw Error(ErrorCode::kUnsupported, "the model's chat template leaves the user message out");
  if (has_passages) return frame;
  frame.before.insert(frame.before.end(), frame.behind.begin(), frame.behind.end());  // one text
  frame.behind.clear();
  return frame;
}

PromptWriter::Frame PromptWriter::fill(const std::vector<TemplatePart>& parts, const std::string& question,
                                       SpecialTokens literals) const {
  const bool has_context = count(parts, "context") > 0;
  Frame frame;
  bool behind = !has_context;
  for (const TemplatePart& part : parts) {
    if (is_placeholder(part, "context")) {
      behind = true;
      continue;
    }
    Pieces& side = behind ? frame.behind : frame.before;
    side.push_back(is_placeholder(part, "question") ? TextPiece{question, kTheirs} : TextPiece{part.text, literals});
  }
  return frame;
}

}  // namespace refrag
