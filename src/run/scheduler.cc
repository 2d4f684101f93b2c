#include "run/scheduler.h"

#include <algorithm>

namespace bulkhaul {

void Scheduler::AddUnits(TableRun* table) {
  std::lock_guard lock(mutex_);
  entries_[table] = Entry{};
  waiting_.emplace(std::max(table->weight, table->priority), table);
  Changed();
}

void Scheduler::AddFinish(TableRun* table) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[table];
  entry = Entry{};
  entry.loaded = true;
  finishes_.push_back({Task{TaskKind::kFinish, table, {}, 0, nullptr}, Clock::time_point{}});
  Changed();
}

std::optional<Task> Scheduler::TakeUnit(TableRun* table, bool above_limit, Clock::time_point now,
                                        Clock::time_point& next_ready) {
  Entry& entry = entries_[table];
  if (!entry.loaded || entry.ready.empty()) return std::nullopt;
  if (entry.running >= table->workers_max && (!above_limit || table->workers_fixed)) {
    return std::nullopt;
  }
  for (auto waiting = entry.ready.begin(); waiting != entry.ready.end(); ++waiting) {
    if (waiting->not_before > now) {
      next_ready = std::min(next_ready, waiting->not_before);
      continue;
    }
    Task task = std::move(waiting->task);
    entry.ready.erase(waiting);
    ++entry.running;
    return task;
  }
  return std::nullopt;
}

std::optional<Task> Scheduler::Choose(Clock::time_point now, Clock::time_point& next_ready) {
  for (auto waiting = finishes_.begin(); waiting != finishes_.end(); ++waiting) {
    const TableRun& table = *waiting->task.table;
    if (entries_[waiting->task.table].waits && table.WaitsFor() != nullptr) continue;
    if (waiting->not_before > now) {
      next_ready = std::min(next_ready, waiting->not_before);
      continue;
    }
    Task task = std::move(waiting->task);
    finishes_.erase(waiting);
    ++entries_[task.table].running;
    return task;
  }
  for (TableRun* table : active_) {
    if (auto task = TakeUnit(table, false, now, next_ready)) return task;
  }
  if (limits_.workers_per_table_fixed || ToLoad() != nullptr) return std::nullopt;
  for (TableRun* table : active_) {
    if (auto task = TakeUnit(table, true, now, next_ready)) return task;
  }
  return std::nullopt;
}

TableRun* Scheduler::ToLoad() {
  bool loading = false;
  for (TableRun* table : active_) {
    const Entry& entry = entries_[table];
    if (!entry.loaded && !entry.loading && !entry.removed) return table;
    loading |= entry.loading;
  }
  if (waiting_.empty()) return nullptr;
  const bool room = active_.size() < static_cast<size_t>(limits_.parallel_tables);
  // Above the number of tables that was not asked for only when the active ones give nothing more.
  const auto idle = [&] {
    return !loading && std::all_of(active_.begin(), active_.end(),
                                   [&](TableRun* table) { return entries_[table].ready.empty(); });
  };
  if (!room && (limits_.parallel_tables_fixed || !idle())) return nullptr;
  const auto next = std::find_if(waiting_.begin(), waiting_.end(), [](const auto& item) {
    return !item.second->units_appear || item.second->WaitsFor() == nullptr;
  });
  return next == waiting_.end() ? nullptr : next->second;
}

Status Scheduler::Load(TableRun* table, std::unique_lock<std::mutex>& lock) {
  const auto inactive = std::find_if(waiting_.begin(), waiting_.end(),
                                     [&](const auto& item) { return item.second == table; });
  if (inactive != waiting_.end()) {
    waiting_.erase(inactive);
    active_.push_back(table);
  }
  entries_[table].loading = true;
  lock.unlock();
  auto units = load_(*table);
  lock.lock();
  const auto found = entries_.find(table);
  if (found == entries_.end()) return units.status();
  Entry& entry = found->second;
  entry.loading = false;
  entry.loaded = true;
  if (entry.removed) {
    if (entry.running == 0) Forget(table);
    return units.status();
  }
  ARROW_RETURN_NOT_OK(units.status());
  for (auto& unit : *units) {
    entry.ready.push_back(
        {Task{TaskKind::kUnit, table, std::move(unit), 0, nullptr}, Clock::time_point{}});
  }
  entry.left = static_cast<int64_t>(entry.ready.size());
  if (entry.left == 0) {
    finishes_.push_back({Task{TaskKind::kFinish, table, {}, 0, nullptr}, Clock::time_point{}});
  }
  Changed();
  return Status::OK();
}

