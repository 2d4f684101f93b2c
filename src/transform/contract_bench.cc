// What a contract costs a row: the rules of a table like TPC-H's lineitem, together and one by one.
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include "transform/contract.h"

namespace bulkhaul {
namespace {

constexpr int64_t kRows = 65'536;

// Texts that are drawn from `choices`.
template <typename Builder>
std::shared_ptr<arrow::Array> Drawn(const std::vector<std::string>& choices) {
  std::mt19937_64 random(1);
  Builder builder;
  for (int64_t i = 0; i < kRows; ++i) (void)builder.Append(choices[random() % choices.size()]);
  return builder.Finish().ValueOrDie();
}

// As many different texts as rows.
template <typename Builder>
std::shared_ptr<arrow::Array> Comments() {
  std::mt19937_64 random(1);
  Builder builder;
  for (int64_t i = 0; i < kRows; ++i) {
    std::string text(10 + random() % 34, ' ');
    for (auto& c : text) c = static_cast<char>('a' + random() % 26);
    (void)builder.Append(text);
  }
  return builder.Finish().ValueOrDie();
}

template <typename Builder>
std::shared_ptr<arrow::Array> Numbers(const std::shared_ptr<arrow::DataType>& type, int64_t low,
                                      int64_t high) {
  std::mt19937_64 random(1);
  Builder builder(type, arrow::default_memory_pool());
  for (int64_t i = 0; i < kRows; ++i) {
    const auto value = low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
    if constexpr (std::is_same_v<Builder, arrow::Decimal128Builder>) {
      (void)builder.Append(arrow::Decimal128(value));
    } else {
      (void)builder.Append(static_cast<typename Builder::value_type>(value));
    }
  }
  return builder.Finish().ValueOrDie();
}

template <typename Builder>
std::shared_ptr<arrow::RecordBatch> Rows() {
  const auto decimal = arrow::decimal128(15, 2);
  const auto days = [](int64_t low, int64_t high) {
    return Numbers<arrow::Date32Builder>(arrow::date32(), low, high);
  };
  const std::vector<std::pair<const char*, std::shared_ptr<arrow::Array>>> columns = {
      {"l_orderkey", Numbers<arrow::Int64Builder>(arrow::int64(), 1, 6'000'000)},
      {"l_partkey", Numbers<arrow::Int64Builder>(arrow::int64(), 1, 200'000)},
      {"l_suppkey", Numbers<arrow::Int64Builder>(arrow::int64(), 1, 10'000)},
      {"l_linenumber", Numbers<arrow::Int32Builder>(arrow::int32(), 1, 7)},
      {"l_quantity", Numbers<arrow::Decimal128Builder>(decimal, 100, 5000)},
      {"l_extendedprice", Numbers<arrow::Decimal128Builder>(decimal, 90'000, 10'000'000)},
      {"l_discount", Numbers<arrow::DoubleBuilder>(arrow::float64(), 0, 1)},
      {"l_tax", Numbers<arrow::Decimal128Builder>(decimal, 0, 8)},
      {"l_returnflag", Drawn<Builder>({"A", "N", "R"})},
      {"l_linestatus", Drawn<Builder>({"O", "F"})},
      {"l_shipdate", days(8036, 10'500)},
      {"l_commitdate", days(8036, 10'500)},
      {"l_receiptdate", days(8036, 10'500)},
      {"l_shipinstruct",
       Drawn<Builder>({"DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"})},
      {"l_shipmode", Drawn<Builder>({"AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"})},
      {"l_comment", Comments<Builder>()}};
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& [name, array] : columns) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), kRows, arrays);
}

void Check(benchmark::State& state, std::shared_ptr<arrow::RecordBatch> (*rows)(),
           const char* columns) {
  const auto batch = rows();
  Dataset dataset;
  dataset.contract = std::string("columns: {") + columns + "}";
  auto contract = ContractTransform::Make(dataset).ValueOrDie();
  if (!contract->Bind(batch->schema()).ok()) return state.SkipWithError("Bind");
  for ([[maybe_unused]] auto _ : state) {
    if (!contract->Apply(batch, arrow::default_memory_pool()).ok()) {
      return state.SkipWithError("Apply");
    }
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
using Utf8 = arrow::StringBuilder;
using Views = arrow::StringViewBuilder;
using Dictionary = arrow::StringDictionaryBuilder;

constexpr char kNumbers[] =
    "l_orderkey: {nullable: false, min: 1}, l_partkey: {nullable: false, min: 1, max: 200000},"
    "l_suppkey: {nullable: false, min: 1, max: 10000},"
    "l_linenumber: {nullable: false, min: 1, max: 7},"
    "l_quantity: {nullable: false, min: 1, max: 50}, l_extendedprice: {nullable: false, min: 0},"
    "l_discount: {nullable: false, min: 0, max: 1}, l_tax: {nullable: false, min: 0, max: 0.08},"
    "l_shipdate: {nullable: false, min: 1992-01-01, max: 1998-12-31},"
    "l_commitdate: {nullable: false, min: 1992-01-01, max: 1998-12-31},"
    "l_receiptdate: {nullable: false, min: 1992-01-01, max: 1998-12-31}";
constexpr char kTexts[] =
    "l_returnflag: {nullable: false, allowed: [A, N, R]},"
    "l_linestatus: {nullable: false, allowed: [O, F]},"
    "l_shipinstruct: {nullable: false, max_length: 25},"
    "l_shipmode: {nullable: false, pattern: '[A-Z ]+'},"
    "l_comment: {nullable: false, min_length: 1, max_length: 44}";
const std::string kAll = std::string(kNumbers) + "," + kTexts;

BENCHMARK_CAPTURE(Check, all_columns_utf8, Rows<Utf8>, kAll.c_str());
BENCHMARK_CAPTURE(Check, all_columns_views, Rows<Views>, kAll.c_str());
BENCHMARK_CAPTURE(Check, all_columns_dictionary, Rows<Dictionary>, kAll.c_str());
BENCHMARK_CAPTURE(Check, integer_range, Rows<Utf8>, "l_partkey: {min: 0, max: 9999999}");
BENCHMARK_CAPTURE(Check, decimal_range, Rows<Utf8>, "l_quantity: {min: 0, max: 999999}");
BENCHMARK_CAPTURE(Check, double_range, Rows<Utf8>, "l_discount: {min: 0, max: 1}");
BENCHMARK_CAPTURE(Check, date_range, Rows<Utf8>, "l_shipdate: {max: 2030-01-01}");
BENCHMARK_CAPTURE(Check, length_utf8, Rows<Utf8>, "l_comment: {min_length: 1, max_length: 44}");
BENCHMARK_CAPTURE(Check, length_views, Rows<Views>, "l_comment: {min_length: 1, max_length: 44}");
BENCHMARK_CAPTURE(Check, allowed_utf8, Rows<Utf8>, "l_returnflag: {allowed: [A, N, R]}");
BENCHMARK_CAPTURE(Check, allowed_views, Rows<Views>, "l_returnflag: {allowed: [A, N, R]}");
constexpr char kInstructions[] =
    "l_shipinstruct: {allowed: [DELIVER IN PERSON, COLLECT COD, NONE, TAKE BACK RETURN]}";
BENCHMARK_CAPTURE(Check, allowed_long_utf8, Rows<Utf8>, kInstructions);
BENCHMARK_CAPTURE(Check, allowed_long_views, Rows<Views>, kInstructions);
BENCHMARK_CAPTURE(Check, allowed_long_dictionary, Rows<Dictionary>, kInstructions);
BENCHMARK_CAPTURE(Check, pattern_utf8, Rows<Utf8>, "l_shipmode: {pattern: '[A-Z ]+'}");
BENCHMARK_CAPTURE(Check, pattern_views, Rows<Views>, "l_shipmode: {pattern: '[A-Z ]+'}");
BENCHMARK_CAPTURE(Check, pattern_all_different_utf8, Rows<Utf8>, "l_comment: {pattern: '[a-z]+'}");
BENCHMARK_CAPTURE(Check, pattern_all_different_views, Rows<Views>,
                  "l_comment: {pattern: '[a-z]+'}");

void Unique(benchmark::State& state) {
  const auto batch = Rows<Utf8>();
  RowMarks marks;
  marks.Reset(kRows);
  for ([[maybe_unused]] auto _ : state) {
    UniqueKeys keys("/dev/null", kRows + 1);
    benchmark::DoNotOptimize(keys.Add(*batch->column(0), marks, 0, 0));
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(Unique);

}  // namespace
}  // namespace bulkhaul
