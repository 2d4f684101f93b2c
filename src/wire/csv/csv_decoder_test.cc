#include "wire/csv/csv_decoder.h"

#include <algorithm>

#include <arrow/api.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "wire/csv/csv_value.h"

namespace bulkhaul::csv {
namespace {

CsvColumn Column(const std::string& name, std::shared_ptr<arrow::DataType> type, int field) {
  CsvColumn column;
  column.name = name;
  column.type.type = std::move(type);
  column.field = field;
  return column;
}

std::unique_ptr<CsvDecoder> Decoder(std::vector<CsvColumn> columns, CsvReading reading = {}) {
  reading.fields = static_cast<int>(columns.size());
  return CsvDecoder::Make(reading, std::move(columns), arrow::default_memory_pool()).ValueOrDie();
}

std::unique_ptr<CsvDecoder> Texts(int fields, CsvReading reading = {}) {
  std::vector<CsvColumn> columns;
  for (int i = 0; i < fields; ++i) {
    columns.push_back(Column("c" + std::to_string(i), arrow::utf8(), i));
  }
  return Decoder(std::move(columns), reading);
}

using Rows = std::vector<std::vector<std::string>>;

Result<Rows> RowsOf(CsvDecoder& decoder, std::string_view text, bool last = true,
                    size_t* used = nullptr) {
  ARROW_ASSIGN_OR_RAISE(const size_t bytes, decoder.Index(text, last, 1));
  if (used != nullptr) *used = bytes;
  ARROW_ASSIGN_OR_RAISE(const auto batch, decoder.Decode(0, decoder.rows()));
  EXPECT_TRUE(batch->ValidateFull().ok());
  Rows rows(static_cast<size_t>(batch->num_rows()));
  for (const auto& column : batch->columns()) {
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      rows[static_cast<size_t>(row)].push_back(
          column->IsNull(row) ? "NULL" : column->GetScalar(row).ValueOrDie()->ToString());
    }
  }
  return rows;
}

std::string MessageOfText(CsvDecoder& decoder, std::string_view text) {
  const auto rows = RowsOf(decoder, text);
  return rows.ok() ? "no error" : MessageOf(rows.status());
}

TEST(CsvDecoder, QuotesDelimitersAndLineEnds) {
  EXPECT_EQ(RowsOf(*Texts(2), "a,b\n\"x,\"\"y\"\"\n\",\r\n\"\",z").ValueOrDie(),
            (Rows{{"a", "b"}, {"x,\"y\"\n", "NULL"}, {"", "z"}}));
  // A quote inside an unquoted field is an ordinary character, a blank line no row.
  EXPECT_EQ(RowsOf(*Texts(2), "5\" pipe,b\n\nc\"d\"\"e,\"f\"\n").ValueOrDie(),
            (Rows{{"5\" pipe", "b"}, {"c\"d\"\"e", "f"}}));
  EXPECT_EQ(RowsOf(*Texts(1), "a\n\n\"\"\n").ValueOrDie(), (Rows{{"a"}, {"NULL"}, {""}}));
  CsvReading escapes;
  escapes.dialect.escape = '\\';
  EXPECT_EQ(RowsOf(*Texts(2, escapes), "\"a\\\"b\\\\\",c\\,d\n").ValueOrDie(),
            (Rows{{"a\"b\\", "c,d"}}));
  CsvReading old;
  old.dialect.row_end = '\r';
  EXPECT_EQ(RowsOf(*Texts(2, old), "a,b\rc,d\r").ValueOrDie(), (Rows{{"a", "b"}, {"c", "d"}}));
}

TEST(CsvDecoder, TypesAreExactOrAnError) {
  const auto decoder = Decoder({Column("i", arrow::int64(), 0), Column("d", arrow::float64(), 1),
                                Column("n", arrow::decimal128(9, 2), 2),
                                Column("t", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), 3),
                                Column("b", arrow::boolean(), 4)});
  EXPECT_EQ(RowsOf(*decoder,
                   "-9223372036854775808,0.1,12.5,2024-02-29T12:00:00.25+01:00,true\n"
                   "\"7\",1e300,-0.01,1969-12-31 23:59:59Z,False\n,\"\",,,\n")
                .ValueOrDie(),
            (Rows{{"-9223372036854775808", "0.1", "12.50", "2024-02-29 11:00:00.250000Z", "true"},
                  {"7", "1e+300", "-0.01", "1969-12-31 23:59:59.000000Z", "false"},
                  {"NULL", "NULL", "NULL", "NULL", "NULL"}}));
  const auto refused = [&](const std::string& row, const std::string& column) {
    const auto message = MessageOfText(*decoder, "1,1,1,,\n" + row + "\n");
    EXPECT_TRUE(message.starts_with("line 2, column '" + column + "'")) << message;
  };
  refused("9223372036854775808,1,1,,", "i");
  refused("1.5,1,1,,", "i");
  refused("1,9007199254740993,1,,", "d");
  refused("1,0.123456789012345678,1,,", "d");
  refused("1,1,1.005,,", "n");
  refused("1,1,12345678.00,,", "n");
  refused("1,1,1,2024-02-30 00:00:00Z,", "t");
  refused("1,1,1,2024-02-03 00:00:00,", "t");
  refused("1,1,1,2024-02-03 00:00:00.1234567Z,", "t");
  refused("1,1,1,,maybe", "b");
}

