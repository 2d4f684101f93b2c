#include "source/files/file_reader.h"

#include <algorithm>
#include <limits>
#include <set>

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/api.h>
#include <arrow/compute/initialize.h>
#include <arrow/util/bitmap_ops.h>
#include <arrow/util/io_util.h>
#include <fmt/format.h>

#include "base/copy_text.h"

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

int64_t RefusedMax(const Options& options) {
  return options.GetString("reject") == "quarantine" ? options.GetInt("max_rejects") : -1;
}

Status FileError(const Status& status, const std::string& where) {
  if (const int number = arrow::internal::ErrnoFromStatus(status); number != 0) {
    return ErrnoError(number, "read", where);
  }
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

namespace {

// Texts of a dictionary, one for each row: a copy of bytes, without a call for each.
Result<std::shared_ptr<arrow::Array>> UnfoldTexts(const arrow::DictionaryArray& array,
                                                  arrow::MemoryPool* pool) {
  const auto& texts = static_cast<const arrow::StringArray&>(*array.dictionary());
  const auto& indices = static_cast<const arrow::Int32Array&>(*array.indices());
  const int64_t rows = array.length();
  const bool nulls = indices.null_count() > 0;
  ARROW_ASSIGN_OR_RAISE(
      std::shared_ptr<arrow::Buffer> offsets,
      arrow::AllocateBuffer((rows + 1) * static_cast<int64_t>(sizeof(int32_t)), pool));
  auto* const ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  int64_t bytes = 0;
  for (int64_t row = 0; row < rows; ++row) {
    ends[row] = static_cast<int32_t>(bytes);
    if (!nulls || indices.IsValid(row)) bytes += texts.value_length(indices.Value(row));
    if (bytes > std::numeric_limits<int32_t>::max()) {
      return Status::CapacityError("a batch has more than 2 GiB of text");
    }
  }
  ends[rows] = static_cast<int32_t>(bytes);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> values, arrow::AllocateBuffer(bytes, pool));
  for (int64_t row = 0; row < rows; ++row) {
    if (ends[row] == ends[row + 1]) continue;
    CopyText(texts.GetView(indices.Value(row)), values->mutable_data() + ends[row]);
  }
  std::shared_ptr<arrow::Buffer> validity;
  if (nulls) {
    ARROW_ASSIGN_OR_RAISE(validity, arrow::internal::CopyBitmap(pool, indices.null_bitmap_data(),
                                                                indices.offset(), rows));
  }
  return std::make_shared<arrow::StringArray>(rows, std::move(offsets), std::move(values),
                                              std::move(validity),
                                              nulls ? indices.null_count() : 0);
}

bool IsTextsByInt32(const arrow::DataType& type) {
  if (type.id() != arrow::Type::DICTIONARY) return false;
  const auto& dictionary = static_cast<const arrow::DictionaryType&>(type);
  return dictionary.index_type()->id() == arrow::Type::INT32 &&
         dictionary.value_type()->id() == arrow::Type::STRING;
}

}  // namespace

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
    if (IsTextsByInt32(*column->type()) && field->type()->id() == arrow::Type::STRING &&
        static_cast<const arrow::DictionaryArray&>(*column).dictionary()->null_count() == 0) {
      ARROW_ASSIGN_OR_RAISE(column,
                            UnfoldTexts(static_cast<const arrow::DictionaryArray&>(*column), pool));
    } else if (!column->type()->Equals(field->type())) {
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
