#include "run/contract_plan.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/units.h"
#include "plan/contract.h"
#include "plan/option_table.h"
#include "run/drift_hook.h"
#include "store/durable_file.h"
#include "store/folders.h"
#include "transform/transform.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

// Options that decide which columns there are, and of which types.
bool ShapesColumns(const OptionSpec& option) {
  const std::string_view group = option.group, name = option.name;
  if (group == "Values" || group == "Transforms") return true;
  for (const std::string_view shaping :
       {"columns", "fields", "exclude_fields", "metadata_columns", "objects", "arrays", "nested",
        "extra", "floats", "dates", "date_unit", "decimal_precision", "source_format",
        "source_header", "source_delimiter", "hive_partitions", "date_format", "date_formats"}) {
    if (name == shaping) return true;
  }
  return false;
}

// Two runs are compared when they read the same table of the same source, or else fill the same
// table of a database, with the same options about its columns. The files of both, the first one is
// the nearer.
std::vector<std::string> SchemaFiles(const std::string& state_folder, const JobSpec& spec,
                                     const Dataset& dataset) {
  Options shaping;
  for (const auto& [name, value] : dataset.options.values()) {
    const auto* option = FindOption(name);
    if (option != nullptr && ShapesColumns(*option)) (void)shaping.Set(name, value);
  }
  const auto file = [&](const std::string& uri, const std::string& schema,
                        const std::string& name) {
    const auto identity =
        fmt::format("{}\n{}\n{}\n{}", WithoutSecrets(uri), schema, name, shaping.ToJson());
    return fmt::format("{}/schemas/{}.json", state_folder, HashName(identity));
  };
  std::vector<std::string> files = {file(spec.source_uri, dataset.id.schema, dataset.id.name)};
  // A target without placeholders: whatever the source is called, its rows go there.
  const std::string& target = dataset.options.GetString("target_table");
  if (!target.empty() && target.find('{') == target.npos) {
    files.push_back(file(spec.destination_uri, dataset.options.GetString("target_schema"), target));
  }
  return files;
}

std::optional<SeenSchema> ReadSchema(const std::string& path) {
  const auto text = ReadSmallFile(path);
  if (!text.ok()) return std::nullopt;
  const auto value = json::parse(*text, nullptr, false);
  if (!value.is_object() || !value.contains("columns")) return std::nullopt;
  SeenSchema seen;
  seen.since = value.value("since", "");
  seen.job = value.value("job", "");
  for (const auto& column : value["columns"]) {
    // As far as is known: the source may have been another one then.
    seen.columns.push_back({column.value("name", ""), column.value("type", ""), /*found=*/true});
  }
  return seen;
}

// Whether there is a place for rows that are put aside.
Status CheckQuarantine(const JobSpec& spec, const Dataset& dataset) {
  const Options& options = dataset.options;
  const bool folder = spec.destination_uri.find("://") == std::string::npos ||
                      spec.destination_uri.starts_with("file://");
  if (options.GetString("reject") == "quarantine" && !folder &&
      options.GetString("quarantine").empty()) {
    return UserError(
        "reject: quarantine needs a folder for the rows: name one with quarantine, because the "
        "destination is none");
  }
  return Status::OK();
}

// What the table's options ask for that its contract or destination does not allow.
Status CheckContractOptions(const JobSpec& spec, const Dataset& dataset, const Contract& contract) {
  const Options& options = dataset.options;
  ARROW_RETURN_NOT_OK(CheckQuarantine(spec, dataset));
  if (options.GetString("commit") == "unit" && contract.JudgesTable()) {
    return UserError(
        "commit: unit publishes rows before the contract's rules for the whole table (unique, "
        "rows, freshness) can be checked; set commit: table");
  }
  return Status::OK();
}

struct TableDrift {
  std::vector<DriftChange> changes;
  std::string against;                        // what the schema was held against
  DriftAction action = DriftAction::kEvolve;  // the strictest
};

