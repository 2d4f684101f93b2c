// Any text as a condition: an error, or one that keeps the same rows of a batch as of its slices,
// and that no bounds of kept rows exclude.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/json/from_string.h>

#include "die.h"
#include "source/files/where.h"

namespace {

using namespace bulkhaul;
using namespace bulkhaul::files;

std::shared_ptr<arrow::RecordBatch> MakeRows() {
  const auto type = arrow::struct_(
      {arrow::field("i", arrow::int32()), arrow::field("u", arrow::uint64()),
       arrow::field("x", arrow::float64()), arrow::field("n", arrow::decimal128(9, 2)),
       arrow::field("s", arrow::utf8()), arrow::field("b", arrow::boolean()),
       arrow::field("d", arrow::date32()),
       arrow::field("t", arrow::timestamp(arrow::TimeUnit::MICRO)),
       arrow::field("z", arrow::timestamp(arrow::TimeUnit::NANO, "UTC")),
       arrow::field("h", arrow::time64(arrow::TimeUnit::MICRO)), arrow::field("y", arrow::binary()),
       arrow::field("l", arrow::list(arrow::int32())), arrow::field("a b", arrow::large_utf8())});
  const auto rows = arrow::json::ArrayFromJSONString(type, R"([
      [0, 0, 0.0, "0.00", "", false, 0, 0, 0, 0, "", [], "a"],
      [-1, 18446744073709551615, -1.5, "-1.50", "a%", true, 19782, 1709251200000000,
       1709251200000000001, 3600000000, "x", [1], "it's"],
      [2, 7, 1e300, "9999999.99", "grün", null, -1, -1, -1, 1, "yy", null, ""],
      [null, null, null, null, null, null, null, null, null, null, null, null, null],
      [7, 2, 0.1, "2.50", "z", true, 1, 1, 1, 2, "z", [null], "z"]])");
  return arrow::RecordBatch::FromStructArray(rows.ValueOrDie()).ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> Kept(const Where& where,
                                         const std::shared_ptr<arrow::RecordBatch>& rows) {
  auto kept = where.Filter(rows, arrow::default_memory_pool());
  // What can be asked and not computed, such as a number beyond its decimal's digits.
  if (!kept.ok()) return nullptr;
  const Status valid = (*kept)->ValidateFull();
  if (!valid.ok()) Die("invalid batch: " + valid.ToString());
  return *kept;
}

// Of the columns with an order, as statistics give them.
std::vector<ColumnBounds> BoundsOf(const arrow::RecordBatch& rows) {
  std::vector<ColumnBounds> bounds;
  for (int i = 0; i < rows.num_columns(); ++i) {
    const auto& column = rows.column(i);
    if (column->type_id() == arrow::Type::LIST || column->type_id() == arrow::Type::LARGE_STRING) {
      continue;
    }
    const auto both = arrow::compute::MinMax(column).ValueOrDie();
    const auto& pair = both.scalar_as<arrow::StructScalar>();
    if (!pair.value[0]->is_valid) continue;
    bounds.push_back({rows.column_name(i), pair.value[0], pair.value[1], column->null_count() > 0});
  }
  return bounds;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto rows = MakeRows();
  const auto where = Where::Parse({reinterpret_cast<const char*>(data), size}, rows->schema());
  if (!where.ok()) {
    if (KindOf(where.status()) != ErrorKind::kUser) Die(where.status().ToString());
    return 0;
  }
  const auto whole = Kept(*where, rows);
  if (whole == nullptr) return 0;
  int64_t one_by_one = 0;
  for (int64_t row = 0; row < rows->num_rows(); ++row) {
    const auto slice = rows->Slice(row, 1);
    const auto kept = Kept(*where, slice);
    if (kept == nullptr) Die("a row by itself cannot be judged");
    one_by_one += kept->num_rows();
    const auto may = where->MayMatch(BoundsOf(*slice));
    if (may.ok() && !*may && kept->num_rows() > 0) Die("bounds exclude a row that is kept");
  }
  if (one_by_one != whole->num_rows()) Die("other rows one by one");
  const auto may = where->MayMatch(BoundsOf(*rows));
  if (may.ok() && !*may && whole->num_rows() > 0) Die("bounds exclude rows that are kept");
  return 0;
}
