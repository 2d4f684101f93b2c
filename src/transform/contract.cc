#include "transform/contract.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <arrow/array/array_base.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/scalar.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "plan/type_name.h"
#include "transform/exact_cast.h"
#include "transform/take_rows.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

constexpr int64_t kSampleBlockRows = 1024;
constexpr int64_t kKeyBytes = 24;
constexpr char kCastRule[] = "cast";
constexpr char kRowsCode[] = "contract_rows";  // the code of errors about rows

std::string RowsRejected(int64_t count) {
  return fmt::format("{} {} rejected", FormatCount(count), count == 1 ? "row" : "rows");
}

// Whole blocks, spread evenly, the first one always: the same rows for the same units.
bool InSample(int64_t block, double fraction) {
  const auto before = static_cast<int64_t>(static_cast<double>(block) * fraction);
  const auto after = static_cast<int64_t>(static_cast<double>(block + 1) * fraction);
  return block == 0 || after > before;
}

int64_t InMilliseconds(int64_t value, const arrow::DataType& type) {
  if (type.id() == arrow::Type::DATE32) return value * 86'400'000;
  switch (static_cast<const arrow::TimestampType&>(type).unit()) {
    case arrow::TimeUnit::SECOND:
      return value * 1000;
    case arrow::TimeUnit::MILLI:
      return value;
    case arrow::TimeUnit::MICRO:
      return value / 1000;
    case arrow::TimeUnit::NANO:
      return value / 1'000'000;
  }
  return value;
}

template <typename T>
void Youngest(const arrow::Array& column, std::optional<int64_t>* youngest) {
  const T* values = column.data()->GetValues<T>(1);
  for (int64_t i = 0; i < column.length(); ++i) {
    if (column.IsNull(i) || (*youngest && values[i] <= **youngest)) continue;
    *youngest = values[i];
  }
}

}  // namespace

// What a unit of the read stage leaves, as JSON.
struct ContractTransform::UnitState {
  int64_t rows = 0, checked = 0, rejected = 0;  // rows: with those that could not be read
  std::string rejects;                          // serialized
  std::map<std::string, int64_t> breaches, unread;
  std::optional<int64_t> youngest;
  std::vector<KeyRuns> keys;
  // Where the rows of each file begin among the unit's; kept for unique columns.
  std::vector<std::pair<int64_t, std::string>> files;

