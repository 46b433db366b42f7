#include "text/reader_paths.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

#include "base/files.h"
#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "text/line_reader.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

/// A file to read, with the id it gives its document and its name in messages.
struct Source {
  fs::path path;
  std::string id;
  bool is_standard_input = false;

  std::string name() const { return is_standard_input ? "standard input" : to_valid_utf8(path.string()); }
  DocumentFormat format() const { return is_standard_input ? DocumentFormat::kJsonLines : format_of(path); }
  bool can_be_read_twice() const {
    std::error_code ignored;  // what cannot be looked at is not counted
    return !is_standard_input && fs::is_regular_file(path, ignored);
  }
};

using TakeResult = std::function<bool(ReadResult&&)>;  // false: stop
using TakeSource = std::function<bool(const Source&)>;
using TakeProblem = std::function<bool(const fs::path&, const std::string&)>;

/// A file or standard input, open for reading unless the operating system refused.
class OpenFile {
 public:
  explicit OpenFile(const Source& source)
      : is_owned_(!source.is_standard_input),
        descriptor_(is_owned_ ? ::open(source.path.c_str(), O_RDONLY | O_CLOEXEC) : STDIN_FILENO),
        failure_(descriptor_ < 0 ? message("cannot open: ", std::strerror(errno)) : "") {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (is_owned_ && descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  int descriptor() const { return descriptor_; }
  const std::string& failure() const { return failure_; }

 private:
  bool is_owned_;
  int descriptor_;
  std::string failure_;
};

std::vector<fs::directory_entry> entries_of(const fs::path& directory) {
  std::vector<fs::directory_entry> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (!entry.path().filename().string().starts_with('.')) {
      entries.push_back(entry);
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.path().native() < b.path().native(); });
  return entries;
}

// Depth first, by name. Links are not followed: they may lead out of the directory, or round in circles.
bool walk(const fs::path& directory, const fs::path& root, const TakeSource& take, const TakeProblem& problem) {
  std::vector<fs::directory_entry> entries;
  try {
    entries = entries_of(directory);
  } catch (const fs::filesystem_error& error) {
    return problem(directory, message("cannot list this directory: ", error.code().message()));
  }
  for (const fs::directory_entry& entry : entries) {
    std::error_code ignored;  // an entry that cannot be looked at is neither a directory nor a file
    if (entry.is_symlink(ignored)) {
      continue;
    }
    if (entry.is_directory(ignored)) {
      if (!walk(entry.path(), root, take, problem)) {
        return false;
      }
    } else if (entry.is_regular_file(ignored) && is_known_extension(entry.path())) {
      const std::string id = to_valid_utf8(entry.path().lexically_relative(root).generic_string());
      if (!take(Source{.path = entry.path(), .id = id})) {
        return false;
      }
    }
  }
  return true;
}

bool for_each_source(const std::vector<fs::path>& paths, const TakeSource& take, const TakeProblem& problem) {
  return std::all_of(paths.begin(), paths.end(), [&](const fs::path& path) {
    if (path == "-") {
      return take(Source{.path = path, .id = {}, .is_standard_input = true});
    }
    std::error_code ignored;  // what cannot be looked at fails when it is opened
    if (fs::is_directory(path, ignored)) {
      return walk(path, path, take, problem);
    }
    return take(Source{.path = path, .id = to_valid_utf8(path.filename().string())});
  });
}

bool holds_document(const LineReader::Line& line) {
  return line.is_too_long || line.text.find_first_not_of(" \t\r") != std::string::npos;
}

ReadResult problem_with(const Source& source, const std::string& reason) {
  ReadResult result;
  result.document.id = source.id;
  result.error = reason;
  result.where = source.name();
  return result;
}

ReadResult read_line(const LineReader::Line& line, const Source& source, const ReaderLimits& limits) {
  const std::string where = message(source.name(), ":", line.number);
  if (line.is_too_long) {
    return ReadResult{
        .document = {}, .error = message("the line has more than ", limits.max_line_bytes, " bytes"), .where = where};
  }
  return try_read_json_document(line.text, where);
}

bool read_json_lines(const Source& source, const ReaderLimits& limits, const TakeResult& take,
                     const GivesUp& gives_up) {
  const OpenFile file(source);
  if (!file.failure().empty()) {
    return take(problem_with(source, file.failure()));
  }
  LineReader lines(file.descriptor(), limits.max_line_bytes, gives_up);
  LineReader::Line line;
  while (lines.next(line)) {
    if (holds_document(line) && !take(read_line(line, source, limits))) {
      return false;
    }
  }
  return !lines.gave_up() && (lines.failure().empty() || take(problem_with(source, lines.failure())));
}

ReadResult read_whole_file(const Source& source, const ReaderLimits& limits) {
  try {
    return ReadResult{
        .document = read_document(source.format(), read_file(source.path, limits.max_file_bytes), source.id, limits),
        .error = {},
        .where = source.name()};
  } catch (const Error& error) {
    return problem_with(source, error.what());
  }
}

/// As many results as read_json_lines gives; nothing where it gave up.
std::optional<std::size_t> count_lines(const Source& source, const GivesUp& gives_up) {
  const OpenFile file(source);
  if (!file.failure().empty()) {
    return 1;
  }
  LineReader lines(file.descriptor(), ReaderLimits{}.max_line_bytes, gives_up);
  LineReader::Line line;
  std::size_t count = 0;
  while (lines.next(line)) {
    count += holds_document(line) ? 1 : 0;
  }
  if (lines.gave_up()) {
    return std::nullopt;
  }
  return count + (lines.failure().empty() ? 0 : 1);
}

}  // namespace

void require_existing(const std::vector<fs::path>& paths) {
  for (const fs::path& path : paths) {
    std::error_code code;
    if (path != "-" && !fs::exists(path, code)) {
      throw Error(ErrorCode::kNotFound, message(path.string(), ": no such file or directory"), "paths");
    }
  }
}

void read_paths(const std::vector<fs::path>& paths, const ReaderLimits& limits, const TakeResult& take) {
  read_paths(paths, limits, take, GivesUp());
}

void read_paths(const std::vector<fs::path>& paths, const ReaderLimits& limits, const TakeResult& take,
                const GivesUp& gives_up) {
  require_existing(paths);
  for_each_source(
      paths,
      [&](const Source& source) {
        return source.format() == DocumentFormat::kJsonLines ? read_json_lines(source, limits, take, gives_up)
                                                             : take(read_whole_file(source, limits));
      },
      [&](const fs::path& directory, const std::string& reason) {
        return take(ReadResult{.document = {}, .error = reason, .where = to_valid_utf8(directory.string())});
      });
}

std::size_t count_documents(const std::vector<fs::path>& paths) { return count_documents(paths, GivesUp()); }

std::size_t count_documents(const std::vector<fs::path>& paths, const GivesUp& gives_up) {
  require_existing(paths);
  std::size_t count = 0;
  const bool is_known = for_each_source(
      paths,
      [&](const Source& source) {
        if (!source.can_be_read_twice()) {
          return false;
        }
        const std::optional<std::size_t> more =
            source.format() == DocumentFormat::kJsonLines ? count_lines(source, gives_up) : 1;
        count += more.value_or(0);
        return more.has_value();
      },
      [&](const fs::path&, const std::string&) {
        ++count;  // read_paths gives an error for it
        return true;
      });
  return is_known ? count : 0;
}

}  // namespace refrag