TEST(CsvDecoder, TextsOfNullComeBeforeTheValuesThatTheyLookLike) {
  const auto null_of = [](std::shared_ptr<arrow::DataType> type, const std::string& null,
                          const std::string& row, const std::string& format = "") {
    CsvColumn column = Column("c", std::move(type), 0);
    column.type.nulls = {"none", null};
    column.type.date_format = format;
    std::vector<CsvColumn> columns;
    columns.push_back(std::move(column));
    return RowsOf(*Decoder(std::move(columns)), row).ValueOrDie();
  };
  const Rows null = {{"NULL"}};
  for (const auto& type : {arrow::int8(), arrow::int16(), arrow::int32(), arrow::int64(),
                           arrow::float32(), arrow::float64(), arrow::decimal128(9, 2)}) {
    EXPECT_EQ(null_of(type, "-99", "-99\n"), null) << type->ToString();
    EXPECT_EQ(null_of(type, "-99", "\"-99\"\n"), null) << type->ToString();
    EXPECT_EQ(null_of(type, "-99", "none\n"), null) << type->ToString();
    EXPECT_NE(null_of(type, "-99", "-9\n"), null) << type->ToString();
  }
  for (const auto& type : {arrow::uint8(), arrow::uint16(), arrow::uint32(), arrow::uint64()}) {
    EXPECT_EQ(null_of(type, "99", "99\n"), null) << type->ToString();
  }
  EXPECT_EQ(null_of(arrow::float64(), "NaN", "NaN\n"), null);
  EXPECT_EQ(null_of(arrow::boolean(), "no", "no\nyes\n"), (Rows{{"NULL"}, {"true"}}));
  EXPECT_EQ(null_of(arrow::date32(), "9999-12-31", "9999-12-31\n"), null);
  EXPECT_EQ(null_of(arrow::date32(), "99991231", "99991231\n", "yyyyMMdd"), null);
  EXPECT_EQ(null_of(arrow::time64(arrow::TimeUnit::MICRO), "00:00:00", "00:00:00\n"), null);
  EXPECT_EQ(
      null_of(arrow::timestamp(arrow::TimeUnit::MICRO), "1900-01-01 00:00", "1900-01-01 00:00\n"),
      null);
}

TEST(CsvDecoder, BrokenRowsNameTheirLine) {
  const auto two = Texts(2);
  EXPECT_TRUE(MessageOfText(*two, "a,b\nc\n").starts_with("line 2: the row has 1 fields"));
  EXPECT_TRUE(MessageOfText(*two, "a,b\n\"x\ny\",c,d\n").starts_with("line 2: the row has 3"));
  EXPECT_TRUE(MessageOfText(*two, "a,b\n\"c,d\ne,f\n").starts_with("line 2: a quote"));
  EXPECT_NE(MessageOfText(*two, "a,b\n\"c\"x,d\n").find("line 2, column 'c0': text stands"),
            std::string::npos);
  EXPECT_NE(
      MessageOfText(*two, "a,b\n\xFF,d\n").find("line 2, column 'c0': '?' is not valid UTF-8"),
      std::string::npos);
}

