#include "transform/contract.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>
#include <arrow/io/file.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> ArrayOf(Builder builder,
                                      const std::vector<std::optional<Value>>& values) {
  for (const auto& value : values) {
    EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}

using Ints = std::vector<std::optional<int64_t>>;
using Texts = std::vector<std::optional<std::string>>;

std::shared_ptr<arrow::RecordBatch> Rows(const Ints& ids, const Texts& names) {
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8())}),
      static_cast<int64_t>(ids.size()),
      {ArrayOf(arrow::Int64Builder(), ids), ArrayOf(arrow::StringBuilder(), names)});
}

class ContractTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("bulkhaul_contract_" + NewId());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Set(const char* name, const char* text) {
    ASSERT_TRUE(options_.SetFromText(name, text).ok());
  }
  std::unique_ptr<ContractTransform> Make(const std::string& contract,
                                          const std::shared_ptr<arrow::Schema>& schema) {
    Dataset dataset;
    dataset.id = {"", "t"};
    dataset.contract = contract;
    dataset.options = options_;
    auto transform = ContractTransform::Make(dataset).ValueOrDie();
    TransformResources resources;
    resources.job_folder = folder_.string();
    resources.attempt = fmt::format("a{}", attempts_++);
    resources.bytes_max = bytes_max_;
    transform->Use(resources);
    EXPECT_TRUE(transform->Bind(schema).ok());
    return transform;
  }
  // One unit of these batches, as the runner would keep it.
  Result<StagedResult> Unit(const std::string& contract,
                            const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                            std::vector<std::shared_ptr<arrow::RecordBatch>>* passed = nullptr) {
    auto transform = Make(contract, batches[0]->schema());
    transform->Locate([](int64_t row) { return RowPlace{"a.csv", row + 2}; });
    StagedResult unit;
    unit.unit_id = fmt::format("0.{}", attempts_ - 1);
    for (const auto& batch : batches) {
      ARROW_ASSIGN_OR_RAISE(auto out, transform->Apply(batch, arrow::default_memory_pool()));
      unit.rows_read += batch->num_rows();
      unit.rows_written += out->num_rows();
      if (passed != nullptr) passed->push_back(std::move(out));
    }
    unit.rows_rejected = transform->rows_rejected();
    EXPECT_EQ(unit.rows_read, unit.rows_written + unit.rows_rejected);
    ARROW_ASSIGN_OR_RAISE(unit.transform_states["contract"], transform->FinishUnit());
    return unit;
  }
  std::string Refusal(const std::string& contract,
                      const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
    const auto unit = Unit(contract, batches);
    if (!unit.ok()) return MessageOf(unit.status());
    const Status status =
        Make(contract, batches[0]->schema())->Conclude(std::vector<StagedResult>{*unit});
    return status.ok() ? "accepted" : MessageOf(status);
  }

  std::vector<std::string> Lines(const std::vector<StagedResult>& units) {
    Dataset dataset;
    dataset.options = options_;
    return DescribeRejects(dataset, units).ValueOrDie();
  }

  std::filesystem::path folder_;
  Options options_;
  int attempts_ = 0;
  int64_t bytes_max_ = 1 << 20;
};

TEST_F(ContractTest, RowsWithinTheRulesPassUntouched) {
  const auto batch = Rows({1, 2, std::nullopt}, {"a", "bé", "c"});
  std::vector<std::shared_ptr<arrow::RecordBatch>> passed;
  const auto unit = Unit(
      "columns: {id: {type: int64, min: 1, max: 2}, name: {type: string, "
      "nullable: false, min_length: 1, max_length: 2, pattern: '[a-zé]+'}}",
      {batch}, &passed);
  ASSERT_TRUE(unit.ok()) << unit.status();
  EXPECT_TRUE(passed[0]->column(0)->Equals(*batch->column(0)));
  EXPECT_FALSE(passed[0]->schema()->field(1)->nullable()) << "proven";
  EXPECT_TRUE(passed[0]->schema()->field(0)->nullable());
}

