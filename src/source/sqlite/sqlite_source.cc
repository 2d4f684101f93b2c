#include "source/sqlite/sqlite_source.h"

#include <charconv>
#include <chrono>
#include <map>
#include <mutex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/text.h"
#include "base/units.h"
#include "plan/parallelism.h"
#include "source/sqlite/connection.h"
#include "source/sqlite/discover.h"
#include "source/sqlite/pin.h"
#include "source/sqlite/split.h"
#include "source/sqlite/unit_reader.h"

namespace bulkhaul {
namespace {

using Json = nlohmann::json;

// Beside one a worker: a session may be opened before another is closed.
constexpr int64_t kSpareConnections = 1;

PinSettings SettingsOf(const JobSpec& spec, std::string path) {
  PinSettings settings;
  settings.path = std::move(path);
  settings.lock_timeout_ms = spec.options.GetDurationMs("lock_timeout");
  const int64_t workers = spec.options.GetInt("workers");
  settings.connections =
      (workers > 0 ? workers : std::max(2, AvailableCores())) + kSpareConnections;
  settings.consistent = spec.options.GetString("consistency") != "none";
  return settings;
}

class SqliteSource : public Source {
 public:
  SqliteSource(const JobSpec& spec, std::string path)
      : settings_(SettingsOf(spec, std::move(path))) {}

  SourceTraits Traits() const override {
    return {.name = "sqlite",
            .consistent_snapshot = true,
            .kept_snapshot = false,
            .queries = true,
            .connections_max = settings_.connections,
            .options = {"lock_timeout"}};
  }

  Result<std::vector<Dataset>> Discover(const Selector& selector) override {
    ARROW_ASSIGN_OR_RAISE(const auto moment, Moment());
    return moment->WithPlanner(
        [&](Connection& connection) { return DiscoverDatasets(connection, selector); });
  }

  Result<Snapshot> Pin(std::span<const Dataset> datasets) override {
    ARROW_ASSIGN_OR_RAISE(auto pin, bulkhaul::Pin::Take(settings_));
    ARROW_RETURN_NOT_OK(CheckDefinitions(*pin, datasets));
    std::lock_guard lock(mutex_);
    Snapshot snapshot;
    snapshot.id = fmt::format("{}-{}", HashText(Xxh3Of(pin->fingerprint())), ++pins_taken_);
    snapshot.consistent = settings_.consistent;
    snapshot.taken_at = FormatUtc(std::chrono::system_clock::now());
    snapshot.description = settings_.consistent
                               ? fmt::format("read transactions at one commit ({})", pin->mode())
                               : "none: each unit reads the latest commit";
    snapshot.source_state = Json{{"fingerprint", pin->fingerprint()}}.dump();
    pins_[snapshot.id] = std::move(pin);
    return snapshot;
  }

  // A file that is what it was is the same view, also for another process.
  Status Adopt(const Snapshot& snapshot) override {
    const Json state = Json::parse(snapshot.source_state, nullptr, false);
    ARROW_ASSIGN_OR_RAISE(auto pin, bulkhaul::Pin::Take(settings_));
    if (!snapshot.consistent || !state.is_object() ||
        state.value("fingerprint", "") != pin->fingerprint()) {
      return SnapshotLostError(settings_.path + " was written to since it was last read");
    }
    std::lock_guard lock(mutex_);
    pins_[snapshot.id] = std::move(pin);
    return Status::OK();
  }

  Status CheckPin(const Snapshot& snapshot) override {
    ARROW_ASSIGN_OR_RAISE(const auto pin, Find(snapshot));
    return pin->Check();
  }

  void Release(const Snapshot& snapshot) noexcept override {
    std::shared_ptr<bulkhaul::Pin> released;
    std::lock_guard lock(mutex_);
    const auto found = pins_.find(snapshot.id);
    if (found == pins_.end()) return;
    released = std::move(found->second);
    pins_.erase(found);
    std::erase_if(splits_, [&](const auto& one) { return one.first.first == snapshot.id; });
  }

