#include "transform/shrink.h"

#include <arrow/compute/cast.h>
#include <arrow/compute/exec.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "plan/type_name.h"
#include "plan/values.h"
#include "transform/exact_cast.h"

namespace bulkhaul {
namespace {

using Json = nlohmann::json;

double PercentSmaller(int64_t before, int64_t after) {
  if (before <= 0) return 0;
  return 100.0 * static_cast<double>(before - after) / static_cast<double>(before);
}

}  // namespace

Result<std::shared_ptr<arrow::Schema>> ShrinkTransform::Bind(
    const std::shared_ptr<arrow::Schema>& schema) {
  schema_ = schema;
  dictionaries_.clear();
  if (!decided_) {
    statistics_.clear();
    for (const auto& field : schema->fields()) {
      statistics_.emplace_back(field->type(), float_tolerance_);
    }
    return schema;
  }
  if (choices_.size() != static_cast<size_t>(schema->num_fields())) {
    return BugError("shrink: the decision is for another schema");
  }
  auto fields = schema->fields();
  for (size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i]->type()->Equals(*choices_[i].before) ||
        fields[i]->name() != choices_[i].column) {
      return BugError("shrink: the decision is for another column than " + fields[i]->name());
    }
    fields[i] = fields[i]->WithType(choices_[i].after);
  }
  shrunk_schema_ = arrow::schema(std::move(fields), schema->metadata());
  return shrunk_schema_;
}

Result<std::shared_ptr<arrow::RecordBatch>> ShrinkTransform::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) {
  if (!decided_) {
    for (size_t i = 0; i < statistics_.size(); ++i) {
      statistics_[i].Observe(*batch->column(static_cast<int>(i)));
    }
    return batch;
  }
  auto columns = batch->columns();
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto& choice = choices_[i];
    if (choice.after->Equals(*choice.before)) continue;
    if (choice.after->id() == arrow::Type::DICTIONARY) {
      ARROW_ASSIGN_OR_RAISE(columns[i], dictionaries_[i].Encode(*columns[i], choice.after, pool));
    } else if (choice.after->id() == arrow::Type::FLOAT && float_tolerance_ > 0) {
      // CastExactly would refuse the error that the tolerance allows.
      arrow::compute::ExecContext context(pool);
      context.set_use_threads(false);
      ARROW_ASSIGN_OR_RAISE(columns[i],
                            arrow::compute::Cast(*columns[i], choice.after,
                                                 arrow::compute::CastOptions::Safe(), &context));
    } else {
      ARROW_ASSIGN_OR_RAISE(columns[i], CastExactly(columns[i], choice.after, choice.column, pool));
    }
  }
  return arrow::RecordBatch::Make(shrunk_schema_, batch->num_rows(), std::move(columns));
}

Result<std::string> ShrinkTransform::FinishUnit() {
  if (decided_) return std::string();
  Json columns = Json::array();
  for (const auto& column : statistics_) columns.push_back(column.ToJson());
  return columns.dump();
}

Result<std::string> ShrinkTransform::Merge(std::span<const std::string> states) {
  if (schema_ == nullptr) return BugError("shrink: Merge before Bind");
  std::vector<ColumnStatistics> merged;
  for (const auto& field : schema_->fields()) merged.emplace_back(field->type(), float_tolerance_);
  for (const auto& state : states) {
    const Json columns = Json::parse(state, nullptr, /*allow_exceptions=*/false);
    if (!columns.is_array() || columns.size() != merged.size()) {
      return BugError("shrink: a unit's state has other columns than the table");
    }
    for (size_t i = 0; i < merged.size(); ++i) {
      ARROW_RETURN_NOT_OK(merged[i].MergeJson(columns[i].get<std::string>()));
    }
  }
  arrow::FieldVector before, after;
  Json sizes = Json::array();
  for (size_t i = 0; i < merged.size(); ++i) {
    const auto& field = schema_->field(static_cast<int>(i));
    before.push_back(arrow::field(field->name(), field->type()));
    after.push_back(arrow::field(field->name(), merged[i].Narrowest()));
    sizes.push_back({merged[i].bytes_before(), merged[i].bytes_after()});
  }
  return Json{{"before", SchemaToJson(*arrow::schema(before))},
              {"after", SchemaToJson(*arrow::schema(after))},
              {"bytes", sizes}}
      .dump();
}

Status ShrinkTransform::Decide(const std::string& decision) {
  const Json json = Json::parse(decision, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return BugError("shrink: the decision is damaged");
  ARROW_ASSIGN_OR_RAISE(const auto before, SchemaFromJson(json.value("before", "")));
  ARROW_ASSIGN_OR_RAISE(const auto after, SchemaFromJson(json.value("after", "")));
  const Json sizes = json.value("bytes", Json::array());
  if (before->num_fields() != after->num_fields() ||
      sizes.size() != static_cast<size_t>(before->num_fields())) {
    return BugError("shrink: the decision is damaged");
  }
  choices_.clear();
  for (int i = 0; i < before->num_fields(); ++i) {
    const auto& bytes = sizes[static_cast<size_t>(i)];
    choices_.push_back({before->field(i)->name(), before->field(i)->type(), after->field(i)->type(),
                        bytes[0].get<int64_t>(), bytes[1].get<int64_t>()});
  }
  decided_ = true;
  return Status::OK();
}

std::vector<std::string> ShrinkTransform::Explain() const {
  std::vector<std::string> lines;
  int64_t bytes_before = 0, bytes_after = 0;
  for (const auto& choice : choices_) {
    bytes_before += choice.bytes_before;
    bytes_after += choice.bytes_after;
    if (choice.after->Equals(*choice.before)) continue;
    lines.push_back(fmt::format("{}: {} → {}, {:.0f} % smaller", choice.column,
                                TypeName(*choice.before), TypeName(*choice.after),
                                PercentSmaller(choice.bytes_before, choice.bytes_after)));
  }
  if (!lines.empty()) {
    lines.push_back(fmt::format("all columns in memory: {} → {}", FormatBytes(bytes_before),
                                FormatBytes(bytes_after)));
  }
  return lines;
}

}  // namespace bulkhaul
