#include "engine/engine_impl.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iomanip>
#include <limits>
#include <random>
#include <sstream>
#include <utility>
#include <variant>

#include "base/cpu.h"
#include "base/log.h"
#include "base/message.h"
#include "engine/query_check.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max() / 2;  // sums of two do not overflow

std::shared_ptr<ModelRunner> require(std::shared_ptr<ModelRunner> runner) {
  if (runner == nullptr) throw Error(ErrorCode::kInvalidArgument, "the engine needs a model", "runner");
  return runner;
}

EngineConfig check(EngineConfig config) {
  if (config.max_running == 0) {
    throw Error(ErrorCode::kInvalidArgument, "max_running is 0; expected 1 or more", "max_running");
  }
  if (config.max_step_positions == 0) {
    throw Error(ErrorCode::kInvalidArgument, "max_step_positions is 0; expected 1 or more", "max_step_positions");
  }
  if (config.max_event_backlog == 0) {
    throw Error(ErrorCode::kInvalidArgument, "max_event_backlog is 0; expected 1 or more", "max_event_backlog");
  }
  if (config.kv_cache_bytes == 0) config.kv_cache_bytes = memory_bytes() / 4;
  return config;
}

std::size_t kv_positions(const ModelInfo& model, const EngineConfig& config) {
  if (model.kv_bytes_per_position == 0) return kUnlimited;
  const std::uint64_t positions = config.kv_cache_bytes / model.kv_bytes_per_position;
  if (positions == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                message("kv_cache_bytes is ", config.kv_cache_bytes, "; expected at least the ",
                        model.kv_bytes_per_position, " bytes of one position"),
                "kv_cache_bytes");
  }
  return std::min<std::uint64_t>(positions, kUnlimited);
}

/// The longest sequence that can run alone: what the model, the configuration and the KV memory allow.
std::size_t longest_sequence(const ModelInfo& model, const EngineConfig& config, std::size_t kv_positions) {
  const std::size_t configured = config.max_context > 0 ? config.max_context : kUnlimited;
  return std::min({model.context_length, configured, kv_positions});
}

/// Answers of different engines and runs get different ids.
std::string random_prefix() {
  std::random_device device;
  std::ostringstream text;
  text << "q-" << std::hex << std::setfill('0') << std::setw(8) << device() << '-';
  return text.str();
}

}  // namespace

Engine::Impl::Impl(std::shared_ptr<ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base,
                   EngineConfig config)
    : runner_(require(std::move(runner))),
      config_(check(config)),
      kv_positions_(kv_positions(runner_->info(), config_)),
      max_positions_(longest_sequence(runner_->info(), config_, kv_positions_)),
      answer_prefix_(random_prefix()),
      preparation_(runner_, std::move(knowledge_base), max_positions_, [this] { return latency_model(); }),
      scheduler_(config_.max_running, config_.max_step_positions),
      preparation_thread_([this] { prepare_requests(); }),
      engine_thread_([this] { run(); }) {
  runner_->rest();  // whoever makes an engine has loaded a model
}

Engine::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [id, request] : live_) *request->cancelled = true;
  }
  changed_.notify_all();
  preparation_thread_.join();
  engine_thread_.join();
}

RequestId Engine::Impl::submit(Query query, std::function<void(const Event&)> on_event, CancelFlag cancelled) {
  check_query(query, runner_->info(), config_);
  const PhaseClock clock(query.arrived.value_or(Clock::now()));
  auto request = std::make_shared<Request>(Request{
      .query = std::move(query), .on_event = std::move(on_event), .cancelled = std::move(cancelled), .clock = clock});
  const std::lock_guard lock(mutex_);
  if (draining_ || stopping_) throw Error(ErrorCode::kUnavailable, "the engine is shutting down");
  // Places among the running ones that are free are taken at once: only what is beyond them waits.
  if (live_.size() >= config_.max_running + config_.max_queue) {
    throw Error(ErrorCode::kQueueFull, message("the queue is full: ", config_.max_queue, " requests wait"));
  }
  request->id = next_id_++;
  live_[request->id] = request;
  arrived_.push_back(request);
  ++unfinished_;
  ++stats_.requests;
  changed_.notify_all();
  return request->id;
}

void Engine::Impl::cancel(RequestId id) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(id);
  if (found != live_.end()) *found->second->cancelled = true;
}

bool Engine::Impl::drain(std::size_t timeout_ms) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return unfinished_ == 0; });
}

EngineStats Engine::Impl::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.waiting = live_.size() - stats.running;
  stats.kv_cache_bytes_limit = config_.kv_cache_bytes;
  if (latency_) stats.latency_model_error = latency_->error();
  return stats;
}

// ---------------------------------------------------------------- the preparation thread