Status TellHook(const JobSpec& spec, const ContractContext& context, const Dataset& dataset,
                const TableDrift& drift) {
  json changes = json::array();
  std::string summary;
  for (const auto& change : drift.changes) {
    changes.push_back({{"kind", DriftKindName(change.kind)},
                       {"column", change.column},
                       {"before", change.before},
                       {"after", change.after}});
    summary += change.ToString() + "\n";
  }
  return RunHook(
      spec.options.GetList("on_drift"),
      {{"BULKHAUL_DRIFT_JOB", context.job},
       {"BULKHAUL_DRIFT_SOURCE", Redact(spec.source_uri)},
       {"BULKHAUL_DRIFT_TABLE", dataset.id.ToString()},
       {"BULKHAUL_DRIFT_AGAINST", drift.against},
       {"BULKHAUL_DRIFT_ACTION", DriftActionName(drift.action)},
       {"BULKHAUL_DRIFT_CHANGES", changes.dump(-1, ' ', false, json::error_handler_t::replace)},
       {"BULKHAUL_DRIFT_SUMMARY", summary}});
}

struct DriftFailures {
  std::vector<std::string> sentences;
  std::set<DriftKind> kinds;

  // "drift: {removed: warn, retyped: warn}"
  std::string WayOut() const {
    std::vector<std::string> entries;
    for (const auto kind : kinds) entries.push_back(fmt::format("{}: warn", DriftKindName(kind)));
    return fmt::format("drift: {{{}}}", fmt::join(entries, ", "));
  }
};

// What changed, and the sentences of what fails; the others become warnings.
Result<TableDrift> JudgeDrift(const JobSpec& spec, const ContractContext& context,
                              const Contract* contract, Dataset* dataset, DriftFailures* failures) {
  TableDrift drift;
  ARROW_ASSIGN_OR_RAISE(const auto policy,
                        DriftPolicy::From(dataset->options, contract != nullptr));
  ARROW_ASSIGN_OR_RAISE(const auto schema, SchemaForContract(*dataset));
  // A table without columns could not be described yet.
  if (schema == nullptr || schema->num_fields() == 0) return drift;
  std::vector<ExpectedColumn> before;
  if (contract != nullptr) {
    before = ExpectedColumns(*contract);
    drift.against = "the contract";
  } else if (const auto seen = LastSchema(context.state_folder, spec, *dataset)) {
    before = seen->columns;
    drift.against = fmt::format("the run of job {} at {}", seen->job, seen->since);
  } else {
    return drift;
  }
  drift.changes = FindDrift(before, ExpectedColumns(*schema));
  for (const auto& change : drift.changes) {
    const DriftAction action = policy.For(change);
    const std::string sentence =
        fmt::format("{} (drift against {})", change.ToString(), drift.against);
    if (action == DriftAction::kFail) {
      DriftChange wider = change;
      wider.widens = true;
      const bool evolves = policy.For(wider) == DriftAction::kEvolve;
      failures->sentences.push_back(fmt::format(
          "{}: {}{}", dataset->id.ToString(), sentence,
          evolves ? "; evolve takes only types that hold every value of the old one" : ""));
      failures->kinds.insert(change.kind);
    } else {
      dataset->warnings.push_back(sentence);
    }
    drift.action = std::min(drift.action, action);
  }
  return drift;
}

void KeepSchema(RunContext& run, const Dataset& dataset, const std::vector<ExpectedColumn>& columns,
                const std::string& path) {
  json value = {{"source", Redact(run.spec.source_uri)},
                {"table", dataset.id.ToString()},
                {"job", run.job},
                {"since", FormatUtc(std::chrono::system_clock::now())},
                {"columns", json::array()}};
  for (const auto& column : columns) {
    value["columns"].push_back({{"name", column.name}, {"type", column.type}});
  }
  // By rename, so that a reader sees the old or the new one. Not synced: a power failure costs a
  // comparison, and thousands of small tables would wait for it.
  Status status = MakeFolders(std::filesystem::path(path).parent_path().string());
  const std::string unfinished = fmt::format("{}.{}", path, run.job);
  if (status.ok()) {
    std::ofstream out(unfinished, std::ios::binary | std::ios::trunc);
    out << value.dump(1, ' ', false, json::error_handler_t::replace);
    out.close();
    if (!out || std::rename(unfinished.c_str(), path.c_str()) != 0) {
      status = ErrnoError(errno != 0 ? errno : EIO, "keep the schema for the next run in", path);
    }
  }
  if (!status.ok()) run.progress.Warn(MessageOf(status));
}

}  // namespace

