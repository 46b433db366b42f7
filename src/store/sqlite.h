#pragma once
#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace refrag {

/// One SQLite connection with its prepared statements. Used by one thread at a time. What SQLite refuses becomes an
/// Error that names the file: kCorrupt for a damaged one, kBusy for a locked one, kIo for the rest.
class Connection {
 public:
  enum class Mode { kRead, kWrite, kCreate };
  Connection(const std::filesystem::path& path, Mode mode);

  void execute(const char* sql);  // one or more statements without parameters
  std::int64_t integer(const char* sql);
  sqlite3* handle() const { return database_.get(); }
  const std::filesystem::path& path() const { return path_; }
  [[noreturn]] void fail(const char* attempt) const;

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  sqlite3_stmt* prepared(const char* sql);

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> database_;
  std::map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>, std::less<>> statements_;  // by their text
};

/// A prepared statement on loan from its connection; reset when it goes out of scope.
class Statement {
 public:
  Statement(Connection& connection, const char* sql);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Parameters count from 1. Text and blobs must live until the statement has run.
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, double value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind_blob(int parameter, std::string_view bytes);

  bool step();  // true: a row is at hand
  void run();   // to its end; then it can be bound and run again

  // Columns count from 0; views live until the next step.
  std::int64_t integer(int column) const;
  double number(int column) const;
  std::string_view text(int column) const;
  std::string_view blob(int column) const;

 private:
  void check(int code, const char* attempt) const;
  Connection& connection_;
  sqlite3_stmt* statement_;
};

/// Rolled back unless committed.
class Transaction {
 public:
  enum class Kind { kRead, kWrite };
  Transaction(Connection& connection, Kind kind);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  void commit();

 private:
  Connection& connection_;
  bool is_open_ = true;
};

/// Read connections, each used by one thread at a time and kept for the next. Thread-safe.
class ConnectionPool {
 public:
  explicit ConnectionPool(std::filesystem::path path) : path_(std::move(path)) {}

  class Loan {
   public:
    Loan(ConnectionPool& pool, std::unique_ptr<Connection> connection)
        : pool_(&pool), connection_(std::move(connection)) {}
    Loan(Loan&&) = default;
    Loan& operator=(Loan&&) = delete;
    ~Loan();
    Connection& operator*() const { return *connection_; }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<Connection> connection_;
  };
  Loan borrow();
  const std::filesystem::path& path() const { return path_; }

 private:
  static constexpr std::size_t kMostIdle = 16;
  void give_back(std::unique_ptr<Connection> connection);

  std::filesystem::path path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;  // guarded by mutex_
};

}  // namespace refrag
