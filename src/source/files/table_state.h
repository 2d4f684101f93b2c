// What the file source keeps about a dataset in Dataset::source_state, and what readers need of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "plan/values.h"
#include "source/files/data_file.h"
#include "source/files/where.h"

namespace bulkhaul::files {

struct TableState {
  FileFormat format = FileFormat::kParquet;
  // All columns: those of the files, then those of the folders.
  std::shared_ptr<arrow::Schema> full_schema;
  int file_columns = 0;
  std::vector<DataFile> files;
  // Files that are read together: [0, ends[0]), [ends[0], ends[1]) … Small files share a group.
  std::vector<size_t> group_ends;
  std::string layout;  // JSON of the format's own: how CSV is written

  std::string ToJson() const;
  static Result<TableState> FromJson(std::string_view json);

  size_t group_begin(size_t group) const { return group == 0 ? 0 : group_ends[group - 1]; }
  // UnitRange::axis of a group.
  std::string AxisOf(size_t group) const;
};

// How a dataset is read: its state and options, bound to each other. Immutable.
struct ReadPlan {
  TableState state;
  std::shared_ptr<arrow::Schema> schema;       // of the dataset
  std::shared_ptr<arrow::Schema> file_schema;  // what file readers give: the columns needed
  std::vector<int> outputs;                    // dataset column → column of `read_schema`
  std::shared_ptr<arrow::Schema> read_schema;  // file_schema, then the folders' columns needed
  std::optional<Where> where;                  // bound to read_schema
  int64_t limit = 0;
  bool missing_as_null = false;
  int64_t row_bytes_max = 0;
  Options options;

  // Options of which larger values let the sample for the types see more, for messages:
  // "sample_rows and sample_files"; "" when it had all rows.
  std::string larger_sample() const;

  // kUser for columns that are not there and for a `where` that does not fit.
  static Result<std::shared_ptr<const ReadPlan>> Make(TableState state, const Options& options);
};

}  // namespace bulkhaul::files