Status ApplyContracts(const JobSpec& spec, const ContractContext& context,
                      std::vector<Dataset>* datasets) {
  Contracts contracts;
  DriftFailures failures;
  for (auto& dataset : *datasets) {
    ARROW_ASSIGN_OR_RAISE(const auto* contract, contracts.For(dataset.options, dataset.id));
    if (contract != nullptr) {
      const Status fits = CheckContractOptions(spec, dataset, *contract);
      if (!fits.ok()) return WithContext(fits, dataset.id.ToString());
      dataset.contract = contract->ToYaml();
    } else if (dataset.refuses_rows) {
      const Status fits = CheckQuarantine(spec, dataset);
      if (!fits.ok()) return WithContext(fits, dataset.id.ToString());
    }
    auto drift = JudgeDrift(spec, context, contract, &dataset, &failures);
    if (!drift.ok()) return WithContext(drift.status(), dataset.id.ToString());
    if (drift->changes.empty() || !context.run_hook) continue;
    if (const Status told = TellHook(spec, context, dataset, *drift); !told.ok()) {
      LogWarning(MessageOf(told));
    }
  }
  if (failures.sentences.empty()) return Status::OK();
  return UserError(fmt::format("the schema has changed: {}. Nothing was read. Mend the source or "
                               "the contract, or say what such a change does with {}",
                               fmt::join(failures.sentences, "; "), failures.WayOut()),
                   kDriftCode);
}

std::string QuarantineFile(const JobSpec& spec, const Dataset& dataset,
                           const std::string& output_name, const JobId& job) {
  std::string folder = dataset.options.GetString("quarantine");
  if (folder.empty()) {
    std::string root = spec.destination_uri;
    if (root.starts_with("file://")) root.erase(0, 7);
    std::error_code error;
    auto path = std::filesystem::absolute(root, error).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    // Where the destination itself appears in one step, nothing may be in it before.
    const bool beside = DestinationAppears(spec.options);
    folder = beside ? path.string() + "_quarantine" : (path / "_quarantine").string();
  }
  return fmt::format("{}/{}_{}.parquet", folder, SafeFileName(output_name), SafeFileName(job));
}

std::optional<SeenSchema> LastSchema(const std::string& state_folder, const JobSpec& spec,
                                     const Dataset& dataset) {
  if (state_folder.empty()) return std::nullopt;
  for (const auto& path : SchemaFiles(state_folder, spec, dataset)) {
    if (auto seen = ReadSchema(path)) return seen;
  }
  return std::nullopt;
}

void RememberSchema(RunContext& run, const Dataset& dataset) {
  const auto schema = SchemaForContract(dataset);
  if (!schema.ok() || run.state_folder.empty()) return;
  for (const auto& path : SchemaFiles(run.state_folder, run.spec, dataset)) {
    const auto known = ReadSchema(path);
    const auto columns = Remembered(known ? known->columns : std::vector<ExpectedColumn>(),
                                    ExpectedColumns(**schema));
    const auto same = [](const ExpectedColumn& a, const ExpectedColumn& b) {
      return a.name == b.name && a.type == b.type;
    };
    if (known && std::equal(columns.begin(), columns.end(), known->columns.begin(),
                            known->columns.end(), same)) {
      continue;
    }
    KeepSchema(run, dataset, columns, path);
  }
}

}  // namespace bulkhaul
