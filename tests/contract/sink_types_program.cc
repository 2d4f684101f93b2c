// Exports one table with a column of each type, for other programs' readers.
// Used by tests/integration/test_readers.py, which knows what the columns hold.
//
//   sink_types_program DESTINATION parquet|csv|arrow [OPTION VALUE]…
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <arrow/array/array_base.h>
#include <arrow/extension/json.h>
#include <arrow/extension/uuid.h>
#include <arrow/extension_type.h>
#include <arrow/json/from_string.h>
#include <arrow/record_batch.h>

#include "sink/arrow/arrow_sink.h"
#include "sink/csv/csv_sink.h"
#include "sink/parquet/parquet_sink.h"

namespace bulkhaul {
namespace {

struct Column {
  const char* name;
  std::shared_ptr<arrow::DataType> type;
  const char* json;
};

Result<std::shared_ptr<arrow::RecordBatch>> Rows() {
  const std::vector<Column> columns = {
      {"bool", arrow::boolean(), "[true, false, null]"},
      {"int16", arrow::int16(), "[-32768, 32767, null]"},
      {"int32", arrow::int32(), "[-2147483648, 2147483647, null]"},
      {"int64", arrow::int64(), "[-9223372036854775808, 9223372036854775807, null]"},
      {"float32", arrow::float32(), "[0.5, -Inf, null]"},
      {"float64", arrow::float64(), "[0.1, NaN, null]"},
      {"decimal9", arrow::decimal128(9, 2), R"(["1234567.89", "-0.01", null])"},
      {"decimal18", arrow::decimal64(18, 4), R"(["12345678901234.5678", "-0.0001", null])"},
      {"decimal38", arrow::decimal128(38, 10),
       R"(["9999999999999999999999999999.9999999999", "-0.0000000001", null])"},
      {"text", arrow::utf8(), R"(["", "tëxt, \"q\"\n", null])"},
      {"binary", arrow::binary(), R"(["", "xyz", null])"},
      {"date", arrow::date32(), "[0, 20778, null]"},
      {"time", arrow::time64(arrow::TimeUnit::MICRO), "[0, 86399999999, null]"},
      {"timestamp", arrow::timestamp(arrow::TimeUnit::MICRO), "[0, 1795256100123456, null]"},
      {"timestamptz", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
       "[0, 1795256100123456, null]"},
      {"list", arrow::list(arrow::int32()), "[[1, null], [], null]"},
      {"struct",
       arrow::struct_({arrow::field("x", arrow::int32()), arrow::field("y", arrow::utf8())}),
       R"([{"x": 1, "y": "a"}, {"x": null, "y": null}, null])"},
      {"enum", arrow::dictionary(arrow::int32(), arrow::utf8()), R"(["red", "green", null])"},
      {"uuid", arrow::extension::uuid(), R"(["0123456789abcdef", "fedcba9876543210", null])"},
      {"json", arrow::extension::json(arrow::utf8()), R"(["{\"a\":1}", "[]", null])"},
  };
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& column : columns) {
    fields.push_back(arrow::field(column.name, column.type));
    auto storage = column.type;
    if (column.type->id() == arrow::Type::EXTENSION) {
      storage = static_cast<const arrow::ExtensionType&>(*column.type).storage_type();
    }
    ARROW_ASSIGN_OR_RAISE(auto array, arrow::json::ArrayFromJSONString(storage, column.json));
    if (storage != column.type) array = arrow::ExtensionType::WrapArray(column.type, array);
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), 3, arrays);
}

Result<CommitReceipt> Export(const JobSpec& spec, const std::string& format) {
  const auto make = format == "csv"     ? MakeCsvSink
                    : format == "arrow" ? MakeArrowSink
                                        : MakeParquetSink;
  ARROW_ASSIGN_OR_RAISE(auto sink, make(spec, "types"));
  ARROW_ASSIGN_OR_RAISE(const auto rows, Rows());
  DatasetPlan plan;
  plan.job_id = "types";
  plan.dataset.id = {"public", "types"};
  plan.dataset.options = spec.options;
  plan.schema = rows->schema();
  plan.output_name = "public_types";
  plan.epoch = 1;
  ARROW_RETURN_NOT_OK(sink->Prepare(plan, false).status());
  CommitRequest request;
  request.job_id = plan.job_id;
  request.idempotency_key = "types/0";
  request.plan = plan;
  request.schema = plan.schema;
  // Two parts, so that readers see whether parts agree.
  for (int64_t ordinal = 0; ordinal < 2; ++ordinal) {
    WorkUnit unit;
    unit.id = "0." + std::to_string(ordinal);
    unit.dataset = plan.dataset.id;
    unit.ordinal = ordinal;
    UnitContext context;
    ARROW_ASSIGN_OR_RAISE(auto writer,
                          sink->Begin(plan, unit, unit.id + "-a", plan.schema, {}, context));
    ARROW_RETURN_NOT_OK(writer->Write(ordinal == 0 ? *rows->Slice(0, 1) : *rows->Slice(1)));
    ARROW_ASSIGN_OR_RAISE(auto staged, writer->Finish());
    request.rows += staged.rows_written;
    request.staged.push_back(std::move(staged));
  }
  CommitContext context;
  ARROW_ASSIGN_OR_RAISE(auto receipt, sink->Commit(request, context));
  ARROW_RETURN_NOT_OK(sink->Discard("types", {}));
  return receipt;
}

}  // namespace
}  // namespace bulkhaul

int main(int count, char** arguments) {
  if (count < 3 || count % 2 == 0) return 2;
  bulkhaul::JobSpec spec;
  spec.destination_uri = arguments[1];
  for (int i = 3; i + 1 < count; i += 2) {
    if (!spec.options.SetFromText(arguments[i], arguments[i + 1]).ok()) return 2;
  }
  const auto receipt = bulkhaul::Export(spec, arguments[2]);
  if (!receipt.ok()) std::fprintf(stderr, "%s\n", receipt.status().ToString().c_str());
  if (receipt.ok()) std::puts(receipt->location.c_str());
  return receipt.ok() ? 0 : 1;
}