  std::string ToJson() const {
    json value = {{"rows", rows}, {"checked", checked}, {"rejected", rejected}};
    if (!rejects.empty()) value["rejects"] = rejects;
    if (!breaches.empty()) value["breaches"] = breaches;
    if (!unread.empty()) value["unread"] = unread;
    if (youngest) value["youngest"] = *youngest;
    if (!files.empty()) value["files"] = files;
    for (const auto& runs : keys) {
      value["keys"].push_back({{"path", runs.path}, {"lengths", runs.lengths}});
    }
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  static Result<UnitState> Of(const StagedResult& unit) {
    UnitState state;
    const auto text = unit.transform_states.find(kName);
    // A unit that a limit left unread.
    if (text == unit.transform_states.end()) return state;
    const auto value = json::parse(text->second, nullptr, false);
    if (!value.is_object()) return BugError("the contract's state of a unit is not JSON");
    state.rows = value.value("rows", int64_t{0});
    state.checked = value.value("checked", int64_t{0});
    state.rejected = value.value("rejected", int64_t{0});
    state.rejects = value.value("rejects", "");
    state.breaches = value.value("breaches", state.breaches);
    state.unread = value.value("unread", state.unread);
    if (value.contains("youngest")) state.youngest = value["youngest"].get<int64_t>();
    state.files = value.value("files", state.files);
    for (const auto& runs : value.value("keys", json::array())) {
      state.keys.push_back({runs.value("path", ""), runs.value("lengths", std::vector<int64_t>())});
    }
    return state;
  }
};

Result<std::unique_ptr<ContractTransform>> ContractTransform::Make(
    const Dataset& dataset, std::shared_ptr<const CastMisfits> misfits) {
  const Options& options = dataset.options;
  Contract contract;
  if (!dataset.contract.empty()) {
    ARROW_ASSIGN_OR_RAISE(auto file,
                          ParseContract(dataset.contract, "contract of " + dataset.id.ToString()));
    contract = std::move(file.tables.front().second);
  }
  std::unique_ptr<ContractTransform> transform(
      new ContractTransform(std::move(contract), std::move(misfits)));
  transform->has_contract_ = !dataset.contract.empty();
  transform->quarantine_ = options.GetString("reject") == "quarantine";
  transform->max_rejects_ = options.GetInt("max_rejects");
  transform->sample_ = options.GetDouble("sample");
  if (!(transform->sample_ > 0 && transform->sample_ <= 1)) {
    return UserError("sample is a fraction of the rows: above 0, at most 1");
  }
  return transform;
}

bool ContractTransform::holds_rows() const {
  return std::any_of(contract_.columns.begin(), contract_.columns.end(),
                     [](const ContractColumn& column) { return column.unique; });
}

int64_t ContractTransform::HeldBytes(int64_t rows) const {
  return std::max<int64_t>(rows, 0) * kKeyBytes * static_cast<int64_t>(unique_columns_.size());
}

Result<std::shared_ptr<arrow::Schema>> ContractTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  in_schema_ = schema;
  rules_.clear();
  rule_names_.clear();
  auto fields = schema->fields();
  for (const auto& column : contract_.columns) {
    const int index = schema->GetFieldIndex(column.name);
    if (index < 0) continue;
    auto& field = fields[static_cast<size_t>(index)];
    ARROW_ASSIGN_OR_RAISE(auto rules,
                          ColumnRules::Make(column, index, field->type(), &rule_names_));
    if (!rules.empty()) rules_.push_back(std::move(rules));
    if (!column.nullable && sample_ == 1) field = field->WithNullable(false);
  }
  out_schema_ = arrow::schema(std::move(fields), schema->metadata());
  rejected_ = std::make_unique<RejectedRows>(schema);
  ARROW_RETURN_NOT_OK(BindTableRules(*schema));
  return out_schema_;
}

Status ContractTransform::BindTableRules(const arrow::Schema& schema) {
  unique_columns_.clear();
  freshness_column_ = -1;
  for (const auto& column : contract_.columns) {
    const int index = schema.GetFieldIndex(column.name);
    if (!column.unique || index < 0) continue;
    ARROW_RETURN_NOT_OK(UniqueKeys::CheckType(schema.field(index)->type(), column.name));
    unique_columns_.push_back(index);
  }
  if (contract_.freshness_ms < 0) return Status::OK();
  freshness_column_ = schema.GetFieldIndex(contract_.freshness_column);
  if (freshness_column_ < 0) {
    return UserError(
        fmt::format("contract: there is no column '{}' for freshness", contract_.freshness_column),
        "contract");
  }
  const auto type = schema.field(freshness_column_)->type()->id();
  if (type == arrow::Type::TIMESTAMP || type == arrow::Type::DATE32) return Status::OK();
  return UserError(
      fmt::format("contract: column '{}' is {}, freshness needs a timestamp or a date",
                  contract_.freshness_column, schema.field(freshness_column_)->type()->ToString()),
      "contract");
}

// Before the rules, which would find the NULL there and not the value.
void ContractTransform::MarkMisfits(const arrow::Schema& schema) {
  misfit_values_.clear();
  if (!misfits_) return;
  for (const auto& misfit : *misfits_) {
    if (marks_.RuleOf(misfit.row) >= 0) continue;
    const auto rule =
        std::find_if(rule_names_.begin(), rule_names_.end(), [&](const RuleName& name) {
          return name.column == misfit.column && name.name == kCastRule;
        });
    marks_.Mark(misfit.row, static_cast<int>(rule - rule_names_.begin()));
    if (rule == rule_names_.end()) {
      const auto& type = *schema.field(misfit.column)->type();
      rule_names_.push_back({misfit.column, kCastRule, "type: " + TypeName(type)});
    }
    misfit_values_[misfit.row] = misfit.value;
  }
}