Result<std::optional<Task>> Scheduler::Next(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!closed_ && !stop.stop_requested()) {
    auto next_ready = Clock::time_point::max();
    if (auto task = Choose(Clock::now(), next_ready)) return task;
    if (TableRun* table = ToLoad()) {
      ARROW_RETURN_NOT_OK(Load(table, lock));
      continue;
    }
    if (next_ready == Clock::time_point::max()) {
      changed_.wait(lock, stop, [&, seen = version_] { return closed_ || version_ != seen; });
    } else {
      changed_.wait_until(lock, stop, next_ready,
                          [&, seen = version_] { return closed_ || version_ != seen; });
    }
  }
  return std::nullopt;
}

Scheduler::Entry* Scheduler::Leave(const Task& task) {
  const auto found = entries_.find(task.table);
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  --entry.running;
  Changed();
  if (!entry.removed) return &entry;
  if (entry.running == 0 && !entry.loading) Forget(task.table);
  return nullptr;
}

void Scheduler::Forget(TableRun* table) {
  std::erase(active_, table);
  std::erase_if(waiting_, [&](const auto& item) { return item.second == table; });
  std::erase_if(finishes_, [&](const auto& waiting) { return waiting.task.table == table; });
  entries_.erase(table);
  Changed();
}

void Scheduler::Changed() {
  ++version_;
  changed_.notify_all();
}

void Scheduler::UnitDone(const Task& task) {
  std::lock_guard lock(mutex_);
  Entry* entry = Leave(task);
  if (!entry || --entry->left > 0) return;
  finishes_.push_back({Task{TaskKind::kFinish, task.table, {}, 0, nullptr}, Clock::time_point{}});
}

void Scheduler::FinishDone(const Task& task, NextStep next) {
  std::lock_guard lock(mutex_);
  Entry* entry = Leave(task);
  if (!entry) return;
  if (next == NextStep::kOver) return Forget(task.table);
  if (next == NextStep::kWait) {
    // Not active: it must not keep those that it waits for from their turn.
    std::erase(active_, task.table);
    entry->waits = true;
    finishes_.push_back({Task{TaskKind::kFinish, task.table, {}, 0, nullptr}, Clock::time_point{}});
    return;
  }
  entry->loaded = false;
  // A resumed table may come here without having been active.
  if (std::find(active_.begin(), active_.end(), task.table) == active_.end()) {
    active_.push_back(task.table);
  }
}

void Scheduler::PutBack(Task task, Clock::time_point not_before) {
  Entry* entry = Leave(task);
  if (!entry) return;
  auto& queue = task.kind == TaskKind::kFinish ? finishes_ : entry->ready;
  queue.push_front({std::move(task), not_before});
}

void Scheduler::Retry(Task task, int64_t delay_ms) {
  std::lock_guard lock(mutex_);
  PutBack(std::move(task), Clock::now() + std::chrono::milliseconds(delay_ms));
}

void Scheduler::GiveBack(Task task) {
  std::lock_guard lock(mutex_);
  PutBack(std::move(task), Clock::time_point{});
}

void Scheduler::Drop(const Task& task) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(task.table);
  if (found == entries_.end()) return;
  found->second.removed = true;
  found->second.ready.clear();
  (void)Leave(task);
}

void Scheduler::Remove(TableRun* table) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(table);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.removed = true;
  entry.ready.clear();
  std::erase_if(finishes_, [&](const auto& waiting) { return waiting.task.table == table; });
  if (entry.running == 0 && !entry.loading) Forget(table);
  Changed();
}

void Scheduler::WaitIdle(const std::function<bool(const TableRun&)>& concerns,
                         std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [&] {
    return std::none_of(entries_.begin(), entries_.end(), [&](const auto& item) {
      return (item.second.running > 0 || item.second.loading) && concerns(*item.first);
    });
  });
}

bool Scheduler::WaitForEvent(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [&] { return woken_ || entries_.empty(); });
  const bool over = entries_.empty() && !woken_;
  woken_ = false;
  return over;
}

void Scheduler::Wake() {
  std::lock_guard lock(mutex_);
  woken_ = true;
  Changed();
}

void Scheduler::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  Changed();
}

}  // namespace bulkhaul
