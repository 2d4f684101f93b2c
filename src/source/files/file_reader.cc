#include "source/files/file_reader.h"

#include <algorithm>
#include <set>

#include <arrow/array/util.h>
#include <arrow/compute/api.h>
#include <arrow/compute/initialize.h>
#include <fmt/format.h>

namespace bulkhaul::files {

std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case arrow::Type::DICTIONARY:
      return PlainType(static_cast<const arrow::DictionaryType&>(*type).value_type());
    case arrow::Type::STRING_VIEW:
      return arrow::utf8();
    case arrow::Type::BINARY_VIEW:
      return arrow::binary();
    default:
      return type;
  }
}

Status FileError(const Status& status, const std::string& where) {
  if (KindOf(status) == ErrorKind::kCancelled || status.detail() != nullptr) {
    return WithContext(status, where);
  }
  return PermanentError(where + ": " + MessageOf(status), "unreadable_file");
}

Status CheckNames(const DataFile& file, const arrow::Schema& schema) {
  std::set<std::string> names;
  for (const auto& field : schema.fields()) {
    if (names.insert(field->name()).second) continue;
    return UserError(fmt::format("{}: the column name '{}' occurs twice", file.path, field->name()),
                     "duplicate_column");
  }
  return Status::OK();
}

Status ColumnOfFolder(const std::string& path, const std::string& column) {
  return UserError(
      fmt::format("{}: the column '{}' is in the file, and folders named {}=… give it too; set "
                  "hive_partitions: false to take the file's",
                  path, column, column),
      "column_of_folder");
}

Status CheckColumns(const ReadPlan& plan, const DataFile& file, const arrow::Schema& found) {
  ARROW_RETURN_NOT_OK(CheckNames(file, found));
  const arrow::Schema& full = *plan.state.full_schema;
  for (int i = plan.state.file_columns; i < full.num_fields(); ++i) {
    if (found.GetFieldIndex(full.field(i)->name()) < 0) continue;
    return ColumnOfFolder(file.path, full.field(i)->name());
  }
  for (int i = 0; i < plan.state.file_columns; ++i) {
    const auto& name = full.field(i)->name();
    if (plan.missing_as_null || found.GetFieldIndex(name) >= 0) continue;
    return UserError(fmt::format("{} has no column '{}', which other files of the table have; set "
                                 "missing_columns: null to take NULL for it",
                                 file.path, name),
                     "missing_column");
  }
  for (const auto& field : found.fields()) {
    if (full.GetFieldIndex(field->name()) >= 0) continue;
    return UserError(fmt::format("{} has a column '{}', which the files that were looked at do not "
                                 "have; set sample_files: 0 and missing_columns: null to have it",
                                 file.path, field->name()),
                     "added_column");
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::RecordBatch>> Conform(const ReadPlan& plan, const DataFile& file,
                                                    const arrow::RecordBatch& batch,
                                                    arrow::MemoryPool* pool) {
  static const Status initialized = arrow::compute::Initialize();
  ARROW_RETURN_NOT_OK(initialized);
  arrow::ArrayVector columns;
  for (const auto& field : plan.file_schema->fields()) {
    const int index = batch.schema()->GetFieldIndex(field->name());
    if (index < 0) {
      ARROW_ASSIGN_OR_RAISE(auto nulls,
                            arrow::MakeArrayOfNull(field->type(), batch.num_rows(), pool));
      columns.push_back(std::move(nulls));
      continue;
    }
    auto column = batch.column(index);
    if (!column->type()->Equals(field->type())) {
      arrow::compute::ExecContext context(pool);
      context.set_use_threads(false);
      auto cast = arrow::compute::Cast(*column, field->type(), arrow::compute::CastOptions::Safe(),
                                       &context);
      if (!cast.ok()) {
        return UserError(fmt::format("{}: column '{}' is {} here and {} in other files: {}",
                                     file.path, field->name(), column->type()->ToString(),
                                     field->type()->ToString(), MessageOf(cast.status())),
                         "type_conflict");
      }
      column = *std::move(cast);
    }
    if (!field->nullable() && column->null_count() > 0) {
      return PermanentError(fmt::format("{}: column '{}' says that it has no NULL, but has {}",
                                        file.path, field->name(), column->null_count()));
    }
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(plan.file_schema, batch.num_rows(), std::move(columns));
}

}  // namespace bulkhaul::files
