// The ledger's state changes: attempts, units, datasets.
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/crash_point.h"
#include "base/secret.h"
#include "base/units.h"
#include "commit/ledger.h"

namespace bulkhaul {
namespace {

constexpr char kMarkStaged[] =
    "UPDATE datasets SET state=2 WHERE idx=?1 AND state<2 AND NOT EXISTS (SELECT 1 FROM units "
    "WHERE "
    "dataset=?1 AND attempt IS NULL)";

std::string Now() { return FormatUtc(std::chrono::system_clock::now()); }

int64_t Number(UnitStage stage) { return static_cast<int64_t>(stage); }

std::string PathsJson(const StagedResult& result) {
  auto paths = nlohmann::json::array();
  for (const auto& part : result.parts) paths.push_back(part.path);
  return paths.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Status Ledger::BeginAttempt(const AttemptRecord& attempt) {
  const std::string now = Now();
  ARROW_RETURN_NOT_OK(Change(
      [&](Database& database) -> Status {
        ARROW_RETURN_NOT_OK(
            database
                .Change("UPDATE datasets SET started_at=? WHERE idx=? AND started_at=''",
                        {now, attempt.dataset_index})
                .status());
        return database
            .Change(
                "INSERT INTO attempts VALUES (?,?,?,?,?,?,'running',?,'','[]',0,0,0,0,'','',NULL)",
                {attempt.id, attempt.dataset_index, Number(attempt.stage), attempt.ordinal,
                 attempt.epoch, attempt.worker, now})
            .status();
      },
      /*durable=*/false));
  CrashPoint("ledger.attempt_begun");
  return Status::OK();
}

Result<bool> Ledger::FinishAttempt(const AttemptRecord& attempt, const StagedResult& result,
                                   bool then_staged) {
  CrashPoint("ledger.before_unit_done");
  const std::string json = result.ToJson();
  const std::string paths = PathsJson(result);
  bool won = false;
  ARROW_RETURN_NOT_OK(Change([&](Database& database) -> Status {
    ARROW_ASSIGN_OR_RAISE(
        const int64_t changed,
        database.Change("UPDATE units SET attempt=? WHERE dataset=? AND stage=? AND ordinal=? AND "
                        "epoch=? AND attempt IS NULL",
                        {attempt.id, attempt.dataset_index, Number(attempt.stage), attempt.ordinal,
                         attempt.epoch}));
    won = changed == 1;
    if (won && then_staged) {
      ARROW_RETURN_NOT_OK(database.Change(kMarkStaged, {attempt.dataset_index}).status());
    }
    return database
        .Change(
            "UPDATE attempts SET state=?, finished_at=?, paths=?, rows=?, bytes=?, "
            "source_bytes=?, elapsed_ms=?, result=? WHERE id=?",
            {won ? "done" : "superseded", Now(), paths, result.rows_written, result.stored_bytes,
             result.source_bytes, result.elapsed_ms, json, attempt.id})
        .status();
  }));
  if (won) CrashPoint("ledger.unit_done");
  return won;
}

Status Ledger::FailAttempt(const AttemptRecord& attempt, const Status& error) {
  return Change(
      [&](Database& database) -> Status {
        ARROW_RETURN_NOT_OK(
            database
                .Change("UPDATE attempts SET state='failed', finished_at=?, error=?, error_kind=? "
                        "WHERE id=?",
                        {Now(), Redact(MessageOf(error)), ErrorKindName(KindOf(error)), attempt.id})
                .status());
        return database
            .Change(
                "UPDATE units SET failures=failures+1 WHERE dataset=? AND stage=? AND ordinal=? "
                "AND epoch=?",
                {attempt.dataset_index, Number(attempt.stage), attempt.ordinal, attempt.epoch})
            .status();
      },
      /*durable=*/false);
}

Result<std::vector<StagedResult>> Ledger::Staged(int64_t dataset_index, UnitStage stage,
                                                 int64_t first, int64_t last) {
  ARROW_ASSIGN_OR_RAISE(auto rows,
                        Query("SELECT attempts.result FROM units JOIN attempts ON attempts.id = "
                              "units.attempt WHERE units.dataset=? AND units.stage=? AND "
                              "units.ordinal BETWEEN ? AND ? ORDER BY units.ordinal",
                              {dataset_index, Number(stage), first, last}));
  std::vector<StagedResult> results;
  results.reserve(rows.size());
  for (const auto& row : rows) {
    ARROW_ASSIGN_OR_RAISE(auto result, StagedResult::FromJson(row[0].text));
    results.push_back(std::move(result));
  }
  return results;
}

Status Ledger::ForgetResult(int64_t dataset_index, UnitStage stage, int64_t ordinal) {
  return Change([&](Database& database) -> Status {
    ARROW_RETURN_NOT_OK(
        database
            .Change("UPDATE units SET attempt=NULL WHERE dataset=? AND stage=? AND ordinal=?",
                    {dataset_index, Number(stage), ordinal})
            .status());
    // What the dataset had reached rested on this unit.
    return database
        .Change("UPDATE datasets SET state=min(state, ?) WHERE idx=? AND state<=2",
                {stage == UnitStage::kRead ? 0 : 1, dataset_index})
        .status();
  });
}

Result<std::vector<AttemptId>> Ledger::LooseAttempts(int64_t dataset_index) {
  ARROW_ASSIGN_OR_RAISE(
      auto rows, Query("SELECT id FROM attempts WHERE dataset=?1 AND state<>'discarded' AND id NOT "
                       "IN (SELECT attempt FROM units WHERE dataset=?1 AND attempt IS NOT NULL)",
                       {dataset_index}));
  std::vector<AttemptId> attempts;
  for (auto& row : rows) attempts.push_back(std::move(row[0].text));
  return attempts;
}

Status Ledger::ForgetAttempts(std::span<const AttemptId> attempts) {
  if (attempts.empty()) return Status::OK();
  return Change([&](Database& database) -> Status {
    for (const auto& id : attempts) {
      ARROW_RETURN_NOT_OK(
          database.Change("UPDATE attempts SET state='discarded', result=NULL WHERE id=?", {id})
              .status());
    }
    return Status::OK();
  });
}

Result<bool> Ledger::BeginAssembly(int64_t dataset_index, const std::string& decision,
                                   std::span<const WorkUnit> units) {
  bool advanced = false;
  ARROW_RETURN_NOT_OK(Change([&](Database& database) -> Status {
    ARROW_ASSIGN_OR_RAISE(
        const int64_t changed,
        database.Change("UPDATE datasets SET state=1, decision=?1 WHERE idx=?2 AND state=0 AND NOT "
                        "EXISTS (SELECT 1 FROM units WHERE dataset=?2 AND stage=0 AND attempt IS "
                        "NULL)",
                        {decision, dataset_index}));
    advanced = changed == 1;
    if (!advanced) return Status::OK();
    ARROW_RETURN_NOT_OK(
        database.Change("DELETE FROM units WHERE dataset=? AND stage=1", {dataset_index}).status());
    for (const auto& unit : units) {
      ARROW_RETURN_NOT_OK(
          database
              .Change("INSERT INTO units (dataset, stage, ordinal, epoch, unit) SELECT idx, 1, ?, "
                      "epoch, ? FROM datasets WHERE idx=?",
                      {unit.ordinal, unit.ToJson(), dataset_index})
              .status());
    }
    return Status::OK();
  }));
  if (advanced) CrashPoint("ledger.dataset_read");
  return advanced;
}

Result<bool> Ledger::MarkStaged(int64_t dataset_index) {
  bool advanced = false;
  ARROW_RETURN_NOT_OK(Change([&](Database& database) -> Status {
    ARROW_ASSIGN_OR_RAISE(const int64_t changed, database.Change(kMarkStaged, {dataset_index}));
    advanced = changed == 1;
    return Status::OK();
  }));
  if (advanced) CrashPoint("ledger.dataset_staged");
  return advanced;
}

Status Ledger::FailDataset(int64_t dataset_index, const Status& error) {
  return Change([&](Database& database) {
    return database
        .Change(
            "UPDATE datasets SET failed_from=CASE WHEN state=5 THEN failed_from ELSE state END, "
            "state=5, error=?, error_kind=? WHERE idx=? AND state<>4",
            {Redact(MessageOf(error)), ErrorKindName(KindOf(error)), dataset_index})
        .status();
  });
}

Status Ledger::Reopen(int64_t dataset_index) {
  return Change([&](Database& database) {
    return database
        .Change(
            "UPDATE datasets SET error='', error_kind='', state=failed_from WHERE idx=? AND "
            "state=5",
            {dataset_index})
        .status();
  });
}

Result<std::string> Ledger::StartedAt(int64_t dataset_index) {
  ARROW_ASSIGN_OR_RAISE(auto rows,
                        Query("SELECT started_at FROM datasets WHERE idx=?", {dataset_index}));
  return rows.empty() ? std::string() : std::move(rows[0][0].text);
}

Result<std::optional<std::string>> Ledger::Journal(int64_t dataset_index) {
  ARROW_ASSIGN_OR_RAISE(auto rows,
                        Query("SELECT journal FROM datasets WHERE idx=?", {dataset_index}));
  if (rows.empty() || rows[0][0].kind == DatabaseValue::Kind::kNull) return std::nullopt;
  return std::move(rows[0][0].text);
}

Status Ledger::SaveJournal(int64_t dataset_index, const std::string& journal) {
  CrashPoint("ledger.before_journal");
  ARROW_RETURN_NOT_OK(Change([&](Database& database) -> Status {
    ARROW_ASSIGN_OR_RAISE(
        const int64_t changed,
        database.Change("UPDATE datasets SET state=3, journal=? WHERE idx=? AND state IN (2, 3)",
                        {journal, dataset_index}));
    if (changed != 1) {
      return BugError(
          fmt::format("dataset {} is not staged, so it cannot be published", dataset_index));
    }
    return Status::OK();
  }));
  CrashPoint("ledger.journal_saved");
  return Status::OK();
}

Status Ledger::ForgetJournal(int64_t dataset_index) {
  return Change([&](Database& database) {
    return database
        .Change("UPDATE datasets SET state=2, journal=NULL WHERE idx=? AND state=3",
                {dataset_index})
        .status();
  });
}

Status Ledger::Publish(int64_t dataset_index, const CommitReceipt& receipt,
                       const std::string& finished_at) {
  CrashPoint("ledger.before_published");
  ARROW_RETURN_NOT_OK(Change([&](Database& database) -> Status {
    ARROW_ASSIGN_OR_RAISE(
        const int64_t changed,
        database.Change("UPDATE datasets SET state=4, receipt=?, finished_at=?, error='', "
                        "error_kind='' WHERE idx=? AND state IN (2, 3)",
                        {receipt.ToJson(), finished_at, dataset_index}));
    if (changed != 1) {
      return BugError(fmt::format("dataset {} was published twice or never staged", dataset_index));
    }
    return Status::OK();
  }));
  CrashPoint("ledger.published");
  return Status::OK();
}

Result<DatasetTotals> Ledger::Totals(int64_t dataset_index) {
  DatasetTotals totals;
  ARROW_ASSIGN_OR_RAISE(
      auto units, Query("SELECT count(*), count(attempt), coalesce(sum(failures), 0) FROM units "
                        "WHERE dataset=? AND stage=0",
                        {dataset_index}));
  totals.units = units[0][0].number;
  totals.units_done = units[0][1].number;
  totals.failures = units[0][2].number;
  ARROW_ASSIGN_OR_RAISE(
      auto sums,
      Query("SELECT coalesce(sum(attempts.rows), 0), coalesce(sum(attempts.bytes), 0), "
            "coalesce(sum(attempts.source_bytes), 0), coalesce(sum(attempts.elapsed_ms), 0) FROM "
            "units JOIN attempts ON attempts.id = units.attempt WHERE units.dataset=? AND "
            "units.stage=0",
            {dataset_index}));
  totals.rows = sums[0][0].number;
  totals.stored_bytes = sums[0][1].number;
  totals.source_bytes = sums[0][2].number;
  totals.unit_ms = sums[0][3].number;
  ARROW_ASSIGN_OR_RAISE(auto running,
                        Query("SELECT count(DISTINCT ordinal) FROM attempts WHERE dataset=? AND "
                              "state='running'",
                              {dataset_index}));
  totals.units_running = running[0][0].number;
  return totals;
}

}  // namespace bulkhaul
