#include "source/files/files_source.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/text.h"
#include "base/units.h"
#include "source/files/describe.h"
#include "source/files/format_options.h"
#include "source/files/session.h"
#include "source/files/split.h"

namespace bulkhaul {
namespace files {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// One table to be: what the user wrote, and the files that it means.
struct Request {
  DatasetId id;
  std::string written;  // under `tables`; "" when the source's path is the table
  std::string pattern;
  const Options* own = nullptr;  // of its entry under `tables`
};

// A name in a folder: a glob, a file, or without extension.
std::string PatternIn(const std::string& folder, const std::string& name) {
  const fs::path whole = name.starts_with('/') ? fs::path(name) : fs::path(folder) / name;
  std::error_code error;
  if (HasGlob(name) || fs::exists(whole, error)) return whole.string();
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(whole.parent_path(), error)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with(whole.filename().string() + ".") && HasDataExtension(file)) {
      found.push_back(entry.path().string());
    }
  }
  return found.size() == 1 ? found[0] : whole.string();
}

class FilesSource : public Source {
 public:
  FilesSource(const JobSpec& spec, std::string path) : spec_(spec), path_(std::move(path)) {}

  SourceTraits Traits() const override {
    return {.name = "files",
            .checks_rows = true,
            .places_rows = true,
            .refuses_rows = true,
            .describes_content = true,
            .options = {"Files"}};
  }
  void StopOn(std::stop_token stop) override { stop_ = std::move(stop); }
  void TypesFrom(ColumnsThere columns_there) override { columns_there_ = std::move(columns_there); }

