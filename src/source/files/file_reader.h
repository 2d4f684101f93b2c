// One part of one file as batches. A format implements PartReader and describes a file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/record_batch.h>

#include "plan/context.h"
#include "source/files/table_state.h"

namespace bulkhaul::files {

// [begin, end): row groups of Parquet, batches of an Arrow file, bytes of CSV and JSON lines. An
// end of -1: to the end of the file.
struct FilePart {
  const DataFile* file = nullptr;
  int64_t begin = 0, end = -1;
  int64_t line = 1;  // of `begin`, in text
};

// A place where a text file may be cut: the begin of a row.
struct TextCut {
  int64_t offset = 0;
  int64_t line = 1;
};

// Not thread-safe.
class PartReader {
 public:
  virtual ~PartReader() = default;
  // The next rows, or null at the end; columns and types are those of ReadPlan::file_schema. A
  // batch is near UnitContext::batch_bytes_max and at most batch_rows_max rows.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
  // In the file, of a row of the batch that Next() gave last; -1: not known.
  virtual int64_t LineOf(int64_t row) const { return -1; }
  // UnitReader::TakeRefused(), with lines and without the file's name.
  virtual std::vector<RefusedRow> TakeRefused() { return {}; }
  // Of the file, as stored.
  virtual int64_t bytes_read() const = 0;
  virtual std::map<std::string, int64_t> counters() const { return {}; }
};

// What a look at a file tells.
struct FileFacts {
  std::shared_ptr<arrow::Schema> schema;
  int64_t rows = -1;  // -1: not known
  int64_t parts = 1;  // row groups or batches
  std::vector<int64_t> part_rows, part_bytes;
  // What the rows take as Arrow: of each column by name, and of what comes with any column.
  std::map<std::string, double> column_memory_bytes;
  double common_memory_bytes = 0;
};

Result<FileFacts> DescribeParquet(const DataFile& file);
Result<std::unique_ptr<PartReader>> OpenParquet(std::shared_ptr<const ReadPlan> plan,
                                                const FilePart& part, UnitContext& context);

Result<FileFacts> DescribeArrow(const DataFile& file);
Result<std::unique_ptr<PartReader>> OpenArrow(std::shared_ptr<const ReadPlan> plan,
                                              const FilePart& part, UnitContext& context);

// The type as this program's sinks take it: dictionaries and views at the top become plain.
std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type);
// The file's columns in the order and with the types of the plan; a column that the file lacks is
// NULL or an error, as the plan says.
Result<std::shared_ptr<arrow::RecordBatch>> Conform(const ReadPlan& plan, const DataFile& file,
                                                    const arrow::RecordBatch& batch,
                                                    arrow::MemoryPool* pool);
// kUser: a file has a column that its folders' names give.
Status ColumnOfFolder(const std::string& path, const std::string& column);
// kUser when the file lacks columns of the plan that it must have, or has a name twice, or
// a column that its folders' names give.
Status CheckColumns(const ReadPlan& plan, const DataFile& file, const arrow::Schema& found);
Status CheckNames(const DataFile& file, const arrow::Schema& schema);
// Of how many rows that cannot be read, at least, more are too many for the table; -1: of one,
// which is an error then.
int64_t RefusedMax(const Options& options);
// A failure of Arrow's readers as one of this file: what is broken stays broken.
Status FileError(const Status& status, const std::string& where);

}  // namespace bulkhaul::files