void Engine::Impl::prepare_requests() {
  while (true) {
    RequestPtr request;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !arrived_.empty(); });
      if (arrived_.empty()) {
        preparation_ended_ = true;
        changed_.notify_all();
        return;
      }
      request = std::move(arrived_.front());
      arrived_.pop_front();
    }
    prepare(request);
    runner_->rest();
  }
}

void Engine::Impl::prepare(const RequestPtr& request) {
  const auto give_up_if_cancelled = [&] {
    if (*request->cancelled) throw Error(ErrorCode::kCancelled, "cancelled");
  };
  try {
    PreparedRequest prepared = preparation_.prepare(request->query, request->clock, give_up_if_cancelled);
    prepared.answer.id = answer_id(request->id);
    prepared.answer.model = runner_->info().name;
    emit(*request, prepared.answer.retrieval);
    request->generation.emplace(std::move(request->query), std::move(prepared), request->clock, runner_, max_positions_,
                                [this, raw = request.get()](const Event& event) { emit(*raw, event); });
  } catch (...) {
    fail(request);
    return;
  }
  const std::lock_guard lock(mutex_);
  prepared_.push_back(request);
  changed_.notify_all();
}

/// Measured by the engine thread, the only one that may run the model, when first asked for.
LatencyModel Engine::Impl::latency_model() {
  std::unique_lock lock(mutex_);
  wants_latency_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return latency_ || latency_fault_ || stopping_; });
  if (latency_) return *latency_;
  if (latency_fault_) std::rethrow_exception(latency_fault_);
  throw Error(ErrorCode::kCancelled, "cancelled");
}

// ---------------------------------------------------------------- the engine thread

void Engine::Impl::run() {
  while (true) {
    admit_arrivals();  // first come, first served
    drop_cancelled();  // before planning: nothing is spent on them
    calibrate();       // one measurement, where a request waits for the latency model
    const StepPlan plan = scheduler_.plan(free_positions());
    if (plan.empty()) {
      if (!wait_for_arrival()) return;
      continue;
    }
    carry_out(plan);
  }
}

void Engine::Impl::admit_arrivals() {
  std::deque<RequestPtr> arrivals;
  {
    const std::lock_guard lock(mutex_);
    arrivals.swap(prepared_);
  }
  for (RequestPtr& request : arrivals) {
    scheduler_.add(request->id, request->generation->input().length());
    scheduled_[request->id] = std::move(request);
  }
}

void Engine::Impl::drop_cancelled() {
  std::vector<RequestPtr> cancelled;
  for (const auto& [id, request] : scheduled_) {
    if (*request->cancelled) cancelled.push_back(request);
  }
  for (const RequestPtr& request : cancelled) {
    leave(*request);
    end(request, request->generation->finish(FinishReason::kCancelled));
  }
}

bool Engine::Impl::wait_for_arrival() {
  runner_->rest();
  std::unique_lock lock(mutex_);
  const auto is_calibrating = [this] { return wants_latency_ && !latency_ && !latency_fault_ && !stopping_; };
  changed_.wait(lock, [&] { return !prepared_.empty() || is_calibrating() || preparation_ended_; });
  return !prepared_.empty() || is_calibrating() || !preparation_ended_;
}

void Engine::Impl::carry_out(const StepPlan& plan) {
  for (const RequestId id : plan.preempted) close_sequence(*scheduled_.at(id));
  std::vector<RequestPtr> requests;
  std::vector<StepInput> inputs;
  for (const PlannedRun& run : plan.runs) {
    const RequestPtr request = scheduled_.at(run.id);
    try {
      if (!request->sequence) open_sequence(*request);
    } catch (...) {  // no memory for this one; the others go on
      drop(request);
      continue;
    }
    const Generation& generation = *request->generation;
    const bool is_last = run.start + run.count == generation.input().length();
    inputs.push_back({*request->sequence, run.start, generation.input().entries().subspan(run.start, run.count),
                      generation.vectors().rows > 0 ? &generation.vectors() : nullptr, is_last ? 1u : 0u});
    requests.push_back(request);
  }
  const std::vector<std::optional<Matrix>> logits = step(requests, inputs);
  scheduler_.record(plan);  // progress counts once it has happened
  for (std::size_t n = 0; n < logits.size(); ++n) {
    if (!logits[n] || inputs[n].logits_of_last == 0) continue;
    try {
      advance(requests[n], *logits[n]);
    } catch (...) {
      drop(requests[n]);
    }
  }
}