  Result<std::vector<Dataset>> Discover(const Selector& selector) override {
    if (!selector.queries.empty()) return UserError("files have no queries: name files");
    if (!spec_.schemas.empty()) return UserError("files have no schemas: name files");
    ARROW_ASSIGN_OR_RAISE(const auto requests, Requests());
    std::vector<DatasetId> available;
    for (const auto& request : requests) {
      available.push_back(request.id);
      if (!request.written.empty()) available.push_back({"", request.written});
    }
    ARROW_RETURN_NOT_OK(selector.CheckNamed(available));
    std::vector<Dataset> datasets;
    std::vector<FormatAndOptions> formats;
    Contracts contracts;
    for (const auto& request : requests) {
      const DatasetId written{"", request.written};
      if (!selector.Selects(request.id) && !selector.Selects(written)) continue;
      if (stop_.stop_requested()) return CancelledError();
      Options options = selector.OptionsFor(request.id);
      if (request.own != nullptr) options = options.With(*request.own);
      auto dataset =
          DescribeDataset(request.id, request.pattern, options, &contracts, columns_there_);
      if (!dataset.ok()) return dataset.status();
      ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset->source_state));
      formats.push_back({state.format, std::move(options)});
      datasets.push_back(*std::move(dataset));
    }
    ARROW_RETURN_NOT_OK(CheckFormatOptions(formats));
    std::sort(datasets.begin(), datasets.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    return datasets;
  }

  // Takes note of every file: a file has no snapshot, but a change of it is seen.
  Result<Snapshot> Pin(std::span<const Dataset> datasets) override {
    auto fingerprints = std::make_shared<Fingerprints>();
    Json noted = Json::object();
    std::string all;
    for (const auto& dataset : datasets) {
      ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
      for (const auto& file : state.files) {
        ARROW_ASSIGN_OR_RAISE(auto now, FingerprintOf(file.path));
        all += file.path + '\0' + now + '\0';
        noted[file.path] = now;
        (*fingerprints)[file.path] = std::move(now);
      }
    }
    Snapshot snapshot;
    snapshot.id = HashText(Xxh3Of(all));
    snapshot.taken_at = FormatUtc(std::chrono::system_clock::now());
    snapshot.description = fmt::format("none: {} files, each checked for changes while it is read",
                                       fingerprints->size());
    snapshot.source_state =
        Json{{"files", std::move(noted)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
    std::lock_guard lock(mutex_);
    pins_[snapshot.id] = std::move(fingerprints);
    return snapshot;
  }
  Status CheckPin(const Snapshot& snapshot) override { return Find(snapshot).status(); }
  void Release(const Snapshot&) noexcept override {}

  Result<std::vector<std::string>> ChangedAxes(const Snapshot& snapshot,
                                               const Dataset& dataset) override {
    ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
    const Json noted = Json::parse(snapshot.source_state, nullptr, false);
    const Json before = noted.is_object() ? noted.value("files", Json::object()) : Json::object();
    std::vector<std::string> changed;
    for (size_t group = 0; group < state.group_ends.size(); ++group) {
      bool same = true;
      for (size_t i = state.group_begin(group); i < state.group_ends[group]; ++i) {
        const auto now = FingerprintOf(state.files[i].path);
        same = same && now.ok() && before.value(state.files[i].path, "") == *now;
      }
      if (!same) changed.push_back(state.AxisOf(group));
    }
    return changed;
  }

  // A file may have been changed after the last unit that read it.
  Status CheckRows(const Snapshot& snapshot, const Dataset& dataset,
                   const std::map<std::string, int64_t>&, RowFindings* found) override {
    ARROW_ASSIGN_OR_RAISE(const auto fingerprints, Find(snapshot));
    ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
    Status status;
    for (size_t group = 0; group < state.group_ends.size(); ++group) {
      for (size_t i = state.group_begin(group); i < state.group_ends[group]; ++i) {
        const Status unchanged = CheckUnchanged(*fingerprints, state.files[i].path);
        if (unchanged.ok()) continue;
        if (status.ok()) status = unchanged;
        found->wrong.push_back(state.AxisOf(group));
        break;
      }
    }
    return status;
  }

  Result<UnitPage> Split(const Snapshot&, const Dataset& dataset, const SplitHint& hint,
                         std::string_view cursor) override {
    ARROW_ASSIGN_OR_RAISE(const auto units, UnitsOf(dataset, hint, cursor.empty()));
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
                                        WorkerContext&) override {
    ARROW_ASSIGN_OR_RAISE(auto fingerprints, Find(snapshot));
    return MakeFilesSession(datasets, std::move(fingerprints));
  }

  Result<std::vector<FilesTable>> Tables() const {
    ARROW_ASSIGN_OR_RAISE(const auto requests, Requests());
    std::vector<FilesTable> tables;
    for (const auto& request : requests) {
      const Options options =
          request.own != nullptr ? spec_.options.With(*request.own) : spec_.options;
      FilesTable table;
      table.name = request.id.name;
      table.hive_partitions = options.GetBool("hive_partitions");
      ARROW_ASSIGN_OR_RAISE(
          const auto list,
          ListFiles(request.pattern, options.GetString("source_format"), table.hive_partitions));
      table.format = FileFormatName(list.format);
      for (const auto& file : list.files) table.files.push_back(file.path);
      tables.push_back(std::move(table));
    }
    return tables;
  }

 private:
  using Units = std::shared_ptr<const std::vector<WorkUnit>>;

  Result<std::shared_ptr<const Fingerprints>> Find(const Snapshot& snapshot) {
    std::lock_guard lock(mutex_);
    const auto found = pins_.find(snapshot.id);
    if (found != pins_.end()) return found->second;
    return SnapshotLostError("what the files of " + path_ + " looked like is not known any more");
  }

  // A large file is looked through once; the pages after the first take from that.
  Result<Units> UnitsOf(const Dataset& dataset, const SplitHint& hint, bool first_page) {
    if (!first_page) {
      std::lock_guard lock(mutex_);
      if (const auto found = splits_.find(dataset.id); found != splits_.end()) return found->second;
    }
    ARROW_ASSIGN_OR_RAISE(const auto state, TableState::FromJson(dataset.source_state));
    ARROW_ASSIGN_OR_RAISE(auto units, SplitFiles(dataset, state, hint, stop_));
    auto shared = std::make_shared<const std::vector<WorkUnit>>(std::move(units));
    std::lock_guard lock(mutex_);
    splits_.erase(dataset.id);
    if (static_cast<int64_t>(shared->size()) > hint.page_units_max) splits_[dataset.id] = shared;
    return shared;
  }

  // With `tables`, each entry is a file, a folder or a glob in the source's folder; else the source
  // is the one table.
  Result<std::vector<Request>> Requests() const {
    std::vector<Request> requests;
    const auto add = [&](Request request) {
      request.id.name = DatasetNameOf(request.pattern);
      requests.push_back(std::move(request));
    };
    for (const auto& table : spec_.tables) {
      if (!table.selects) continue;
      add({{}, table.pattern, PatternIn(path_, table.pattern), &table.options});
    }
    if (requests.empty()) add({{}, "", path_, nullptr});
    std::set<DatasetId> names;
    for (const auto& request : requests) {
      if (names.insert(request.id).second) continue;
      return UserError(fmt::format("two tables would be named '{}': name one of them by another "
                                   "folder or pattern",
                                   request.id.name),
                       "duplicate_table");
    }
    return requests;
  }

  const JobSpec spec_;
  const std::string path_;
  std::stop_token stop_;        // constant after StopOn()
  ColumnsThere columns_there_;  // constant after TypesFrom()
  std::mutex mutex_;            // guards all below
  std::map<std::string, std::shared_ptr<const Fingerprints>> pins_;
  std::map<DatasetId, Units> splits_;
};

}  // namespace
}  // namespace files

bool IsFilesPath(std::string_view path) {
  std::error_code error;
  return files::HasDataExtension(path) || HasGlob(path) ||
         std::filesystem::is_directory(std::filesystem::path(path), error);
}

namespace {

Result<std::unique_ptr<files::FilesSource>> FilesSourceOf(const JobSpec& spec) {
  std::string path = spec.source_uri;
  if (path.starts_with("file://")) {
    path = PercentDecode(std::string_view(path).substr(7));
  } else if (path.starts_with("file:")) {
    path = PercentDecode(std::string_view(path).substr(5));
  }
  if (path.empty()) return UserError("a source of files wants a path");
  return std::make_unique<files::FilesSource>(spec, std::move(path));
}

}  // namespace

Result<std::vector<FilesTable>> TablesOfFiles(const JobSpec& spec) {
  ARROW_ASSIGN_OR_RAISE(const auto source, FilesSourceOf(spec));
  return source->Tables();
}

Result<std::unique_ptr<Source>> MakeFilesSource(const JobSpec& spec, const JobId&) {
  ARROW_ASSIGN_OR_RAISE(auto source, FilesSourceOf(spec));
  return source;
}

}  // namespace bulkhaul
