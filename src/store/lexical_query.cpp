#include "store/lexical_query.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kMostTerms = 512;  // looked up
constexpr std::size_t kMostKept = 64;    // FTS5 allows expressions 256 deep
constexpr std::size_t kMostPhraseTokens = 32;
constexpr std::size_t kMostTokenBytes = 256;
constexpr std::size_t kSmallCorpus = 1000;  // passages; below, shares say little
constexpr double kCommonShare = 0.2;

using Term = std::vector<std::string>;  // tokens that follow one another

/// The tokenizer that passage_words names, through FTS5's own interface.
class IndexTokenizer {
 public:
  explicit IndexTokenizer(Connection& connection) {
    fts5_api* api = nullptr;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(connection.handle(), "SELECT fts5(?1)", -1, &statement, nullptr) == SQLITE_OK) {
      sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", nullptr);
      sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    void* context = nullptr;
    const char* arguments[] = {"remove_diacritics", "2"};
    if (api == nullptr || api->xFindTokenizer(api, "unicode61", &context, &methods_) != SQLITE_OK ||
        methods_.xCreate(context, arguments, 2, &tokenizer_) != SQLITE_OK) {
      throw Error(ErrorCode::kInternal, "SQLite was built without FTS5");
    }
  }
  IndexTokenizer(const IndexTokenizer&) = delete;
  IndexTokenizer& operator=(const IndexTokenizer&) = delete;
  ~IndexTokenizer() { methods_.xDelete(tokenizer_); }

  Term tokens_of(std::string_view word) const {
    Term tokens;
    const auto size = static_cast<int>(std::min<std::size_t>(word.size(), std::numeric_limits<int>::max()));
    methods_.xTokenize(tokenizer_, &tokens, FTS5_TOKENIZE_QUERY, word.data(), size, take_token);
    return tokens;
  }

 private:
  static int take_token(void* tokens, int /*flags*/, const char* token, int size, int /*start*/, int /*end*/) {
    auto& taken = *static_cast<Term*>(tokens);
    if (static_cast<std::size_t>(size) <= kMostTokenBytes) {
      taken.emplace_back(token, static_cast<std::size_t>(size));
    }
    return taken.size() < kMostPhraseTokens ? SQLITE_OK : SQLITE_DONE;
  }

  fts5_tokenizer methods_{};
  Fts5Tokenizer* tokenizer_ = nullptr;
};

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Words of `text` and parts of compound ones, each once, in order.
std::vector<Term> terms_of(std::string_view text, const IndexTokenizer& tokenizer) {
  std::vector<Term> terms;
  std::set<Term> seen;
  const auto add = [&](const Term& term) {
    if (terms.size() < kMostTerms && seen.insert(term).second) {
      terms.push_back(term);
    }
  };
  while (!text.empty() && terms.size() < kMostTerms) {
    const auto* end = std::ranges::find_if(text, is_space);
    const Term word = tokenizer.tokens_of({text.begin(), end});
    text.remove_prefix(std::min<std::size_t>(static_cast<std::size_t>(end - text.begin()) + 1, text.size()));
    if (!word.empty()) {
      add(word);
    }
    for (const std::string& part : word) {
      if (word.size() > 1 && part.size() > 1) {
        add({part});
      }
    }
  }
  return terms;
}

/// Passages that hold the token, live or not. A phrase is in at most as many as the rarest of its tokens.
std::int64_t passages_with(Statement& lookup, const Term& term) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const std::string& token : term) {
    lookup.bind(1, std::string_view(token));
    least = std::min(least, lookup.step() ? lookup.integer(0) : 0);
    lookup.run();
  }
  return least;
}

struct CountedTerm {
  Term term;
  std::int64_t passages = 0;
};

std::vector<CountedTerm> count_terms(Connection& connection, const std::vector<Term>& terms) {
  Statement lookup(connection, "SELECT doc FROM passage_terms WHERE term = ?");
  std::vector<CountedTerm> counted;
  for (const Term& term : terms) {
    if (const std::int64_t passages = passages_with(lookup, term); passages > 0) {
      counted.push_back({term, passages});
    }
  }
  return counted;
}

void drop_common(std::vector<CountedTerm>& terms, std::size_t passages) {
  if (passages <= kSmallCorpus) {
    return;
  }
  const auto is_common = [&](const CountedTerm& term) {
    return static_cast<double>(term.passages) > kCommonShare * static_cast<double>(passages);
  };
  if (!std::ranges::all_of(terms, is_common)) {
    std::erase_if(terms, is_common);
  }
}

}  // namespace

std::string lexical_query(Connection& connection, std::string_view text, std::size_t passages) {
  std::vector<CountedTerm> terms = count_terms(connection, terms_of(text, IndexTokenizer(connection)));
  drop_common(terms, passages);
  std::ranges::stable_sort(terms, {}, &CountedTerm::passages);
  terms.resize(std::min(terms.size(), kMostKept));
  std::string query;
  for (const CountedTerm& term : terms) {
    query += query.empty() ? "\"" : " OR \"";
    for (const std::string& token : term.term) {
      query += token + ' ';  // letters and digits only: the tokenizer leaves no quote
    }
    query.back() = '"';
  }
  return query;
}

}  // namespace refrag