TEST(CsvDecoder, RowsBeforeErrorsAreGivenOutFirst) {
  CsvReading reading;
  reading.rows_before_errors = true;
  const auto two = Texts(2, reading);
  for (const std::string broken : {"c\n", "c,d,e\n", "\"c,d\n"}) {
    const std::string text = "a,b\n\n\"x\ny\",z\n" + broken;
    size_t used = 0;
    EXPECT_EQ(RowsOf(*two, text, true, &used).ValueOrDie(), (Rows{{"a", "b"}, {"x\ny", "z"}}));
    EXPECT_EQ(text.substr(used), broken);
    const auto rest = two->Index(broken, true, 5);
    ASSERT_FALSE(rest.ok());
    EXPECT_TRUE(MessageOf(rest.status()).starts_with("line 5: ")) << rest.status().ToString();
  }
}

TEST(CsvDecoder, AFailedBatchCountsNothing) {
  CsvReading reading;
  reading.misfit = OnMisfit::kNull;
  const auto decoder =
      Decoder({Column("i", arrow::int64(), 0), Column("t", arrow::utf8(), 1)}, reading);
  ASSERT_TRUE(decoder->Index("x,a\n2,\xFF\n", true, 1).ok());
  EXPECT_FALSE(decoder->Decode(0, 2).ok());
  ASSERT_TRUE(decoder->Decode(0, 1).ok());
  EXPECT_EQ(decoder->counters().at("type_mismatch_null"), 1);
}

TEST(CsvDecoder, PoliciesCount) {
  CsvReading reading;
  reading.ragged = OnRagged::kPad;
  reading.misfit = OnMisfit::kNull;
  reading.invalid_utf8 = OnInvalidUtf8::kReplace;
  const auto padding =
      Decoder({Column("i", arrow::int64(), 0), Column("t", arrow::utf8(), 1)}, reading);
  EXPECT_EQ(RowsOf(*padding, "1\nx,\xC3\n2,b\n").ValueOrDie(),
            (Rows{{"1", "NULL"}, {"NULL", "\xEF\xBF\xBD"}, {"2", "b"}}));
  EXPECT_EQ(padding->counters(),
            (std::map<std::string, int64_t>{
                {"ragged_padded", 1}, {"type_mismatch_null", 1}, {"invalid_utf8_replaced", 1}}));
  reading.ragged = OnRagged::kSkip;
  const auto skipping = Texts(2, reading);
  EXPECT_EQ(RowsOf(*skipping, "a\nb,c\nd,e,f\n").ValueOrDie(), (Rows{{"b", "c"}}));
  EXPECT_EQ(skipping->counters().at("ragged_skipped"), 2);
}

// "line 3 c0 value | row's text", or the number of fields.
std::vector<std::string> Told(CsvDecoder& decoder) {
  std::vector<std::string> told;
  for (const auto& row : decoder.TakeRefused()) {
    const bool whole = row.reason == CsvRefused::Reason::kFields;
    told.push_back("line " + std::to_string(row.line) + " " +
                   (whole ? std::to_string(row.fields) : row.column + " " + row.value) + " | " +
                   row.text);
  }
  return told;
}