TEST_F(ContractTest, AnErrorNamesPlaceColumnRuleAndValue) {
  EXPECT_THAT(Refusal("columns: {id: {type: int64, max: 5}}", {Rows({1, 7}, {"a", "b"})}),
              HasSubstr("contract: a.csv, line 3: column 'id' holds 7, which breaks the rule max: "
                        "5. Mend"));
}

TEST_F(ContractTest, EachRuleFindsItsBreach) {
  const auto broken = [&](const std::string& rules, std::optional<int64_t> id,
                          std::optional<std::string> name) {
    const auto message = Refusal("columns: {" + rules + "}", {Rows({1, id}, {"ab", name})});
    const auto at = message.find("breaks the rule ");
    return at == std::string::npos ? message
                                   : message.substr(at + 16, message.find(". Mend") - at - 16);
  };
  EXPECT_EQ(broken("id: {nullable: false}", std::nullopt, "x"), "nullable: false");
  EXPECT_EQ(broken("id: {min: 0}", -1, "x"), "min: 0");
  EXPECT_EQ(broken("id: {min: 0, max: 9}", 10, "x"), "max: 9");
  EXPECT_EQ(broken("id: {allowed: [1, 2]}", 3, "x"), "allowed: [1, 2]");
  EXPECT_EQ(broken("id: {allowed: [1, 2]}", std::nullopt, "x"), "accepted");
  EXPECT_EQ(broken("name: {min_length: 2}", 1, "é"), "min_length: 2");
  EXPECT_EQ(broken("name: {min_length: 2}", 1, "éé"), "accepted");
  EXPECT_EQ(broken("name: {max_length: 2}", 1, "ééé"), "max_length: 2");
  EXPECT_EQ(broken("name: {max_length: 2}", 1, "éé"), "accepted");
  EXPECT_EQ(broken("name: {pattern: 'a|ab'}", 1, "abc"), "pattern: a|ab");
  EXPECT_EQ(broken("name: {pattern: 'a|ab'}", 1, std::nullopt), "accepted");
  EXPECT_EQ(broken("name: {allowed: [ab, cd]}", 1, "ef"), "allowed: [ab, cd]");
}

// Every type with an order, at its bounds, beside a NULL whose hidden value is out of range.
TEST_F(ContractTest, RangesOfEveryOrderedType) {
  const auto check = [&](const std::shared_ptr<arrow::DataType>& type, const char* min,
                         const char* max, const std::vector<const char*>& values) {
    arrow::ArrayVector parts;
    for (const char* value : values) {
      parts.push_back(arrow::MakeArrayFromScalar(*ParseContractValue(type, value).ValueOrDie(), 1)
                          .ValueOrDie());
    }
    parts.push_back(arrow::MakeArrayOfNull(type, 1).ValueOrDie());
    // A slice, so that offsets count.
    const auto whole = arrow::Concatenate(parts).ValueOrDie();
    const auto array = whole->Slice(1);
    ContractColumn column;
    column.name = "v";
    column.min = min;
    column.max = max;
    std::vector<RuleName> names;
    auto rules = ColumnRules::Make(column, 0, type, &names).ValueOrDie();
    RowMarks marks;
    marks.Reset(array->length());
    EXPECT_TRUE(rules.Check(array, 0, arrow::default_memory_pool(), &marks).ok());
    std::vector<int> found;
    for (int64_t i = 0; i < array->length(); ++i) found.push_back(marks.RuleOf(i));
    return found;
  };
  const auto expected = ElementsAre(-1, -1, 0, 1, -1);
  const std::vector<const char*> numbers = {"9", "2", "5", "1", "6"};
  for (const auto& type :
       {arrow::int8(), arrow::int16(), arrow::int32(), arrow::int64(), arrow::uint8(),
        arrow::uint16(), arrow::uint32(), arrow::uint64(), arrow::float32(), arrow::float64(),
        arrow::decimal128(10, 2), arrow::decimal256(50, 2)}) {
    EXPECT_THAT(check(type, "2", "5", numbers), expected) << type->ToString();
  }
  EXPECT_THAT(
      check(arrow::decimal128(10, 2), "-1.50", "1.50", {"0", "-1.5", "1.5", "-1.51", "1.51"}),
      expected);
  const std::vector<const char*> days = {"2024-06-01", "2024-01-02", "2024-01-05", "2024-01-01",
                                         "2024-01-06"};
  for (const auto& type :
       {arrow::date32(), arrow::date64(), arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
        arrow::timestamp(arrow::TimeUnit::SECOND)}) {
    EXPECT_THAT(check(type, "2024-01-02", "2024-01-05", days), expected) << type->ToString();
  }
  EXPECT_THAT(check(arrow::time64(arrow::TimeUnit::MICRO), "02:00:00", "05:00:00",
                    {"09:00:00", "02:00:00", "05:00:00", "01:59:59", "05:00:01"}),
              expected);
  EXPECT_THAT(check(arrow::float64(), "2", "5", {"9", "2", "5", "nan", "6"}),
              ElementsAre(-1, -1, 1, 1, -1));
}