Status ContractTransform::Mark(const arrow::RecordBatch& batch, arrow::MemoryPool* pool) {
  marks_.Reset(batch.num_rows());
  MarkMisfits(*batch.schema());
  const auto check = [&](int64_t first, int64_t count) -> Status {
    rows_checked_ += count;
    for (auto& rules : rules_) {
      auto column = batch.column(rules.index());
      if (count < batch.num_rows()) column = column->Slice(first, count);
      ARROW_RETURN_NOT_OK(rules.Check(column, first, pool, &marks_));
    }
    return Status::OK();
  };
  if (sample_ == 1) return check(0, batch.num_rows());
  for (int64_t first = 0; first < batch.num_rows();) {
    const int64_t block = (rows_seen_ + first) / kSampleBlockRows;
    const int64_t count =
        std::min((block + 1) * kSampleBlockRows - (rows_seen_ + first), batch.num_rows() - first);
    if (InSample(block, sample_)) ARROW_RETURN_NOT_OK(check(first, count));
    first += count;
  }
  return Status::OK();
}

void ContractTransform::NoteYoungest(const arrow::Array& column) {
  if (column.type_id() == arrow::Type::DATE32) return Youngest<int32_t>(column, &youngest_);
  Youngest<int64_t>(column, &youngest_);
}

Status ContractTransform::NoteKeys(const arrow::RecordBatch& batch) {
  if (locator_) {
    auto file = locator_(-1).file;
    if (!file.empty() && (files_.empty() || files_.back().second != file)) {
      files_.emplace_back(rows_seen_, std::move(file));
    }
  }
  if (keys_.empty()) {
    const int64_t keys_max = resources_.bytes_max / kKeyBytes /
                             std::max<int64_t>(1, static_cast<int64_t>(unique_columns_.size()));
    for (size_t i = 0; i < unique_columns_.size(); ++i) {
      keys_.push_back(std::make_unique<UniqueKeys>(
          fmt::format("{}/{}.{}.keys", resources_.job_folder, resources_.attempt, i), keys_max));
    }
  }
  for (size_t i = 0; i < unique_columns_.size(); ++i) {
    ARROW_RETURN_NOT_OK(keys_[i]->Add(*batch.column(unique_columns_[i]), marks_, 0, rows_seen_));
  }
  return Status::OK();
}

Reject ContractTransform::Describe(const arrow::RecordBatch& batch, int64_t row) const {
  const RuleName& rule = rule_names_[static_cast<size_t>(marks_.RuleOf(row))];
  Reject reject;
  if (locator_) reject.place = locator_(row);
  reject.unit_row = rows_seen_ + row + 1;
  reject.column = batch.schema()->field(rule.column)->name();
  reject.rule = rule.text;
  const auto misfit = misfit_values_.find(row);
  reject.value =
      misfit == misfit_values_.end() ? ValueShown(*batch.column(rule.column), row) : misfit->second;
  return reject;
}

Status ContractTransform::Refusal(const Reject& reject) const {
  return UserError(
      fmt::format("contract: {}: column '{}' holds {}, which breaks the rule {}. Mend "
                  "the data or the contract, or set reject: quarantine to put such "
                  "rows aside",
                  reject.place.ToString(reject.unit_row), reject.column, reject.value, reject.rule),
      kRowsCode);
}

