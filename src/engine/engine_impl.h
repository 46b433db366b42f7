#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "engine/answer_stream.h"
#include "engine/calibration.h"
#include "engine/generation.h"
#include "engine/preparation.h"
#include "engine/scheduler.h"
#include "refrag/engine.h"

namespace refrag {

/// Two threads: one prepares requests, one after another; the other runs the loop in which all sequences advance
/// together. A request belongs to one of them at a time and is handed on through `prepared_`.
class Engine::Impl {
 public:
  Impl(std::shared_ptr<ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base, EngineConfig config);
  ~Impl();

  RequestId submit(Query query, std::function<void(const Event&)> on_event, CancelFlag cancelled);
  void cancel(RequestId id);
  bool drain(std::size_t timeout_ms);
  EngineStats stats() const;
  const ModelRunner& runner() const { return *runner_; }
  const EngineConfig& config() const { return config_; }
  const ContextSource& context_source() const { return preparation_.context_source(); }

 private:
  struct Request {
    RequestId id = 0;
    Query query;  // until it is prepared
    std::function<void(const Event&)> on_event;
    CancelFlag cancelled;
    PhaseClock clock;
    std::optional<Generation> generation = {};  // once it is prepared
    std::optional<SequenceId> sequence = {};    // while it runs
  };
  using RequestPtr = std::shared_ptr<Request>;

  // The preparation thread.
  void prepare_requests();
  void prepare(const RequestPtr& request);
  LatencyModel latency_model();

  // The engine thread.
  void run();
  void admit_arrivals();
  void drop_cancelled();
  bool wait_for_arrival();  // false: nothing will arrive any more
  void carry_out(const StepPlan& plan);
  std::vector<std::optional<Matrix>> step(const std::vector<RequestPtr>& requests, std::span<const StepInput> inputs);
  void advance(const RequestPtr& request, const Matrix& logits);
  void open_sequence(Request& request);
  void close_sequence(Request& request);
  void leave(Request& request);
  void drop(const RequestPtr& request);  // with the exception that is being handled
  void calibrate();
  std::size_t free_positions();

  // Either thread.
  void emit(Request& request, const Event& event);
  void end(const RequestPtr& request, const Event& last);
  void fail(const RequestPtr& request);  // with the exception that is being handled
  void count(const Event& last);         // mutex_ is held
  std::string answer_id(RequestId id) const;

  const std::shared_ptr<ModelRunner> runner_;
  const EngineConfig config_;
  const std::size_t kv_positions_;   // that the KV memory takes, all sequences together
  const std::size_t max_positions_;  // of one sequence
  const std::string answer_prefix_;
  const Preparation preparation_;

  // The engine thread's own.
  Scheduler scheduler_;
  std::map<RequestId, RequestPtr> scheduled_;
  std::optional<Calibration> calibration_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // anything below
  // All guarded by mutex_.
  std::map<RequestId, RequestPtr> live_;  // not ended
  std::deque<RequestPtr> arrived_;        // for the preparation thread
  std::deque<RequestPtr> prepared_;       // for the engine thread
  std::size_t unfinished_ = 0;            // whose last event is not delivered
  RequestId next_id_ = 1;
  EngineStats stats_;
  bool draining_ = false;
  bool stopping_ = false;           // the engine is being destroyed
  bool preparation_ended_ = false;  // nothing will be prepared any more
  bool wants_latency_ = false;
  std::optional<LatencyModel> latency_;
  std::exception_ptr latency_fault_;

  std::thread preparation_thread_;
  std::thread engine_thread_;
};

}  // namespace refrag