/// Where a step fails, each of its sequences is tried alone: only those whose fault it is end.
std::vector<std::optional<Matrix>> Engine::Impl::step(const std::vector<RequestPtr>& requests,
                                                      std::span<const StepInput> inputs) {
  if (inputs.empty()) return {};
  std::vector<std::optional<Matrix>> results;
  try {
    std::vector<Matrix> logits = runner_->step(inputs);
    if (logits.size() != inputs.size()) throw Error(ErrorCode::kInternal, "the model lost a sequence of the step");
    results.assign(std::move_iterator(logits.begin()), std::move_iterator(logits.end()));
  } catch (...) {
    if (inputs.size() == 1) {
      drop(requests[0]);
      return {std::nullopt};
    }
    for (std::size_t n = 0; n < inputs.size(); ++n) {
      results.push_back(std::move(step({requests[n]}, inputs.subspan(n, 1))[0]));
    }
  }
  return results;
}

void Engine::Impl::advance(const RequestPtr& request, const Matrix& logits) {
  Generation& generation = *request->generation;
  const Generation::Progress progress = generation.take(logits.row(0));
  if (progress.is_finished) {
    leave(*request);
    end(request, generation.finish());
    return;
  }
  scheduler_.change(request->id, generation.input().length(), progress.valid);
}

void Engine::Impl::open_sequence(Request& request) {
  request.sequence = runner_->open_sequence(request.generation->expected_positions());
  request.generation->begin();
  const std::lock_guard lock(mutex_);
  ++stats_.running;
}

void Engine::Impl::close_sequence(Request& request) {
  if (!request.sequence) return;
  runner_->close_sequence(*request.sequence);
  request.sequence.reset();
  const std::lock_guard lock(mutex_);
  --stats_.running;
}

void Engine::Impl::leave(Request& request) {
  close_sequence(request);
  scheduler_.remove(request.id);
  scheduled_.erase(request.id);
}

void Engine::Impl::drop(const RequestPtr& request) {
  leave(*request);
  fail(request);
}

void Engine::Impl::calibrate() {
  {
    const std::lock_guard lock(mutex_);
    if (!wants_latency_ || latency_ || latency_fault_ || stopping_) return;
  }
  std::optional<LatencyModel> result;
  std::exception_ptr fault;
  try {
    if (!calibration_) calibration_.emplace(max_positions_);
    calibration_->measure_next(*runner_);
    if (!calibration_->is_done()) return;
    result = calibration_->result();
  } catch (...) {
    fault = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  latency_ = result;
  latency_fault_ = fault;
  changed_.notify_all();
}

std::size_t Engine::Impl::free_positions() {
  const std::size_t held = scheduler_.positions_held();
  const std::lock_guard lock(mutex_);
  stats_.kv_cache_bytes_used = held * runner_->info().kv_bytes_per_position;
  return kv_positions_ - held;
}

// ---------------------------------------------------------------- either thread

void Engine::Impl::emit(Request& request, const Event& event) {
  try {
    request.on_event(event);
  } catch (...) {  // whoever listens has a fault of his own: his request ends, no other
    log_warning(message("the listener of request ", request.id, " threw; the request is cancelled"));
    *request.cancelled = true;
  }
}

void Engine::Impl::fail(const RequestPtr& request) {
  try {
    throw;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled && *request->cancelled) {
      Answer answer;
      answer.id = answer_id(request->id);
      answer.model = runner_->info().name;
      answer.finish_reason = FinishReason::kCancelled;
      answer.timings.total = request->clock.elapsed_ms();
      end(request, std::move(answer));
    } else {
      end(request, error);
    }
  } catch (const std::exception& error) {
    end(request, Error(ErrorCode::kInternal, error.what()));
  } catch (...) {
    end(request, Error(ErrorCode::kInternal, "an exception of an unknown type"));
  }
}

void Engine::Impl::end(const RequestPtr& request, const Event& last) {
  {
    const std::lock_guard lock(mutex_);
    live_.erase(request->id);
    count(last);
  }
  emit(*request, last);
  const std::lock_guard lock(mutex_);
  --unfinished_;
  changed_.notify_all();
}

void Engine::Impl::count(const Event& last) {
  const Answer* answer = std::get_if<Answer>(&last);
  if (answer == nullptr) {
    ++stats_.failed;
    return;
  }
  if (answer->finish_reason == FinishReason::kCancelled) ++stats_.cancelled;
  const Usage& usage = answer->usage;
  stats_.prompt_positions += usage.prompt_positions;
  stats_.prompt_tokens += usage.question_tokens + usage.context_tokens;
  stats_.completion_tokens += usage.completion_tokens;
  stats_.chunks += usage.chunks;
  stats_.expanded_chunks += usage.expanded + usage.expanded_while_decoding;
  stats_.encoded_chunks += usage.encoded_chunks;
}

std::string Engine::Impl::answer_id(RequestId id) const { return answer_prefix_ + std::to_string(id); }

}  // namespace refrag