TEST_F(ContractTest, ARowThatPassedIsFoundAmongTheOnesThatCame) {
  Set("reject", "quarantine");
  const auto batch = Rows({9, 1, 9, 9, 2, 3}, {"a", "b", "c", "d", "e", "f"});
  const auto transform = Make("columns: {id: {type: int64, max: 5}}", batch->schema());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(transform->Apply(batch, arrow::default_memory_pool()).ok());
  }
  std::vector<int64_t> before;
  for (int64_t row = 0; row < 6; ++row) before.push_back(transform->RowBefore(row));
  EXPECT_THAT(before, ElementsAre(1, 4, 5, 7, 10, 11));
}

TEST_F(ContractTest, RejectedRowsKeepTheirPlaceAndAllColumns) {
  Set("reject", "quarantine");
  std::vector<std::shared_ptr<arrow::RecordBatch>> passed;
  const std::string contract =
      "columns: {id: {type: int64, nullable: false, max: 5}, name: {type: string, max_length: 3}}";
  std::vector<StagedResult> units;
  units.push_back(
      Unit(contract, {Rows({1, 9, 3}, {"a", "b", "long name"}), Rows({4}, {"d"})}, &passed)
          .ValueOrDie());
  units.push_back(Unit(contract, {Rows({std::nullopt}, {"e"})}, &passed).ValueOrDie());
  EXPECT_EQ(units[0].rows_rejected, 2);
  EXPECT_EQ(passed[0]->num_rows(), 1);
  EXPECT_EQ(passed[1]->num_rows(), 1);
  EXPECT_EQ(passed[2]->num_rows(), 0);
  EXPECT_THAT(Lines(units), ElementsAre("contract: 1 row rejected: id, max: 5",
                                        "contract: 1 row rejected: id, nullable: false",
                                        "contract: 1 row rejected: name, max_length: 3"));

  const std::string path = (folder_ / "new" / "t.parquet").string();
  EXPECT_EQ(WriteQuarantine(units, path).ValueOrDie(), 3);
  const auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
  const auto table = reader->ReadTable().ValueOrDie();
  EXPECT_THAT(
      table->schema()->field_names(),
      ElementsAre("_file", "_line", "_row", "_column", "_rule", "_value", "_text", "id", "name"));
  const auto cell = [&](const char* column, int64_t row) {
    return table->GetColumnByName(column)->GetScalar(row).ValueOrDie()->ToString();
  };
  EXPECT_EQ(cell("_file", 0), "a.csv");
  EXPECT_EQ(cell("_line", 0), "3");
  EXPECT_EQ(cell("_row", 1), "3");
  EXPECT_EQ(cell("_rule", 1), "max_length: 3");
  EXPECT_EQ(cell("_value", 1), "long name");
  EXPECT_EQ(cell("id", 0), "9");
  EXPECT_EQ(cell("name", 2), "e");
  // Written again after a crash: the same file.
  EXPECT_EQ(WriteQuarantine(units, path).ValueOrDie(), 3);
  units[0].rows_rejected = 1;
  EXPECT_EQ(KindOf(WriteQuarantine(units, path).status()), ErrorKind::kBug);
}