TEST(CsvDecoder, RowsThatAreNoneAreSetAside) {
  CsvReading reading;
  reading.refused_max = 10;
  const auto decoder =
      Decoder({Column("i", arrow::int32(), 0), Column("s", arrow::utf8(), 1)}, reading);
  EXPECT_EQ(
      RowsOf(*decoder,
             "1,a\n2\nx,\"b\nb\"\r\n3,\xFF\n4,c\n\n5,\"d\"e\n6,f,g\ny,\xFE\n7,h\n3000000000,i\n8,")
          .ValueOrDie(),
      (Rows{{"1", "a"}, {"4", "c"}, {"7", "h"}, {"8", "NULL"}}));
  EXPECT_EQ(decoder->LineOfDecoded(0), 1);
  EXPECT_EQ(decoder->LineOfDecoded(1), 6);
  EXPECT_EQ(decoder->LineOfDecoded(2), 11);
  EXPECT_EQ(decoder->LineOfDecoded(3), 13);
  EXPECT_TRUE(decoder->has_refused());
  // Of each row the first reason.
  EXPECT_EQ(Told(*decoder),
            (std::vector<std::string>{
                "line 2 1 | 2", "line 3 i x | x,\"b\nb\"", "line 5 s \xEF\xBF\xBD | 3,\xEF\xBF\xBD",
                "line 8 s \"d\"e | 5,\"d\"e", "line 9 3 | 6,f,g", "line 10 i y | y,\xEF\xBF\xBD",
                "line 12 i 3000000000 | 3000000000,i"}));
  EXPECT_FALSE(decoder->has_refused());
  EXPECT_TRUE(decoder->counters().empty());
  // A batch of none, and one where all are good.
  EXPECT_EQ(RowsOf(*decoder, "x,a\ny,b\n").ValueOrDie(), Rows{});
  EXPECT_EQ(Told(*decoder).size(), 2U);
  EXPECT_EQ(RowsOf(*decoder, "1,a\n2,b\n").ValueOrDie(), (Rows{{"1", "a"}, {"2", "b"}}));
  EXPECT_EQ(decoder->LineOfDecoded(1), 2);
  // A quote that is never closed may have swallowed rows.
  EXPECT_NE(MessageOfText(*decoder, "1,\"a\n2,b\n").find("never closed"), std::string::npos);
}

TEST(CsvDecoder, OptionsOfAKindComeBeforeSettingAside) {
  CsvReading reading;
  reading.refused_max = 10;
  reading.ragged = OnRagged::kPad;
  reading.misfit = OnMisfit::kNull;
  reading.invalid_utf8 = OnInvalidUtf8::kReplace;
  const auto lenient =
      Decoder({Column("i", arrow::int32(), 0), Column("s", arrow::utf8(), 1)}, reading);
  EXPECT_EQ(RowsOf(*lenient, "1\nx,a\n2,\xFF\n3,b,c\n4,\"d\"e\n").ValueOrDie(),
            (Rows{{"1", "NULL"}, {"NULL", "a"}, {"2", "\xEF\xBF\xBD"}}));
  EXPECT_EQ(Told(*lenient),
            (std::vector<std::string>{"line 4 3 | 3,b,c", "line 5 s \"d\"e | 4,\"d\"e"}));
  reading.ragged = OnRagged::kSkip;
  const auto skipping = Texts(2, reading);
  EXPECT_EQ(RowsOf(*skipping, "a\nb,c\n").ValueOrDie(), (Rows{{"b", "c"}}));
  EXPECT_FALSE(skipping->has_refused());
}

TEST(CsvDecoder, FewOfTooManyRowsAreToldOf) {
  CsvReading reading;
  reading.refused_max = 2;
  const auto decoder =
      Decoder({Column("i", arrow::int32(), 0), Column("s", arrow::utf8(), 1)}, reading);
  std::string text;
  for (int i = 0; i < 100; ++i) text += "x,a\nragged\n";
  EXPECT_EQ(RowsOf(*decoder, text).ValueOrDie(), Rows{});
  EXPECT_EQ(Told(*decoder), (std::vector<std::string>{"line 1 i x | x,a", "line 2 1 | ragged",
                                                      "line 3 i x | x,a", "line 4 1 | ragged",
                                                      "line 5 i x | x,a", "line 6 1 | ragged"}));
}

