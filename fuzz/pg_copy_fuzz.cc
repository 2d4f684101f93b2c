// Any bytes as a COPY stream of columns of any types: an error or valid Arrow data, and the same
// however the stream is cut. What was read is the same again when it is written and read.
//
// Input: one byte of options, one byte of chunk size (0: 1 byte, else × 16), one byte with the
// number of columns less one (modulo 8), one byte a column that picks its type, then the tuples.
#include <algorithm>
#include <cstdint>

#include <arrow/api.h>

#include "die.h"
#include "wire/pg_copy/copy_decoder.h"
#include "wire/pg_copy/copy_encoder.h"
#include "wire/pg_copy/golden_values.h"
#include "wire/pg_copy/testing.h"

namespace {

using namespace bulkhaul;
using namespace bulkhaul::pg;

std::vector<TypePtr> UserTypes() {
  const auto make = [](char kind, uint32_t oid) {
    auto type = std::make_shared<TypeInfo>();
    type->oid = oid;
    type->kind = kind;
    type->schema = "public";
    type->typname = type->name = "t" + std::to_string(oid);
    return type;
  };
  auto mood = make('e', 1);
  mood->labels = {"sad", "ok"};
  auto pair = make('c', 2);
  pair->fields = {{"a", BuiltinType(kInt4Oid), -1, 0},
                  {"b", BuiltinType(kTextOid), -1, 0},
                  {"c", mood, -1, 0},
                  {"d", BuiltinType(1007), -1, 2}};
  auto pairs = make('b', 3);
  pairs->element = pair;
  auto hstore = make('b', 4);
  hstore->typname = hstore->extension = "hstore";
  auto range = make('r', 5);
  range->subtype = pair;
  auto multirange = make('m', 6);
  multirange->subtype = range;
  return {mood, pair, pairs, hstore, range, multirange};
}

ColumnSpec PickColumn(uint8_t choice) {
  static const std::vector<TypePtr> kUserTypes = UserTypes();
  ColumnSpec column;
  column.name = "c";
  const size_t index = choice % (std::size(pg::testing::kGoldenValues) + kUserTypes.size());
  if (index < kUserTypes.size()) {
    column.type = kUserTypes[index];
    return column;
  }
  const auto& golden = pg::testing::kGoldenValues[index - kUserTypes.size()];
  column.type = BuiltinType(golden.oid);
  column.typmod = golden.typmod;
  column.dimensions = golden.dimensions;
  return column;
}

MappingOptions PickOptions(uint8_t choice) {
  MappingOptions options;
  if (choice & 1) options.infinity = choice & 2 ? OnMisfit::kNull : OnMisfit::kClamp;
  if (choice & 4) options.numeric_nan = OnMisfit::kNull;
  if (choice & 8) {
    options.invalid_utf8 = choice & 16 ? OnInvalidUtf8::kNull : OnInvalidUtf8::kReplace;
  }
  options.wide_numeric_decimal256 = (choice & 32) != 0;
  if (choice & 64) {
    options.numeric = choice & 128 ? NumericForm::kDouble : NumericForm::kDecimal;
    options.numeric_precision = 20;
    options.numeric_scale = 5;
  }
  return options;
}

struct Outcome {
  Status status;
  arrow::RecordBatchVector batches;
};

Outcome Decode(const std::vector<ColumnMapping>& columns, std::string_view stream,
               size_t chunk_bytes) {
  Outcome outcome;
  auto decoder = CopyDecoder::Make(columns, {.batch_bytes_max = 4096, .batch_rows_max = 100},
                                   arrow::default_memory_pool())
                     .ValueOrDie();
  const auto keep = [&](const arrow::Result<std::shared_ptr<arrow::RecordBatch>>& batch) {
    if (!batch.ok()) Die("TakeBatch failed: " + batch.status().ToString());
    if (*batch == nullptr) return;
    const Status valid = (*batch)->ValidateFull();
    if (!valid.ok()) Die("invalid batch: " + valid.ToString());
    outcome.batches.push_back(*batch);
  };
  while (!stream.empty()) {
    // On the heap at its exact size, so that each byte read beyond it is seen.
    const std::vector<uint8_t> chunk(stream.begin(),
                                     stream.begin() + std::min(chunk_bytes, stream.size()));
    stream.remove_prefix(chunk.size());
    std::span<const uint8_t> bytes(chunk);
    while (!bytes.empty()) {
      const auto taken = decoder->Feed(bytes);
      if (!taken.ok()) {
        outcome.status = taken.status();
        return outcome;
      }
      bytes = bytes.subspan(*taken);
      if (decoder->batch_ready()) keep(decoder->TakeBatch());
    }
  }
  outcome.status = decoder->Finish();
  if (outcome.status.ok()) keep(decoder->TakeBatch());
  return outcome;
}

// The batches encoded and decoded again. None: values that no server sends, such as texts with NUL,
// may be refused.
arrow::RecordBatchVector ThereAndBack(const std::vector<ColumnMapping>& mappings,
                                      const std::vector<ColumnSpec>& specs,
                                      const arrow::RecordBatchVector& batches) {
  std::vector<EncodeColumn> columns;
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto& field = *batches[0]->schema()->field(static_cast<int>(i));
    auto plan = PlanEncoding(*field.type(), specs[i], {});
    if (!plan.ok()) Die("no way back: " + plan.status().ToString());
    columns.push_back({specs[i].name, static_cast<int>(i), *std::move(plan)});
  }
  CopyEncoder encoder(std::move(columns));
  ByteBuffer out;
  for (const auto& batch : batches) {
    const Status status = encoder.Encode(*batch, 0, batch->num_rows(), &out);
    if (status.ok()) continue;
    if (KindOf(status) != ErrorKind::kUser || encoder.row_at_fault() < 0) Die(status.ToString());
    return {};
  }
  const std::string stream =
      pg::testing::Stream({reinterpret_cast<const char*>(out.data()), out.size()});
  Outcome again = Decode(mappings, stream, stream.size());
  if (!again.status.ok()) Die("what was written: " + again.status.ToString());
  return std::move(again.batches);
}