// Rows that their source could not read go where those go that break rules.
TEST_F(ContractTest, RowsThatCannotBeReadArePutAside) {
  Set("reject", "quarantine");
  Set("max_rejects", "3");
  const auto pool = arrow::default_memory_pool();
  const std::vector<RefusedRow> refused = {
      {{"a.csv", 4}, "id", "type: int64", "x", "x,b"},
      {{"a.csv", 5}, "", "fields: 3 instead of 2", "", "1,b,c"}};
  for (const bool contract : {false, true}) {
    const std::string rules = contract ? "columns: {id: {max: 5}}" : "";
    const auto batch = Rows({1, 9, 2}, {"a", "b", "c"});
    auto transform = Make(rules, batch->schema());
    ASSERT_TRUE(*transform->Refused(refused, pool));
    const auto out = transform->Apply(batch, pool).ValueOrDie();
    EXPECT_EQ(out->num_rows(), contract ? 2 : 3);
    // Which of the rows that the source gave: those that are none are not among them.
    EXPECT_EQ(transform->RowBefore(1), contract ? 2 : 1);
    StagedResult unit;
    unit.rows_rejected = transform->rows_rejected();
    EXPECT_EQ(unit.rows_rejected, contract ? 3 : 2);
    unit.transform_states["contract"] = transform->FinishUnit().ValueOrDie();
    std::vector<std::string> says = {"not read: 1 row rejected: fields: 3 instead of 2",
                                     "not read: 1 row rejected: id, type: int64"};
    if (contract) says.push_back("contract: 1 row rejected: id, max: 5");
    EXPECT_EQ(Lines({unit}), says);
    // Of all units together.
    const auto many = Make(rules, batch->schema())->Conclude(std::vector{unit, unit});
    EXPECT_THAT(MessageOf(many), HasSubstr(contract ? "contract: more than 3 rows break rules "
                                                      "(max_rejects): fields: 3 instead of 2: 2; "
                                                      "id, type: int64: 2; id, max: 5: 2"
                                                    : "more than 3 rows cannot be read"));

    const std::string path = (folder_ / "t.parquet").string();
    EXPECT_EQ(WriteQuarantine(std::vector{unit}, path).ValueOrDie(), contract ? 3 : 2);
    const auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
    auto reader = parquet::arrow::OpenFile(file, pool).ValueOrDie();
    const auto table = reader->ReadTable().ValueOrDie();
    const auto cell = [&](const char* column, int64_t row) {
      return table->GetColumnByName(column)->GetScalar(row).ValueOrDie()->ToString();
    };
    EXPECT_EQ(cell("_line", 0), "4");
    EXPECT_EQ(cell("_row", 0), "null");
    EXPECT_EQ(cell("_column", 0), "id");
    EXPECT_EQ(cell("_value", 0), "x");
    EXPECT_EQ(cell("_text", 0), "x,b");
    EXPECT_EQ(cell("name", 0), "null");
    EXPECT_EQ(cell("_column", 1), "null");
    EXPECT_EQ(cell("_value", 1), "null");
    EXPECT_EQ(cell("_text", 1), "1,b,c");
    if (contract) {
      EXPECT_EQ(cell("_text", 2), "null");
      EXPECT_EQ(cell("_row", 2), "2");
    }
  }
  // Within a unit too.
  auto transform = Make("", Rows({}, {})->schema());
  ASSERT_TRUE(transform->Refused(refused, pool).ok());
  EXPECT_EQ(KindOf(transform->Refused(refused, pool).status()), ErrorKind::kUser);
}

// Rows that cannot be read are none of the rows that the contract counts.
TEST_F(ContractTest, RowsThatCannotBeReadAreNotCounted) {
  Set("reject", "quarantine");
  const std::string rules = "rows: {min: 2, max: 2}\ncolumns: {id: int64}";
  const auto batch = Rows({1, 2}, {"a", "b"});
  auto transform = Make(rules, batch->schema());
  const std::vector<RefusedRow> refused = {{{"a.csv", 4}, "id", "type: int64", "x", "x,b"}};
  ASSERT_TRUE(transform->Refused(refused, arrow::default_memory_pool()).ok());
  ASSERT_TRUE(transform->Apply(batch, arrow::default_memory_pool()).ok());
  StagedResult unit;
  unit.rows_rejected = 1;
  unit.transform_states["contract"] = transform->FinishUnit().ValueOrDie();
  EXPECT_TRUE(Make(rules, batch->schema())->Conclude(std::vector{unit}).ok());
}

