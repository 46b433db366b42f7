#include <CLI/CLI.hpp>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/message.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/passage_view.h"
#include "cli/print_json.h"
#include "engine/answer_json.h"
#include "refrag/engine.h"
#include "text/reader.h"

namespace refrag::cli {
namespace {

struct QueryFlags {
  ModelFlags model;
  RetrieveFlags retrieve;
  std::string kb;
  std::string question;
  std::string mode = "refrag";
  std::string passages_file;
  std::string by = "policy";
  std::string order = "best-last";
  std::optional<double> expand;
  std::optional<std::size_t> expand_tokens;
  std::optional<double> ttft_ms;
  std::vector<std::string> expand_ids;
  Query query;  // the flags that need no translation are parsed into it
  bool stream = false;
  bool no_stream = false;
  bool why = false;
};

/// "PASSAGE:CHUNK", counted from 0 in the order of the prompt.
ChunkRef parse_chunk_ref(const std::string& text) {
  std::istringstream in(text);
  ChunkRef ref;
  char colon = 0;
  if (!(in >> ref.passage >> colon >> ref.chunk) || colon != ':' || !in.eof()) {
    throw Error(ErrorCode::kInvalidArgument,
                message("--expand-id is '", text, "'; expected PASSAGE:CHUNK, such as 0:3"), "--expand-id");
  }
  return ref;
}

std::vector<InlinePassage> read_passages(const std::string& path) {
  std::vector<InlinePassage> passages;
  read_paths({path}, {}, [&](ReadResult&& read) {
    if (!read.error.empty()) {
      throw Error(ErrorCode::kInvalidArgument, message(read.where, ": ", read.error), "--passages");
    }
    passages.push_back({read.document.id, read.document.title, read.document.text});
    return true;
  });
  return passages;
}

Query query_of(const QueryFlags& flags) {
  Query query = flags.query;
  query.question = flags.question;
  query.mode = parse_mode(flags.mode);
  query.retrieve = flags.retrieve.options();
  query.order = flags.order == "best-first" ? PassageOrder::kBestFirst : PassageOrder::kBestLast;
  query.expand.fraction = flags.expand;
  query.expand.tokens = flags.expand_tokens;
  query.expand.ttft_ms = flags.ttft_ms;
  query.expand.by = flags.expand_ids.empty() ? parse_expand_by(flags.by) : ExpandBy::kIds;
  for (const std::string& id : flags.expand_ids) {
    query.expand.ids.push_back(parse_chunk_ref(id));
  }
  if (!flags.passages_file.empty()) {
    query.passages = read_passages(flags.passages_file);
  }
  return query;
}

void print_summary(std::ostream& out, const Terminal& terminal, const Answer& answer) {
  const Usage& usage = answer.usage;
  const Timings& timings = answer.timings;
  std::ostringstream line;
  line << std::fixed << std::setprecision(1);
  line << usage.context_tokens << " context tokens; prompt of " << usage.prompt_positions << " positions; "
       << usage.expanded + usage.expanded_while_decoding << " of " << usage.chunks
       << " chunks expanded; first token after " << timings.ttft << " ms, then " << timings.per_token << " ms a token";
  out << terminal.dim(line.str()) << '\n';
}

void print_citations(std::ostream& out, const Answer& answer) {
  for (const Citation& citation : answer.citations) {
    out << "source: " << printable(citation.passage_id) << " (" << citation.start << '-' << citation.end << ")\n";
  }
}

/// The stream's last event, after `show` has had all but an error. Ctrl-C cancels, what came so far stays.
Answer follow(AnswerStream stream, const std::function<void(const Event&)>& show) {
  const InterruptGuard interrupt;
  const std::jthread watch = on_interrupt([&stream] { stream.cancel(); });
  while (std::optional<Event> event = stream.next()) {
    if (const auto* error = std::get_if<Error>(&*event)) {
      throw *error;
    }
    show(*event);
    if (auto* answer = std::get_if<Answer>(&*event)) {
      return std::move(*answer);
    }
  }
  throw Error(ErrorCode::kInternal, "the engine ended the stream without an answer");
}

int run_query(const QueryFlags& flags, bool json) {
  const Query query = query_of(flags);  // wrong flags are told before a model is loaded
  const auto base = flags.kb.empty() ? nullptr : open_knowledge_base(flags.kb);
  Engine engine(flags.model.load(), base);
  const Terminal terminal = Terminal::of_stdout();
  const bool live = !json && (flags.stream || (terminal.colors && !flags.no_stream));
  const auto show = [&](const Event& event) {
    if (json && flags.stream) {
      print_json(event_json(event));
    } else if (const auto* retrieval = std::get_if<RetrievalReport>(&event);
               retrieval != nullptr && terminal.colors && !json) {
      print_passages(std::cout, terminal, retrieval->hits, flags.why);
      std::cout << '\n';
    } else if (const auto* token = std::get_if<TokenEvent>(&event); token != nullptr && live) {
      std::cout << printable(token->text) << std::flush;
    }
  };
  const Answer answer = follow(engine.stream(query), show);
  if (json) {
    if (!flags.stream) {
      print_json(to_json(answer));
    }
  } else {
    std::cout << (live ? "" : printable(answer.text)) << '\n';
    if (terminal.colors) {
      std::cout << '\n';
      print_summary(std::cout, terminal, answer);
    } else {
      print_citations(std::cout, answer);
      if (flags.why) {
        print_passages(std::cout, terminal, answer.retrieval.hits, true);
        print_summary(std::cout, terminal, answer);
      }
    }
  }
  return answer.finish_reason == FinishReason::kCancelled ? kInterrupted : kDone;
}

void declare_expansion(CLI::App& command, QueryFlags& flags) {
  ExpandWhileDecoding& while_decoding = flags.query.expand.while_decoding;
  command.add_option("--expand", flags.expand, "share of the chunks given back as tokens, 0 to 1 (default 0.1)");
  command.add_option("--expand-tokens", flags.expand_tokens, "at most so many expanded tokens, instead of a share");
  command.add_option("--ttft-ms", flags.ttft_ms, "as many as this time to the first token allows, instead of a share");
  command.add_option("--by", flags.by, "who picks the chunks: policy, random, first, similarity")
      ->check(CLI::IsMember({"policy", "random", "first", "similarity"}))
      ->capture_default_str();
  command.add_option("--expand-id", flags.expand_ids,
                     "PASSAGE:CHUNK to expand, from 0 in prompt order; may be repeated");
  command.add_option("--look-every", while_decoding.every, "ask the policy anew every N tokens; 0: never")
      ->capture_default_str();
  command
      .add_option("--look-entropy", while_decoding.entropy,
                  "ask it anew where the next token's entropy is above, nats; 0: never")
      ->capture_default_str();
  command.add_option("--look-max-new", while_decoding.max_new, "chunks a look may expand")->capture_default_str();
}

void declare_sampling(CLI::App& command, QueryFlags& flags) {
  SamplingOptions& sampling = flags.query.sampling;
  command.add_option("--max-tokens", flags.query.max_tokens, "longest answer")->capture_default_str();
  command.add_option("--temperature", sampling.temperature, "0: always the likeliest token")->capture_default_str();
  command.add_option("--top-p", sampling.top_p, "nucleus sampling")->capture_default_str();
  command.add_option("--sample-top-k", sampling.top_k, "of so many likeliest tokens; 0: off")->capture_default_str();
  command.add_option("--min-p", sampling.min_p, "tokens this likely against the best")->capture_default_str();
  command.add_option("--repetition-penalty", sampling.repetition_penalty, "1: off")->capture_default_str();
  command.add_option("--seed", sampling.seed, "of the draws")->capture_default_str();
  command.add_option("--stop", flags.query.stop, "text that ends the answer; may be repeated");
  command.add_option("--logprobs", flags.query.logprobs, "alternatives shown a token (with --json)")
      ->capture_default_str();
}

}  // namespace

void add_query_command(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<QueryFlags>();
  CLI::App* command = app.add_subcommand("query", "Ask a question");
  flags->model.declare(*command);
  command->add_option("--kb", flags->kb, "knowledge base directory");
  command->add_option("--passages", flags->passages_file,
                      "JSONL or text file whose documents are the passages, instead of a knowledge base");
  command->add_option("QUESTION", flags->question, "the question")->required();
  command->add_option("--mode", flags->mode, "refrag: compressed context; full: all of it as tokens; none: no passages")
      ->check(CLI::IsMember({"refrag", "full", "none"}))
      ->capture_default_str();
  flags->retrieve.declare(*command);
  command->add_option("--order", flags->order, "of the passages in the prompt")
      ->check(CLI::IsMember({"best-last", "best-first"}))
      ->capture_default_str();
  declare_expansion(*command, *flags);
  declare_sampling(*command, *flags);
  command->add_flag("--truncate", flags->query.truncate, "drop the last-ranked passages where the prompt is too long");
  command->add_flag("--stream", flags->stream,
                    "show tokens as they come, also when piped; with --json one event a line");
  command->add_flag("--no-stream", flags->no_stream, "show the answer when it is whole, also in a terminal");
  command->add_flag("--why", flags->why, "say for each chunk why it was or was not expanded");
  command->add_flag("--json", context.json, "print the answer as JSON");
  command->footer(R"(
In a terminal the passages are shown first: dimmed where the model read one vector a chunk, bright where it read the words.

Examples:
  refrag query --model models/refrag-tiny --kb kb/packages "What is the version of oomd?"
  refrag query --model models/refrag-tiny --kb kb/packages --expand 0.25 --why "What is the homepage of oomd?"
  refrag query --model models/refrag-tiny --passages notes.txt --mode full --json "Who wrote this?")");
  command->callback([flags, &context] {
    context.events = flags->stream;
    context.command = [flags, &context] { return run_query(*flags, context.json); };
  });
}

}  // namespace refrag::cli