void CheckWayBack(const std::vector<ColumnMapping>& mappings, const std::vector<ColumnSpec>& specs,
                  arrow::RecordBatchVector batches) {
  auto again = ThereAndBack(mappings, specs, batches);
  if (again.empty()) return;
  // A server's numbers have no zeros in front, as these bytes may: text has lost them now.
  const bool numbers = std::any_of(specs.begin(), specs.end(), [](const ColumnSpec& spec) {
    return spec.type->typname.find("num") != std::string::npos;
  });
  if (numbers) {
    batches = std::move(again);
    again = ThereAndBack(mappings, specs, batches);
    if (again.empty()) Die("what came back cannot be written");
  }
  const auto first = arrow::Table::FromRecordBatches(batches[0]->schema(), batches).ValueOrDie();
  const auto second = arrow::Table::FromRecordBatches(again[0]->schema(), again).ValueOrDie();
  if (!first->Equals(*second, arrow::EqualOptions().nans_equal(true))) {
    Die("other values there and back\n" + first->ToString() + second->ToString());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const MappingOptions options = PickOptions(data[0]);
  const size_t chunk_bytes = data[1] == 0 ? 1 : data[1] * size_t{16};
  const size_t columns = 1 + data[2] % 8;
  if (size < 3 + columns) return 0;
  std::vector<ColumnMapping> mappings;
  std::vector<ColumnSpec> specs;
  for (size_t column = 0; column < columns; ++column) {
    specs.push_back(PickColumn(data[3 + column]));
    mappings.push_back(MapColumn(specs.back(), options).ValueOrDie());
  }
  const std::string stream = pg::testing::Stream(
      std::string_view(reinterpret_cast<const char*>(data) + 3 + columns, size - 3 - columns));
  const Outcome whole = Decode(mappings, stream, stream.size());
  const Outcome cut = Decode(mappings, stream, chunk_bytes);
  if (whole.status.ToString() != cut.status.ToString()) {
    Die("whole: " + whole.status.ToString() + "\ncut: " + cut.status.ToString());
  }
  if (whole.batches.size() != cut.batches.size()) Die("other batches when cut");
  for (size_t batch = 0; batch < whole.batches.size(); ++batch) {
    if (!whole.batches[batch]->Equals(*cut.batches[batch],
                                      arrow::EqualOptions().nans_equal(true))) {
      Die("other values when cut");
    }
  }
  if (whole.status.ok() && !whole.batches.empty()) CheckWayBack(mappings, specs, whole.batches);
  return 0;
}