TEST_F(ContractTest, TooManyRejectsFailInOneUnitOrOverAll) {
  Set("reject", "quarantine");
  Set("max_rejects", "2");
  const std::string contract = "columns: {id: {type: int64, max: 5}}";
  EXPECT_THAT(Refusal(contract, {Rows({7, 8, 9}, {"a", "b", "c"})}),
              HasSubstr("more than 2 rows break rules (max_rejects): id, max: 5: 3"));
  std::vector<StagedResult> units;
  for (int i = 0; i < 3; ++i) units.push_back(Unit(contract, {Rows({7}, {"a"})}).ValueOrDie());
  EXPECT_THAT(MessageOf(Make(contract, Rows({}, {})->schema())->Conclude(units)),
              HasSubstr("more than 2 rows break rules"));
  units.pop_back();
  EXPECT_TRUE(Make(contract, Rows({}, {})->schema())->Conclude(units).ok());
}

TEST_F(ContractTest, RowCountsAreOfPublishedRows) {
  Set("reject", "quarantine");
  const std::string contract = "columns: {id: {type: int64, max: 5}}\nrows: {min: 2, max: 3}";
  EXPECT_EQ(Refusal(contract, {Rows({1, 2, 9}, {"a", "b", "c"})}), "accepted");
  EXPECT_THAT(Refusal(contract, {Rows({1, 9, 9}, {"a", "b", "c"})}),
              HasSubstr("the table has 1 rows; the contract asks for at least 2"));
  EXPECT_THAT(Refusal(contract, {Rows({1, 2, 3, 4}, {"a", "b", "c", "d"})}),
              HasSubstr("at most 3"));
  // All rules that the table breaks.
  EXPECT_THAT(Refusal("columns: {id: {unique: true}, name: {unique: true}}\nrows: {min: 9}",
                      {Rows({1, 1}, {"a", "a"})}),
              AllOf(HasSubstr("contract: the table has 2 rows; the contract asks for at least 9; "
                              "column 'id' is unique"),
                    HasSubstr("; column 'name' is unique")));
}

TEST_F(ContractTest, UniqueHoldsOverAllUnitsAndRuns) {
  bytes_max_ = 24 * 3;  // three keys in memory
  const std::string contract =
      "columns: {id: {type: int64, unique: true}, name: {type: string, unique: true}}";
  std::vector<StagedResult> units;
  Ints ids;
  Texts names;
  for (int i = 0; i < 50; ++i) {
    ids.push_back((i * 37) % 50);
    names.push_back("name " + std::to_string(i));
  }
  ids.push_back(std::nullopt);
  ids.push_back(std::nullopt);
  names.push_back(std::nullopt);
  names.push_back(std::nullopt);
  units.push_back(Unit(contract, {Rows(ids, names)}).ValueOrDie());
  units.push_back(Unit(contract, {Rows({100}, {"x"})}).ValueOrDie());
  const auto schema = Rows({}, {})->schema();
  EXPECT_TRUE(Make(contract, schema)->Conclude(units).ok());
  units.push_back(Unit(contract, {Rows({101, 37}, {"y", "z"})}).ValueOrDie());
  EXPECT_THAT(
      MessageOf(Make(contract, schema)->Conclude(units)),
      HasSubstr("column 'id' is unique, but 1 of its values comes more than once: 37 in row "
                "2 of unit 0.0 (a.csv) and row 2 of unit 0.3"));
  units.back() = Unit(contract, {Rows({102}, {"name 7"})}).ValueOrDie();
  EXPECT_THAT(MessageOf(Make(contract, schema)->Conclude(units)),
              HasSubstr("column 'name' is unique, but 1 of its values comes more than once: the "
                        "first in row 8 of unit 0.0 (a.csv) and row 1 of unit"));
}

