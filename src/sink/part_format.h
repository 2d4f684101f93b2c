// What a file format must be able to do; everything else about files is FileSink's.
#pragma once

#include <memory>
#include <string>

#include <arrow/io/interfaces.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>

#include "base/error.h"
#include "plan/options.h"
#include "plan/values.h"

namespace bulkhaul {

// Writes one part. Not thread-safe.
class PartEncoder {
 public:
  virtual ~PartEncoder() = default;
  // Has copied what it needs when it returns. The batch has the part's schema.
  virtual Status Write(const arrow::RecordBatch& batch) = 0;
  // Writes what is held and the footer. The stream stays open: its owner closes it.
  virtual Status Finish() = 0;
  // Memory held now beside the stream; near what it will still write. Bytes.
  virtual int64_t buffered_bytes() const = 0;
};

// What reading a part again, value by value, has shown.
struct PartContent {
  int64_t rows = 0;
  std::shared_ptr<arrow::Schema> schema;  // nullptr where the format stores none
  std::vector<std::string> columns;       // names; empty where the format stores none
};

// Constant after construction but for caches behind a mutex: thread-safe.
class PartFormat {
 public:
  virtual ~PartFormat() = default;
  virtual std::string name() const = 0;  // "parquet"
  // Of the option table, with its own options; "": it has none.
  virtual std::string option_group() const { return ""; }
  // Of the published parts, without a dot: "parquet", "csv.gz".
  virtual std::string Extension(const Options& options) const = 0;
  // kUser, naming column and option, when the schema has no form here or an option is wrong.
  virtual Status Check(const DatasetPlan& plan, const arrow::Schema& schema) const = 0;
  virtual Result<std::unique_ptr<PartEncoder>> Begin(
      const DatasetPlan& plan, const std::shared_ptr<arrow::Schema>& schema,
      const std::shared_ptr<arrow::io::OutputStream>& stream, arrow::MemoryPool* pool) const = 0;
  // The schema that Inspect() finds in a part written with `schema`: names and types only.
  virtual std::shared_ptr<arrow::Schema> StoredSchema(const arrow::Schema& schema) const = 0;
  // JSON object that Inspect() needs beside the file: delimiter, header.
  virtual std::string DescribeOptions(const Options& options) const { return "{}"; }
  // Reads every value. kPermanent when the file is not whole.
  virtual Result<PartContent> Inspect(const std::string& path,
                                      const std::string& described_options) const = 0;
  // What an open encoder may hold, for the planner. Bytes.
  virtual int64_t writer_bytes(const Options& options) const = 0;
};

}  // namespace bulkhaul