Result<bool> ContractTransform::Refused(std::span<const RefusedRow> rows, arrow::MemoryPool* pool) {
  if (!quarantine_) return BugError("rows were set aside without reject: quarantine");
  std::vector<Reject> rejects;
  for (const auto& row : rows) {
    Reject& reject = rejects.emplace_back();
    reject.place = row.place;
    reject.column = row.column;
    reject.rule = row.rule;
    reject.value = row.value;
    reject.text = row.text;
    ++unread_[row.column.empty() ? row.rule : fmt::format("{}, {}", row.column, row.rule)];
    ++unread_count_;
    ++rejected_count_;
    ARROW_RETURN_NOT_OK(CheckCount(rejected_count_));
  }
  ARROW_RETURN_NOT_OK(rejected_->AddUnread(rejects, pool));
  ARROW_RETURN_NOT_OK(CheckBytes());
  return true;
}

Result<std::shared_ptr<arrow::RecordBatch>> ContractTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) {
  const bool misfits = misfits_ && !misfits_->empty();
  if (!misfits && rules_.empty() && unique_columns_.empty() && freshness_column_ < 0 &&
      sample_ == 1) {
    rows_seen_ += batch->num_rows();
    rows_checked_ += batch->num_rows();
    return arrow::RecordBatch::Make(out_schema_, batch->num_rows(), batch->columns());
  }
  ARROW_RETURN_NOT_OK(Mark(*batch, pool));
  if (!unique_columns_.empty()) ARROW_RETURN_NOT_OK(NoteKeys(*batch));
  auto passed = batch;
  if (marks_.count() > 0) {
    ARROW_ASSIGN_OR_RAISE(passed, PutAside(batch, pool));
  }
  if (freshness_column_ >= 0) NoteYoungest(*passed->column(freshness_column_));
  rows_seen_ += batch->num_rows();
  return arrow::RecordBatch::Make(out_schema_, passed->num_rows(), passed->columns());
}

Result<std::shared_ptr<arrow::RecordBatch>> ContractTransform::PutAside(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) {
  std::vector<Reject> rejects;
  arrow::Int64Builder bad(pool), good(pool);
  for (int64_t row = 0; row < batch->num_rows(); ++row) {
    if (marks_.RuleOf(row) < 0) {
      ARROW_RETURN_NOT_OK(good.Append(row));
      continue;
    }
    auto reject = Describe(*batch, row);
    if (!quarantine_) return Refusal(reject);
    auto& counts = misfit_values_.contains(row) ? unread_ : breaches_;
    ++counts[fmt::format("{}, {}", reject.column, reject.rule)];
    rejects.push_back(std::move(reject));
    ARROW_RETURN_NOT_OK(bad.Append(row));
    put_aside_.push_back(rows_seen_ + row);
    ++rejected_count_;
    ARROW_RETURN_NOT_OK(CheckCount(rejected_count_));
  }
  const auto take = [&](arrow::Int64Builder& rows) -> Result<std::shared_ptr<arrow::RecordBatch>> {
    ARROW_ASSIGN_OR_RAISE(const auto finished, rows.Finish());
    const auto places = std::static_pointer_cast<arrow::Int64Array>(finished);
    arrow::ArrayVector columns;
    for (const auto& column : batch->columns()) {
      ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), TakeRows(column, places, pool));
    }
    return arrow::RecordBatch::Make(batch->schema(), places->length(), std::move(columns));
  };
  ARROW_ASSIGN_OR_RAISE(const auto refused, take(bad));
  ARROW_RETURN_NOT_OK(rejected_->Add(rejects, *refused, pool));
  ARROW_RETURN_NOT_OK(CheckBytes());
  return take(good);
}

Status ContractTransform::CheckBytes() const {
  if (rejected_->bytes() <= kRejectBytesMax) return Status::OK();
  return UserError(fmt::format("{}the rejected rows of one unit take more than {}; mend the data, "
                               "or make smaller units with unit_rows or unit_bytes",
                               has_contract_ ? "contract: " : "", FormatBytes(kRejectBytesMax)),
                   kRowsCode);
}

int64_t ContractTransform::RowBefore(int64_t row) const {
  for (const int64_t aside : put_aside_) {
    if (aside > row) break;
    ++row;
  }
  return row;
}