TEST_F(ContractTest, UniqueLooksAtTheValuesOfDictionaries) {
  const auto rows = [](const Texts& texts) {
    const auto plain = ArrayOf(arrow::StringBuilder(), texts);
    const auto encoded = arrow::compute::DictionaryEncode(plain).ValueOrDie().make_array();
    return arrow::RecordBatch::Make(arrow::schema({arrow::field("v", encoded->type())}),
                                    encoded->length(), {encoded});
  };
  const std::string contract = "columns: {v: {unique: true, max_length: 3}}";
  EXPECT_EQ(Refusal(contract, {rows({"a", "b"}), rows({"c"})}), "accepted");
  EXPECT_THAT(Refusal(contract, {rows({"a", "b"}), rows({"b"})}), HasSubstr("more than once"));
  EXPECT_THAT(Refusal(contract, {rows({"long"})}), HasSubstr("max_length: 3"));
}

TEST_F(ContractTest, ViewsAreTextsLikeOthers) {
  const auto rows = [](const Texts& texts) {
    const auto views = ArrayOf(arrow::StringViewBuilder(), texts);
    return arrow::RecordBatch::Make(arrow::schema({arrow::field("v", arrow::utf8_view())}),
                                    views->length(), {views});
  };
  const std::string length = "columns: {v: {min_length: 2, max_length: 14}}";
  const std::string fourteen = "äöüßäöüßäöüßäö";  // 28 bytes
  EXPECT_EQ(Refusal(length, {rows({"ab", std::nullopt, fourteen})}), "accepted");
  EXPECT_THAT(Refusal(length, {rows({"ab", fourteen + "x"})}), HasSubstr("max_length: 14"));
  EXPECT_THAT(Refusal(length, {rows({"ab", "é"})}), HasSubstr("min_length: 2"));
  EXPECT_THAT(Refusal("columns: {v: {nullable: false}}", {rows({"a", std::nullopt})}),
              HasSubstr("nullable: false"));
  const std::string values = "columns: {v: {max_length: 3, allowed: [a, b, long]}}";
  EXPECT_EQ(Refusal(values, {rows({"a", std::nullopt, "b"})}), "accepted");
  EXPECT_THAT(Refusal(values, {rows({"a", "long"})}), HasSubstr("max_length: 3"));
  EXPECT_THAT(Refusal(values, {rows({"a", "c"})}), HasSubstr("allowed"));
}

// Take() has no kernel for views.
TEST_F(ContractTest, ViewsGoToQuarantineAndPass) {
  Set("reject", "quarantine");
  const std::string far = "too long to lie in its view";
  const auto rows = [](const Texts& texts) {
    const auto views = ArrayOf(arrow::StringViewBuilder(), texts);
    return arrow::RecordBatch::Make(arrow::schema({arrow::field("v", arrow::utf8_view())}),
                                    views->length(), {views});
  };
  std::vector<std::shared_ptr<arrow::RecordBatch>> passed;
  const auto unit =
      Unit("columns: {v: {allowed: [" + far + "x, b]}}",
           {rows({"skipped", far, std::nullopt, "b", far + "x", "c"})->Slice(1)}, &passed);
  ASSERT_TRUE(unit.ok()) << unit.status();
  EXPECT_EQ(unit->rows_rejected, 2);
  EXPECT_TRUE(passed[0]->Equals(*rows({std::nullopt, "b", far + "x"}))) << passed[0]->ToString();
  const std::string path = (folder_ / "t.parquet").string();
  EXPECT_EQ(WriteQuarantine(std::vector<StagedResult>{*unit}, path).ValueOrDie(), 2);
  const auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
  const auto table = reader->ReadTable().ValueOrDie();
  EXPECT_EQ(table->GetColumnByName("v")->GetScalar(0).ValueOrDie()->ToString(), far);
  EXPECT_EQ(table->GetColumnByName("v")->GetScalar(1).ValueOrDie()->ToString(), "c");
}

TEST_F(ContractTest, UniqueLooksAtTheTextsOfViews) {
  const auto rows = [](const Texts& texts) {
    const auto views = ArrayOf(arrow::StringViewBuilder(), texts);
    return arrow::RecordBatch::Make(arrow::schema({arrow::field("v", arrow::utf8_view())}),
                                    views->length(), {views});
  };
  const std::string contract = "columns: {v: {unique: true}}";
  EXPECT_EQ(Refusal(contract, {rows({"a", "b", std::nullopt}), rows({"c", std::nullopt})}),
            "accepted");
  EXPECT_THAT(Refusal(contract, {rows({"a", "b"}), rows({"c", "b"})}), HasSubstr("more than once"));
}

