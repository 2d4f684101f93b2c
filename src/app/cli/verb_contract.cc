// contract init, check, diff.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <arrow/io/file.h>
#include <arrow/memory_pool.h>
#include <arrow/table.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <nlohmann/json.hpp>

#include "app/cli/scan_sink.h"
#include "app/cli/stop_signals.h"
#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "app/registry.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/units.h"
#include "commit/job_index.h"
#include "plan/contract.h"
#include "plan/drift.h"
#include "plan/type_name.h"
#include "run/contract_plan.h"
#include "run/runner.h"
#include "store/folders.h"
#include "transform/transform.h"

namespace bulkhaul {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kRejectsShownMax = 20;
constexpr int64_t kRejectsMax = 100'000;  // the most that the option takes

// A folder for what the scan leaves, gone with it.
class ScratchFolder {
 public:
  static Result<std::unique_ptr<ScratchFolder>> Make() {
    std::error_code error;
    const auto root = std::filesystem::temp_directory_path(error);
    std::unique_ptr<ScratchFolder> folder(
        new ScratchFolder((root / ("bulkhaul-contract-" + NewId())).string()));
    ARROW_RETURN_NOT_OK(MakeFolders(folder->path()));
    return folder;
  }
  ~ScratchFolder() { (void)RemoveTree(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

// Reads everything once, as a job would, and keeps nothing.
Result<JobReport> Scan(JobSpec spec, const std::string& state_folder, ScanSink& sink) {
  spec.destination_uri = "scan://";
  ARROW_RETURN_NOT_OK(CheckJob(spec));
  ARROW_ASSIGN_OR_RAISE(auto job, NewJobId(spec));
  StopSignals signals([] {});
  ARROW_ASSIGN_OR_RAISE(auto source, MakeSource(spec, job));
  RunOptions run;
  run.job_id = std::move(job);
  run.state_folder = state_folder;
  run.stop = signals.token();
  run.announce_rejects = false;
  Runner runner(std::move(spec), *source, sink, std::move(run));
  return runner.Run();
}

Status ErrorOf(const JobReport& report) {
  const auto kind = ErrorKindFromName(report.error_kind);
  return MakeError(kind.ok() ? *kind : ErrorKind::kPermanent, report.error, report.error_code);
}

Contract ContractOf(const TableProfile& table, bool whole) {
  Contract contract;
  for (int i = 0; i < table.schema->num_fields(); ++i) {
    const auto& field = *table.schema->field(i);
    ContractColumn column;
    column.name = field.name();
    column.type = TypeName(*field.type());
    column.nullable = field.nullable();
    if (static_cast<size_t>(i) < table.columns.size()) {
      const auto& seen = table.columns[static_cast<size_t>(i)];
      if (whole && table.rows > 0 && seen.nulls == 0) column.nullable = false;
      if (seen.min != nullptr && seen.max != nullptr) {
        column.note =
            fmt::format("seen: min: {}, max: {}", seen.min->ToString(), seen.max->ToString());
      } else if (seen.length_max >= 0) {
        column.note = fmt::format("seen: max_length: {} bytes", seen.length_max);
      }
      if (seen.nulls > 0) {
        column.note += fmt::format("{}{} NULL", column.note.empty() ? "seen: " : ", ",
                                   FormatCount(seen.nulls));
      }
    }
    contract.columns.push_back(std::move(column));
  }
  return contract;
}

Result<int> Init(const ContractRequest& request) {
  ARROW_ASSIGN_OR_RAISE(const auto scratch, ScratchFolder::Make());
  ScanSink sink(/*profile=*/true);
  ARROW_ASSIGN_OR_RAISE(const auto report, Scan(request.job, scratch->path(), sink));
  if (report.state != JobState::kDone) return ErrorOf(report);
  const bool whole = request.job.options.GetInt("limit") == 0;
  ContractFile file;
  for (const auto& [id, table] : sink.tables()) {
    const std::string name = sink.tables().size() == 1 ? "" : ExactPattern(id);
    file.tables.emplace_back(name, ContractOf(table, whole));
  }
  fmt::print("# Made by 'bulkhaul contract init' from {}: {} rows.\n",
             Redact(request.job.source_uri), FormatCount(report.rows));
  fmt::print(
      "# nullable: false stands where {}.\n# What was seen of values is a comment: make it a rule "
      "where it is one.\n",
      whole ? "no row had a NULL" : "the source says so, because not all rows were read");
  fmt::print("{}", file.ToYaml());
  return kExitDone;
}

constexpr const char* kRejectColumns[] = {"file", "line", "row", "column", "rule", "value"};

struct Rejects {
  int64_t rows = 0;
  std::vector<std::vector<std::string>> first;  // cells by kRejectColumns; "" for NULL
};

Result<Rejects> ReadRejects(const std::string& path) {
  Rejects rejects;
  if (path.empty()) return rejects;
  ARROW_ASSIGN_OR_RAISE(const auto file, arrow::io::ReadableFile::Open(path));
  ARROW_ASSIGN_OR_RAISE(auto reader, parquet::arrow::OpenFile(file, arrow::default_memory_pool()));
  ARROW_ASSIGN_OR_RAISE(const auto table, reader->ReadTable());
  rejects.rows = table->num_rows();
  for (int64_t row = 0; row < std::min(rejects.rows, kRejectsShownMax); ++row) {
    std::vector<std::string> cells;
    for (size_t column = 0; column < std::size(kRejectColumns); ++column) {
      ARROW_ASSIGN_OR_RAISE(const auto value,
                            table->column(static_cast<int>(column))->GetScalar(row));
      cells.push_back(value->is_valid ? value->ToString() : "");
    }
    rejects.first.push_back(std::move(cells));
  }
  return rejects;
}

// The first rejected rows, a line each.
std::string RejectsText(const Rejects& rejects) {
  if (rejects.rows == 0) return {};
  std::string text = AlignedTable(
      {{"file"}, {"line", true}, {"row", true}, {"column"}, {"rule"}, {"value"}}, rejects.first);
  const auto more = rejects.rows - static_cast<int64_t>(rejects.first.size());
  if (more > 0) {
    text += fmt::format("… and {} more; a load with reject: quarantine keeps them all in a file\n",
                        FormatCount(more));
  }
  return text;
}

ordered_json RejectsJson(const Rejects& rejects) {
  ordered_json rows = ordered_json::array();
  for (const auto& cells : rejects.first) {
    ordered_json row;
    for (size_t column = 0; column < cells.size(); ++column) {
      row[kRejectColumns[column]] = cells[column];
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<int> Check(const ContractRequest& request) {
  if (request.files.empty()) {
    return UsageError("contract check needs a source and a contract: contract check SOURCE FILE");
  }
  ARROW_ASSIGN_OR_RAISE(const auto scratch, ScratchFolder::Make());
  JobSpec job = request.job;
  ARROW_RETURN_NOT_OK(job.options.Set("contract", request.files[0]));
  // So that every breach is found, not only the first.
  ARROW_RETURN_NOT_OK(job.options.Set("reject", std::string("quarantine")));
  ARROW_RETURN_NOT_OK(job.options.Set("max_rejects", kRejectsMax));
  ARROW_RETURN_NOT_OK(job.options.Set("quarantine", scratch->path() + "/rejected"));
  ScanSink sink(/*profile=*/false);
  ARROW_ASSIGN_OR_RAISE(const auto report, Scan(std::move(job), scratch->path(), sink));
  int64_t rejected = 0;
  for (const auto& table : report.tables) rejected += table.rows_rejected;
  const bool kept = report.state == JobState::kDone && rejected == 0;
  if (OutputFormOf(request.job.options) == OutputForm::kJson) {
    ordered_json tables = ordered_json::array();
    for (const auto& table : report.tables) {
      ARROW_ASSIGN_OR_RAISE(const auto rejects, ReadRejects(table.rejected_to));
      tables.push_back({{"table", table.dataset.ToString()},
                        {"rows", table.rows},
                        {"rows_rejected", table.rows_rejected},
                        {"error", table.error},
                        {"first_rejected", RejectsJson(rejects)},
                        {"notes", table.explanations}});
    }
    const ordered_json value = {{"kept", kept},
                                {"error", report.error},
                                {"warnings", report.warnings},
                                {"tables", std::move(tables)}};
    fmt::print("{}\n", value.dump(2, ' ', false, ordered_json::error_handler_t::replace));
    return kept ? kExitDone : kExitFailed;
  }
  for (const auto& table : report.tables) {
    const bool over = table.error.empty();
    // What stopped at once has nothing to tell.
    if (!over && table.rows_read == 0) continue;
    fmt::print("{}: {} rows keep {}, {} break {}\n", table.dataset.ToString(),
               FormatCount(over ? table.rows : table.rows_read - table.rows_rejected),
               over ? "the contract" : "the rules of rows", FormatCount(table.rows_rejected),
               over ? "it" : "them");
    if (!over && report.tables.size() > 1) fmt::print("  {}\n", table.error);
    for (const auto& line : table.explanations) fmt::print("  {}\n", line);
    ARROW_ASSIGN_OR_RAISE(const auto rejects, ReadRejects(table.rejected_to));
    fmt::print("{}", RejectsText(rejects));
  }
  if (report.state != JobState::kDone) return ErrorOf(report);
  return kept ? kExitDone : kExitFailed;
}

// Tables with their columns, of a contract or as the source has them.
using Shapes = std::map<std::string, std::vector<ExpectedColumn>>;

Result<Shapes> ShapesOf(const ContractFile& file) {
  Shapes shapes;
  for (const auto& [name, contract] : file.tables) shapes[name] = ExpectedColumns(contract);
  return shapes;
}

Result<int> ShowDrift(const std::vector<std::pair<std::string, std::vector<DriftChange>>>& tables,
                      OutputForm form) {
  bool drifted = false;
  ordered_json list = ordered_json::array();
  for (const auto& [table, changes] : tables) {
    drifted = drifted || !changes.empty();
    ordered_json entries = ordered_json::array();
    for (const auto& change : changes) {
      entries.push_back({{"kind", DriftKindName(change.kind)},
                         {"column", change.column},
                         {"before", change.before},
                         {"after", change.after},
                         {"widens", change.widens}});
      if (form == OutputForm::kText) {
        fmt::print("{}{}\n", table.empty() ? "" : table + ": ", change.ToString());
      }
    }
    list.push_back({{"table", table}, {"changes", std::move(entries)}});
  }
  if (form == OutputForm::kJson) {
    fmt::print("{}\n", list.dump(2, ' ', false, ordered_json::error_handler_t::replace));
  } else if (!drifted) {
    fmt::print("no drift\n");
  }
  return drifted ? kExitDrift : kExitDone;
}

// Two contracts.
Result<int> DiffContracts(const std::string& before_path, const std::string& now_path,
                          OutputForm form) {
  ARROW_ASSIGN_OR_RAISE(const auto before_file, LoadContract(before_path));
  ARROW_ASSIGN_OR_RAISE(const auto now_file, LoadContract(now_path));
  ARROW_ASSIGN_OR_RAISE(const auto before, ShapesOf(before_file));
  ARROW_ASSIGN_OR_RAISE(const auto now, ShapesOf(now_file));
  std::vector<std::pair<std::string, std::vector<DriftChange>>> tables;
  for (const auto& [name, columns] : before) {
    const auto same = now.find(name);
    if (same == now.end()) {
      return UserError(
          fmt::format("'{}' has a contract for '{}', '{}' has none", before_path, name, now_path));
    }
    tables.emplace_back(name, FindDrift(columns, same->second));
  }
  return ShowDrift(tables, form);
}

// A source against a contract, or against its last run.
Result<int> DiffSource(ContractRequest request) {
  std::optional<ContractFile> file;
  if (!request.files.empty()) {
    ARROW_ASSIGN_OR_RAISE(file, LoadContract(request.files[0]));
    // It decides the types of sources that find theirs from values.
    ARROW_RETURN_NOT_OK(request.job.options.Set("contract", request.files[0]));
  }
  ARROW_ASSIGN_OR_RAISE(const auto state_folder, StateFolder());
  ARROW_ASSIGN_OR_RAISE(auto source, MakeSource(request.job, "contract"));
  ARROW_ASSIGN_OR_RAISE(const auto datasets, source->Discover(Selector::FromJob(request.job)));
  std::vector<std::pair<std::string, std::vector<DriftChange>>> tables;
  for (const auto& dataset : datasets) {
    const std::string name = dataset.id.ToString();
    ARROW_ASSIGN_OR_RAISE(const auto schema, SchemaForContract(dataset));
    std::vector<ExpectedColumn> before;
    if (file) {
      const Contract* contract = file->For(dataset.id);
      if (contract == nullptr) {
        return UserError(
            fmt::format("the contract '{}' says nothing of {}", request.files[0], name));
      }
      before = ExpectedColumns(*contract);
    } else {
      const auto seen = LastSchema(state_folder, request.job, dataset);
      if (!seen) {
        return UserError(
            fmt::format("no run of {} with these options is known here: name a "
                        "contract to compare with",
                        name));
      }
      before = seen->columns;
    }
    tables.emplace_back(name, FindDrift(before, ExpectedColumns(*schema)));
  }
  return ShowDrift(tables, OutputFormOf(request.job.options));
}

bool IsContractFile(const std::string& word) {
  return word.ends_with(".yaml") || word.ends_with(".yml");
}

}  // namespace

Result<int> RunContract(ContractRequest request) {
  ARROW_RETURN_NOT_OK(StartLog(request.job.options, /*to_stderr=*/true));
  if (request.files.size() > 1) return UsageError("contract takes a source and one contract");
  if (request.action == "init") return Init(request);
  if (request.action == "check") return Check(request);
  if (IsContractFile(request.job.source_uri)) {
    if (request.files.empty()) return UsageError("contract diff needs two contracts, or a source");
    return DiffContracts(request.job.source_uri, request.files[0],
                         OutputFormOf(request.job.options));
  }
  return DiffSource(std::move(request));
}

}  // namespace bulkhaul