  Result<UnitPage> Split(const Snapshot& snapshot, const Dataset& dataset, const SplitHint& hint,
                         std::string_view cursor) override {
    ARROW_ASSIGN_OR_RAISE(const auto units, UnitsOf(snapshot, dataset, hint, cursor.empty()));
    size_t at = 0;
    std::from_chars(cursor.data(), cursor.data() + cursor.size(), at);
    const size_t end = std::min(
        units->size(), at + static_cast<size_t>(std::max<int64_t>(1, hint.page_units_max)));
    UnitPage page;
    for (; at < end; ++at) page.units.push_back((*units)[at]);
    if (at < units->size()) page.next_cursor = std::to_string(at);
    return page;
  }

  Result<std::unique_ptr<Session>> Open(const Snapshot& snapshot, std::span<const Dataset> datasets,
                                        WorkerContext& context) override {
    ARROW_ASSIGN_OR_RAISE(const auto pin, Find(snapshot));
    ARROW_ASSIGN_OR_RAISE(auto connection, pin->Acquire());
    return std::make_unique<SqliteSession>(
        std::move(connection), datasets, context.stop,
        [pin](std::unique_ptr<Connection> back) { pin->GiveBack(std::move(back)); });
  }

 private:
  using Units = std::shared_ptr<const std::vector<WorkUnit>>;

  // The database as it is now, for planning without a snapshot.
  Result<std::shared_ptr<bulkhaul::Pin>> Moment() const {
    PinSettings settings = settings_;
    settings.consistent = false;
    settings.connections = 0;
    return bulkhaul::Pin::Take(settings);
  }

  static Status CheckDefinitions(bulkhaul::Pin& pin, std::span<const Dataset> datasets) {
    return pin.WithPlanner([&](Connection& connection) {
      for (const auto& dataset : datasets) {
        ARROW_RETURN_NOT_OK(CheckDefinition(connection, dataset));
      }
      return Status::OK();
    });
  }

  Result<std::shared_ptr<bulkhaul::Pin>> Find(const Snapshot& snapshot) {
    std::lock_guard lock(mutex_);
    const auto found = pins_.find(snapshot.id);
    if (found != pins_.end()) return found->second;
    return SnapshotLostError(settings_.path + ": the view " + snapshot.id + " is gone");
  }

  // Kept until the snapshot is released, for the pages after the first.
  Result<Units> UnitsOf(const Snapshot& snapshot, const Dataset& dataset, const SplitHint& hint,
                        bool first_page) {
    const auto key = std::pair(snapshot.id, dataset.id);
    if (!first_page) {
      std::lock_guard lock(mutex_);
      if (const auto found = splits_.find(key); found != splits_.end()) return found->second;
    }
    auto pin = snapshot.id.empty() ? Moment() : Find(snapshot);
    if (!pin.ok()) return pin.status();
    ARROW_ASSIGN_OR_RAISE(auto units, (*pin)->WithPlanner([&](Connection& connection) {
      return SplitDataset(connection, dataset, hint);
    }));
    auto shared = std::make_shared<const std::vector<WorkUnit>>(std::move(units));
    if (static_cast<int64_t>(shared->size()) > hint.page_units_max) {
      std::lock_guard lock(mutex_);
      splits_[key] = shared;
    }
    return shared;
  }

  const PinSettings settings_;
  std::mutex mutex_;  // guards all below
  std::map<std::string, std::shared_ptr<bulkhaul::Pin>> pins_;
  std::map<std::pair<std::string, DatasetId>, Units> splits_;
  int64_t pins_taken_ = 0;
};

}  // namespace

Result<std::string> SqlitePath(std::string_view uri) {
  const bool encoded = uri.starts_with("sqlite:");
  std::string_view rest = uri;
  if (encoded) {
    rest.remove_prefix(7);
    if (rest.starts_with("//")) rest.remove_prefix(2);
  }
  std::string path = encoded ? PercentDecode(rest) : std::string(rest);
  if (path.empty()) return UserError("a SQLite source wants a file: sqlite:///path/to/file.db");
  return path;
}

Result<std::unique_ptr<Source>> MakeSqliteSource(const JobSpec& spec, const JobId&) {
  ARROW_ASSIGN_OR_RAISE(auto path, SqlitePath(spec.source_uri));
  return std::make_unique<SqliteSource>(spec, std::move(path));
}

}  // namespace bulkhaul