std::string TooManyRejects(int64_t max_rejects, const std::string& of, bool contract) {
  return fmt::format("{}more than {} rows{} {}", contract ? "contract: " : "",
                     FormatCount(max_rejects), of, contract ? "break rules" : "cannot be read");
}

Status ContractTransform::CheckCount(int64_t rows) const {
  if (rows <= max_rejects_) return Status::OK();
  std::string rules;
  for (const auto* counts : {&unread_, &breaches_}) {
    for (const auto& [rule, count] : *counts) {
      rules += fmt::format("{}{}: {}", rules.empty() ? "" : "; ", rule, FormatCount(count));
    }
  }
  return UserError(
      fmt::format("{} (max_rejects): {}", TooManyRejects(max_rejects_, "", has_contract_), rules),
      kRowsCode);
}

Result<std::string> ContractTransform::FinishUnit() {
  UnitState state;
  state.rows = rows_seen_ + unread_count_;
  state.checked = rows_checked_;
  state.rejected = rejected_count_;
  ARROW_ASSIGN_OR_RAISE(state.rejects, rejected_->Serialize(arrow::default_memory_pool()));
  state.breaches = breaches_;
  state.unread = unread_;
  state.youngest = youngest_;
  state.files = files_;
  for (const auto& keys : keys_) {
    ARROW_ASSIGN_OR_RAISE(auto runs, keys->Finish());
    state.keys.push_back(std::move(runs));
  }
  return state.ToJson();
}

Status ContractTransform::Conclude(std::span<const StagedResult> units) {
  std::vector<UnitState> states;
  UnitState sum;
  for (const auto& unit : units) {
    ARROW_ASSIGN_OR_RAISE(auto state, UnitState::Of(unit));
    if (state.rejected != unit.rows_rejected) {
      return BugError(fmt::format("unit {} counts {} rejected rows, its contract {}", unit.unit_id,
                                  unit.rows_rejected, state.rejected));
    }
    sum.rows += state.rows;
    sum.checked += state.checked;
    sum.rejected += state.rejected;
    for (const auto& [rule, count] : state.breaches) breaches_[rule] += count;
    for (const auto& [rule, count] : state.unread) unread_[rule] += count;
    if (state.youngest && (!sum.youngest || *state.youngest > *sum.youngest)) {
      sum.youngest = state.youngest;
    }
    state.rejects.clear();
    states.push_back(std::move(state));
  }
  ARROW_RETURN_NOT_OK(CheckCount(sum.rejected));
  // Of several rules that are broken all are told.
  std::string broken;
  for (const Status& status : {CheckRowCount(sum.rows - sum.rejected), CheckFreshness(sum.youngest),
                               CheckUnique(units, states)}) {
    if (status.ok()) continue;
    if (CodeOf(status) != kRowsCode) return status;
    if (!broken.empty()) broken += "; ";
    broken += MessageOf(status);
  }
  return broken.empty() ? Status::OK() : UserError("contract: " + broken, kRowsCode);
}

Status ContractTransform::CheckRowCount(int64_t rows) const {
  const bool few = contract_.rows_min > rows;
  if (!few && (contract_.rows_max < 0 || rows <= contract_.rows_max)) return Status::OK();
  return UserError(fmt::format("the table has {} rows; the contract asks for {}{}",
                               FormatCount(rows), few ? "at least " : "at most ",
                               FormatCount(few ? contract_.rows_min : contract_.rows_max)),
                   kRowsCode);
}

Status ContractTransform::CheckFreshness(std::optional<int64_t> youngest) const {
  if (freshness_column_ < 0) return Status::OK();
  const auto refuse = [&](const std::string& what) {
    return UserError(
        fmt::format("{} in column '{}'; the contract asks for one that is younger than {}", what,
                    contract_.freshness_column, FormatDurationMs(contract_.freshness_ms)),
        kRowsCode);
  };
  if (!youngest) return refuse("there is no value");
  const auto then = std::chrono::milliseconds(
      InMilliseconds(*youngest, *in_schema_->field(freshness_column_)->type()));
  const auto now = std::chrono::system_clock::now();
  const auto age =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()) - then;
  if (age.count() <= contract_.freshness_ms) return Status::OK();
  return refuse(fmt::format("the youngest value is {}, {} old",
                            FormatUtc(std::chrono::system_clock::time_point(then)),
                            FormatDurationMs(age.count())));
}

