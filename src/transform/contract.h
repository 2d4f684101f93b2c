// Holds rows against the table's contract (plan/contract.h): what single values must be while they
// pass, what the table as a whole must be before it is published. Puts aside what breaks it, and
// what the source could not read or a cast not take.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plan/contract.h"
#include "transform/cast.h"
#include "transform/contract_rules.h"
#include "transform/rejected_rows.h"
#include "transform/transform.h"
#include "transform/unique_values.h"

namespace bulkhaul {

class ContractTransform : public Transform {
 public:
  // From the dataset's contract, if it has one, and options. kUser on a contract that is none, or a
  // sample that is no fraction.
  // `misfits`: those of the cast that goes before it, of the batch that Apply gets next; nullptr:
  // none.
  static Result<std::unique_ptr<ContractTransform>> Make(
      const Dataset& dataset, std::shared_ptr<const CastMisfits> misfits = nullptr);

  std::string name() const override { return kName; }
  bool holds_rows() const override;
  int64_t HeldBytes(int64_t rows) const override;
  void Use(const TransformResources& resources) override { resources_ = resources; }
  void Locate(const RowLocator& locator) override { locator_ = locator; }
  // Columns that the contract has and the schema has not are drift, which the planner judges; their
  // rules do nothing here. A column that no row with NULL passes comes out as not nullable.
  Result<std::shared_ptr<arrow::Schema>> Bind(
      const std::shared_ptr<arrow::Schema>& schema) override;
  Result<bool> Refused(std::span<const RefusedRow> rows, arrow::MemoryPool* pool) override;
  Result<std::shared_ptr<arrow::RecordBatch>> Apply(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) override;
  int64_t rows_rejected() const override { return rejected_count_; }
  int64_t RowBefore(int64_t row) const override;
  Result<std::string> FinishUnit() override;
  // Row counts, unique columns, freshness, and max_rejects over all units.
  Status Conclude(std::span<const StagedResult> units) override;

  static constexpr char kName[] = "contract";
  struct UnitState;

 private:
  ContractTransform(Contract contract, std::shared_ptr<const CastMisfits> misfits)
      : contract_(std::move(contract)), misfits_(std::move(misfits)) {}
  Status BindTableRules(const arrow::Schema& schema);
  // All rows of the batch, or of its blocks those that the sample holds.
  Status Mark(const arrow::RecordBatch& batch, arrow::MemoryPool* pool);
  void MarkMisfits(const arrow::Schema& schema);
  void NoteYoungest(const arrow::Array& column);
  Status NoteKeys(const arrow::RecordBatch& batch);
  Reject Describe(const arrow::RecordBatch& batch, int64_t row) const;
  Status Refusal(const Reject& reject) const;
  Result<std::shared_ptr<arrow::RecordBatch>> PutAside(
      const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool);
  Status CheckCount(int64_t rows) const;
  Status CheckBytes() const;
  Status CheckUnique(std::span<const StagedResult> units, std::span<const UnitState> states) const;
  Status CheckRowCount(int64_t rows) const;
  Status CheckFreshness(std::optional<int64_t> youngest) const;

  const Contract contract_;
  const std::shared_ptr<const CastMisfits> misfits_;
  bool has_contract_ = false;
  bool quarantine_ = false;
  int64_t max_rejects_ = 0;
  double sample_ = 1;
  TransformResources resources_;
  RowLocator locator_;

  std::shared_ptr<arrow::Schema> in_schema_, out_schema_;
  std::vector<ColumnRules> rules_;
  std::vector<RuleName> rule_names_;
  std::vector<int> unique_columns_;
  int freshness_column_ = -1;

  RowMarks marks_;
  std::map<int64_t, std::string> misfit_values_;  // by row of the batch
  int64_t rows_seen_ = 0, rows_checked_ = 0, rejected_count_ = 0;
  std::vector<int64_t> put_aside_;           // of the unit's rows, from 0, ascending
  std::map<std::string, int64_t> breaches_;  // rows by rule
  // Of rejected_count_, what the source made no rows of, so that it is not in rows_seen_.
  int64_t unread_count_ = 0;
  std::map<std::string, int64_t> unread_;  // these and what a cast refused, by rule
  std::optional<int64_t> youngest_;        // as the column holds it
  std::unique_ptr<RejectedRows> rejected_;
  std::vector<std::pair<int64_t, std::string>> files_;  // first row of each in the unit
  std::vector<std::unique_ptr<UniqueKeys>> keys_;       // one a unique column
};

}  // namespace bulkhaul