TEST(CsvValue, DoublesAreTheNearest) {
  EXPECT_TRUE(rc::check("as strtod", [] {
    const auto digits = *rc::gen::inRange<int>(1, 18);
    std::string text = *rc::gen::element<std::string>("", "-");
    for (int i = 0; i < digits; ++i) text += static_cast<char>('0' + *rc::gen::inRange(0, 10));
    const auto point = *rc::gen::inRange<size_t>(text[0] == '-' ? 2 : 1, text.size() + 1);
    text.insert(point, ".");
    text += *rc::gen::element<std::string>("", "e5", "e-20", "E+7");
    double value = 0;
    RC_ASSERT(ParseDouble(text, &value));
    RC_ASSERT(value == std::strtod(text.c_str(), nullptr));
  }));
}

// One byte after the other, as RFC 4180 and this program's rule about stray quotes have it.
std::vector<size_t> RowBeginsOneByOne(std::string_view text, const CsvDialect& dialect) {
  std::vector<size_t> begins = {0};
  bool quoted = false, may_open = true, at_begin = true;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == dialect.quote && (quoted || may_open)) {
      may_open = quoted;
      quoted = !quoted;
      at_begin = false;
    } else if (!quoted) {
      at_begin = text[i] == dialect.delimiter || text[i] == dialect.row_end ||
                 (dialect.trim && at_begin && text[i] == ' ');
      may_open = at_begin;
      if (text[i] == dialect.row_end) begins.push_back(i + 1);
    }
  }
  return begins;
}

std::string AnyCsv() {
  return *rc::gen::container<std::string>(rc::gen::weightedElement<char>(
      {{6, 'a'}, {3, '"'}, {3, ','}, {2, ' '}, {2, '\n'}, {1, '\r'}, {1, '5'}}));
}

TEST(CsvScanner, AnyCutPointBeginsARowOfTheSequentialRead) {
  EXPECT_TRUE(rc::check("cuts are row begins, and the next one at or after the wish", [] {
    std::string text;
    for (int i = 0; i < 8; ++i) text += AnyCsv();
    CsvDialect dialect;
    dialect.trim = *rc::gen::arbitrary<bool>();
    const auto begins = RowBeginsOneByOne(text, dialect);
    const auto wish = *rc::gen::inRange<size_t>(1, text.size() + 2);
    // In pieces, as a file is read.
    CsvScanState state;
    size_t at = 0, found = std::string::npos;
    while (at < text.size() && found == std::string::npos) {
      const auto piece = std::string_view(text).substr(at, *rc::gen::inRange<size_t>(1, 200));
      const size_t from = wish - 1 > at ? wish - 1 - at : 0;
      const size_t end = ScanToRowEnd(piece, dialect, from, &state);
      if (end != std::string::npos) found = at + end + 1;
      at += piece.size();
    }
    const auto expected =
        std::find_if(begins.begin(), begins.end(), [&](size_t begin) { return begin >= wish; });
    RC_ASSERT(found == (expected == begins.end() ? std::string::npos : *expected));
  }));
}

TEST(CsvScanner, RowsAreTheSameHoweverTheTextIsCut) {
  EXPECT_TRUE(rc::check("the same rows as one sequential read", [] {
    std::string text;
    for (int i = 0; i < 8; ++i) text += AnyCsv();
    CsvReading reading;
    reading.ragged = OnRagged::kSkip;
    reading.dialect.trim = *rc::gen::arbitrary<bool>();
    const auto decoder = Texts(2, reading);
    const auto whole = RowsOf(*decoder, text);
    // Units: at row begins; pieces of a unit: anywhere.
    const auto begins = RowBeginsOneByOne(text, reading.dialect);
    std::vector<size_t> cuts = {0};
    for (const size_t begin : begins) {
      if (begin > cuts.back() && begin < text.size() && *rc::gen::arbitrary<bool>()) {
        cuts.push_back(begin);
      }
    }
    cuts.push_back(text.size());
    Rows rows;
    Status failed;
    for (size_t i = 0; i + 1 < cuts.size() && failed.ok(); ++i) {
      const auto unit = std::string_view(text).substr(cuts[i], cuts[i + 1] - cuts[i]);
      size_t at = 0, piece = 1;
      while (at < unit.size() && failed.ok()) {
        piece += *rc::gen::inRange<size_t>(1, 100);
        const bool last = at + piece >= unit.size();
        size_t used = 0;
        const auto some = RowsOf(*decoder, unit.substr(at, piece), last, &used);
        failed = some.status();
        if (some.ok()) rows.insert(rows.end(), some->begin(), some->end());
        at += used;
        if (used > 0) piece = 1;
      }
    }
    RC_ASSERT(failed.ok() == whole.ok());
    if (whole.ok()) RC_ASSERT(rows == *whole);
  }));
}