Status ContractTransform::CheckUnique(std::span<const StagedResult> units,
                                      std::span<const UnitState> states) const {
  std::string broken;
  for (size_t column = 0; column < unique_columns_.size(); ++column) {
    std::vector<KeyRuns> runs;
    for (const auto& state : states) {
      runs.push_back(column < state.keys.size() ? state.keys[column] : KeyRuns());
    }
    ARROW_ASSIGN_OR_RAISE(const auto found, FindDuplicate(runs, resources_.bytes_max));
    if (!found) continue;
    const auto& field = *in_schema_->field(unique_columns_[column]);
    const auto place = [&](size_t unit, int64_t row) {
      const auto& ranges = units[unit].ranges;
      std::string where = ranges.empty() ? "" : ranges.front().axis;
      for (const auto& [first, file] : states[unit].files) {
        if (first <= row) where = file;
      }
      return fmt::format("row {} of unit {}{}", row + 1, units[unit].unit_id,
                         where.empty() ? "" : " (" + where + ")");
    };
    const std::string value = ValueOfKey(found->key, field.type());
    broken += fmt::format(
        "{}column '{}' is unique, but {} of its values {} more than once: {}{} and {}",
        broken.empty() ? "" : "; ", field.name(), FormatCount(found->values),
        found->values == 1 ? "comes" : "come", value.empty() ? "the first in " : value + " in ",
        place(found->unit, found->row), place(found->other_unit, found->other_row));
  }
  return broken.empty() ? Status::OK() : UserError(broken, kRowsCode);
}

Result<std::vector<std::string>> DescribeRejects(const Dataset& dataset,
                                                 std::span<const StagedResult> units) {
  ContractTransform::UnitState sum;
  for (const auto& unit : units) {
    ARROW_ASSIGN_OR_RAISE(const auto state, ContractTransform::UnitState::Of(unit));
    sum.rows += state.rows;
    sum.checked += state.checked;
    for (const auto& [rule, count] : state.breaches) sum.breaches[rule] += count;
    for (const auto& [rule, count] : state.unread) sum.unread[rule] += count;
  }
  std::vector<std::string> lines;
  if (const double sample = dataset.options.GetDouble("sample"); sample < 1 && sum.rows > 0) {
    lines.push_back(fmt::format("contract: only {} of {} rows were looked at (sample: {})",
                                FormatCount(sum.checked), FormatCount(sum.rows), sample));
  }
  for (const auto& [rule, count] : sum.unread) {
    lines.push_back(fmt::format("not read: {}: {}", RowsRejected(count), rule));
  }
  for (const auto& [rule, count] : sum.breaches) {
    lines.push_back(fmt::format("contract: {}: {}", RowsRejected(count), rule));
  }
  return lines;
}

Result<int64_t> WriteQuarantine(std::span<const StagedResult> units, const std::string& path) {
  std::vector<std::string> serialized;
  int64_t counted = 0;
  for (const auto& unit : units) {
    counted += unit.rows_rejected;
    const auto state = unit.transform_states.find(ContractTransform::kName);
    if (unit.rows_rejected == 0 || state == unit.transform_states.end()) continue;
    const auto value = json::parse(state->second, nullptr, false);
    if (value.is_object()) serialized.push_back(value.value("rejects", ""));
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t written, WriteRejectedRows(serialized, path));
  if (written == counted) return written;
  return BugError(
      fmt::format("{} rows were rejected, but {} written to '{}'", counted, written, path));
}

}  // namespace bulkhaul