TEST_F(ContractTest, LostKeysAreAnErrorAndNoPass) {
  const std::string contract = "columns: {id: {type: int64, unique: true}}";
  const auto unit = Unit(contract, {Rows({1, 2}, {"a", "b"})}).ValueOrDie();
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    std::filesystem::remove(entry.path());
  }
  const auto verdict =
      Make(contract, Rows({}, {})->schema())->Conclude(std::vector<StagedResult>{unit});
  EXPECT_THAT(MessageOf(verdict), HasSubstr("cannot be read"));
}

TEST_F(ContractTest, AnAttemptThatFailsLeavesNoFile) {
  bytes_max_ = 24;
  EXPECT_FALSE(Unit("columns: {id: {type: int64, unique: true, max: 3}}",
                    {Rows({1, 2, 3}, {"a", "b", "c"}), Rows({4}, {"d"})})
                   .ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(ContractTest, FreshnessLooksAtTheYoungestValue) {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const auto type = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  const auto rows = [&](const Ints& hours_ago) {
    arrow::TimestampBuilder builder(type, arrow::default_memory_pool());
    for (const auto& hours : hours_ago) {
      EXPECT_TRUE(
          (hours ? builder.Append(now - *hours * 3'600'000'000) : builder.AppendNull()).ok());
    }
    return arrow::RecordBatch::Make(arrow::schema({arrow::field("at", type)}),
                                    static_cast<int64_t>(hours_ago.size()),
                                    {builder.Finish().ValueOrDie()});
  };
  const std::string contract =
      "columns: {at: {type: timestamptz}}\nfreshness: {column: at, max_age: 24h}";
  EXPECT_EQ(Refusal(contract, {rows({100, 5, std::nullopt}), rows({50})}), "accepted");
  EXPECT_THAT(Refusal(contract, {rows({100, 50})}), HasSubstr("the youngest value is 20"));
  EXPECT_THAT(Refusal(contract, {rows({std::nullopt})}), HasSubstr("there is no value in column"));
}

TEST_F(ContractTest, ASampleIsTheSameRowsEachTimeAndIsTold) {
  Set("sample", "0.1");
  Ints ids;
  Texts names;
  for (int64_t i = 0; i < 20'480; ++i) {
    ids.push_back(i);
    names.push_back("x");
  }
  // Only the blocks that are looked at can fail: the first one, not the second.
  const std::string passing = "columns: {id: {type: int64, nullable: false}}";
  const auto unit = Unit(passing, {Rows(ids, names)}).ValueOrDie();
  const auto again =
      Unit(passing, {Rows(ids, names)->Slice(0, 700), Rows(ids, names)->Slice(700)}).ValueOrDie();
  EXPECT_EQ(unit.transform_states, again.transform_states) << "batches do not matter";
  const auto transform = Make(passing, Rows({}, {})->schema());
  EXPECT_TRUE(transform->Bind(Rows({}, {})->schema()).ValueOrDie()->field(0)->nullable())
      << "a sample proves nothing";
  const auto lines = Lines({unit});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], HasSubstr("of 20,480 rows were looked at (sample: 0.1)"));
  ids[1500] = -1;
  EXPECT_EQ(Refusal("columns: {id: {type: int64, min: 0}}", {Rows(ids, names)}), "accepted");
  ids[5] = -1;
  EXPECT_THAT(Refusal("columns: {id: {type: int64, min: 0}}", {Rows(ids, names)}),
              HasSubstr("holds -1"));
}

TEST_F(ContractTest, ACountThatDoesNotAgreeIsABug) {
  const std::string contract = "columns: {id: {type: int64}}";
  auto unit = Unit(contract, {Rows({1}, {"a"})}).ValueOrDie();
  unit.rows_rejected = 1;
  EXPECT_EQ(
      KindOf(Make(contract, Rows({}, {})->schema())->Conclude(std::vector<StagedResult>{unit})),
      ErrorKind::kBug);
}

}  // namespace
}  // namespace bulkhaul