TEST(CsvInference, TakesTheNarrowestTypeThatHoldsTheSample) {
  const auto type_of = [](std::vector<std::string> values, InferenceWishes wishes = {}) {
    ColumnInference inference(wishes);
    for (const auto& value : values) inference.Add(value);
    const auto type = inference.Decide("x");
    return type.ok()
               ? type->type->ToString() + (type->date_format.empty() ? "" : " ") + type->date_format
               : CodeOf(type.status());
  };
  EXPECT_EQ(type_of({"1", "-2"}), "int64");
  EXPECT_EQ(type_of({"1", "NULL", "NA"}), "int64");
  EXPECT_EQ(type_of({"007", "1"}), "string");
  EXPECT_EQ(type_of({"+4912"}), "string");
  EXPECT_EQ(type_of({"9223372036854775808"}), "decimal128(38, 0)");
  EXPECT_EQ(type_of({"123456789012345678901234567890123456789"}), "string");
  EXPECT_EQ(type_of({"1", "2.5", "NaN"}), "double");
  EXPECT_EQ(type_of({"1.2345678901234567890"}), "decimal128(38, 19)");
  InferenceWishes exact;
  exact.decimal_precision = 12;
  exact.decimal_scale = 2;
  EXPECT_EQ(type_of({"1", "2.5"}, exact), "decimal128(12, 2)");
  EXPECT_EQ(type_of({"true", "FALSE"}), "bool");
  EXPECT_EQ(type_of({"2024-01-31"}), "date32[day]");
  EXPECT_EQ(type_of({"2024-01-31", "2024-01-31 12:00"}), "timestamp[us]");
  EXPECT_EQ(type_of({"2024-01-31T12:00:00.123456789"}), "timestamp[ns]");
  EXPECT_EQ(type_of({"2024-01-31T12:00:00Z"}), "timestamp[us, tz=UTC]");
  EXPECT_EQ(type_of({"12:30:00"}), "time64[us]");
  EXPECT_EQ(type_of({"03/04/2024", "04/05/2024"}), "ambiguous_date");
  EXPECT_EQ(type_of({"03/04/2024", "13/05/2024"}), "date32[day] d/M/yyyy");
  EXPECT_EQ(type_of({"03/04/2024", "05/13/2024"}), "date32[day] M/d/yyyy");
  EXPECT_EQ(type_of({"3.4.2024 7:05"}), "timestamp[us] d.M.yyyy H:mm[:ss]");
  EXPECT_EQ(type_of({"NULL"}), "string");
  EXPECT_EQ(type_of({}), "string");
}

TEST(CsvDialect, IsDetected) {
  const auto of = [](std::string_view sample) { return DetectDialect(sample, {}, false); };
  EXPECT_EQ(of("a;b;c\n1,5;2;3\n").delimiter, ';');
  EXPECT_EQ(of("a\tb\n1\t2\n").delimiter, '\t');
  EXPECT_EQ(of("a|b\n\"x,y,z\"|2\n").delimiter, '|');
  EXPECT_EQ(of("a,b\n'x,y',2\n'z',3\n").quote, '\'');
  EXPECT_EQ(of("a,b\n\"x\\\"y\",2\n").escape, '\\');
  EXPECT_EQ(of("a,b\n\"C:\\\",2\n").escape, '\0');
  EXPECT_EQ(of("a,b\r1,2\r").row_end, '\r');
  EXPECT_EQ(of("alone\n1\n").delimiter, ',');
}

}  // namespace
}  // namespace bulkhaul::csv
