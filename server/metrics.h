#pragma once
#include <memory>
#include <optional>
#include <string>

#include "refrag/engine.h"
#include "refrag/knowledge_base.h"
#include "refrag/query.h"
#include "server/http_types.h"

namespace refrag::server {

/// What GET /metrics tells, in Prometheus' text form (docs/http-api.md lists the names). Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  void count_request(const Finished& finished);
  void count_answer(const Answer& answer);
  void count_documents(const std::vector<DocumentResult>& results);
  /// The text form, with the engine's and the knowledge base's figures as they are now.
  std::string text(const std::optional<EngineStats>& engine,
                   const std::optional<KnowledgeBaseStats>& knowledge_base) const;

 private:
  struct Families;
  std::unique_ptr<Families> families_;  // prometheus-cpp lives behind this pointer
};

}  // namespace refrag::server
