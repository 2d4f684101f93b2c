#include "source/files/csv_layout.h"

#include <algorithm>
#include <charconv>

#include <arrow/type_traits.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "plan/type_name.h"
#include "source/files/text_chunks.h"
#include "source/files/text_stream.h"
#include "wire/csv/csv_value.h"
#include "wire/csv/date_pattern.h"

namespace bulkhaul::files {
namespace {

using Json = nlohmann::json;

constexpr int64_t kDetectBytes = 256 << 10;

// Whether the value is of a kind that no column name is.
bool IsData(std::string_view value) {
  int32_t days;
  int64_t at;
  double number;
  return csv::ShapeOf(value).number || csv::ParseDate(value, &days) ||
         csv::ParseTimestamp(value, arrow::TimeUnit::NANO, false, &at) ||
         csv::ParseTimestamp(value, arrow::TimeUnit::NANO, true, &at) ||
         (csv::ParseDouble(value, &number) && value.size() > 3);
}

Status ParsePrecision(const std::string& text, CsvWishes* wishes) {
  if (text.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto type, ParseTypeName("decimal(" + text + ")"));
  const auto& decimal = static_cast<const arrow::DecimalType&>(*type);
  wishes->decimal_precision = decimal.precision();
  wishes->decimal_scale = decimal.scale();
  return Status::OK();
}

}  // namespace

std::string CsvLayout::ToJson() const {
  Json own = Json::object();
  for (const auto& [name, type] : columns) {
    if (type.date_format.empty() && type.nulls.empty() && !type.given) continue;
    own[name] = {{"date_format", type.date_format},
                 {"nulls", type.nulls},
                 {"given", type.given},
                 {"contract", type.contract}};
  }
  return Json{{"delimiter", int{dialect.delimiter}},
              {"quote", int{dialect.quote}},
              {"escape", int{dialect.escape}},
              {"row_end", int{dialect.row_end}},
              {"trim", dialect.trim},
              {"header", header},
              {"encoding", encoding},
              {"columns", std::move(own)}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<CsvLayout> CsvLayout::FromJson(std::string_view text) {
  const Json value = Json::parse(text, nullptr, false);
  if (!value.is_object()) return BugError("a table of CSV has no layout");
  try {
    CsvLayout layout;
    layout.dialect.delimiter = static_cast<char>(value.at("delimiter").get<int>());
    layout.dialect.quote = static_cast<char>(value.at("quote").get<int>());
    layout.dialect.escape = static_cast<char>(value.at("escape").get<int>());
    layout.dialect.row_end = static_cast<char>(value.at("row_end").get<int>());
    layout.dialect.trim = value.value("trim", false);
    layout.header = value.at("header").get<bool>();
    layout.encoding = value.at("encoding").get<std::string>();
    for (const auto& [name, own] : value.at("columns").items()) {
      csv::CsvType type;
      type.date_format = own.at("date_format").get<std::string>();
      type.nulls = own.at("nulls").get<std::vector<std::string>>();
      type.given = own.value("given", false);
      type.contract = own.value("contract", false);
      layout.columns[name] = std::move(type);
    }
    return layout;
  } catch (const Json::exception& error) {
    return BugError(fmt::format("the layout of CSV cannot be read: {}", error.what()));
  }
}

Result<CsvWishes> CsvWishes::Make(const Options& options) {
  CsvWishes wishes;
  const auto character = [&](const char* option) {
    return csv::ParseCsvCharacter(option, options.GetString(option));
  };
  ARROW_ASSIGN_OR_RAISE(wishes.dialect.delimiter, character("source_delimiter"));
  ARROW_ASSIGN_OR_RAISE(wishes.dialect.quote, character("source_quote"));
  ARROW_ASSIGN_OR_RAISE(wishes.dialect.escape, character("source_escape"));
  wishes.header = options.GetString("source_header");
  wishes.encoding = AsciiLower(options.GetString("source_encoding"));
  if (wishes.encoding == "utf8") wishes.encoding = "utf-8";
  if (options.GetString("date_format") != "auto") {
    wishes.date_format = options.GetString("date_format");
    ARROW_RETURN_NOT_OK(WithContext(csv::CheckDatePattern(wishes.date_format), "date_format"));
  }
  for (const auto& [column, format] : options.GetPairs("date_formats")) {
    ARROW_RETURN_NOT_OK(WithContext(csv::CheckDatePattern(format), "date_formats: " + column));
    wishes.date_formats[column] = format;
  }
  wishes.new_names = NewNames(options);
  for (const auto& [column, name] : options.GetPairs("cast")) {
    ARROW_ASSIGN_OR_RAISE(const auto type, ParseTypeName(name));
    wishes.types[column] = csv::IsCsvType(*type) ? type : arrow::utf8();
  }
  wishes.nulls = options.GetList("source_null");
  ARROW_RETURN_NOT_OK(ParsePrecision(options.GetString("decimal_precision"), &wishes));
  wishes.sample_rows = options.GetInt("sample_rows");
  wishes.dialect.trim = options.GetBool("trim");
  return wishes;
}

csv::InferenceWishes CsvWishes::InferenceOf(const std::string& column) const {
  csv::InferenceWishes inference;
  inference.date_format = date_format;
  if (const auto own = date_formats.find(column); own != date_formats.end()) {
    inference.date_format = own->second;
  }
  inference.decimal_precision = decimal_precision;
  inference.decimal_scale = decimal_scale;
  inference.cast_name = new_names.Of(column);
  return inference;
}

std::shared_ptr<arrow::DataType> CsvWishes::CastOf(const std::string& column) const {
  const auto wished = types.find(new_names.Of(column));
  return wished == types.end() ? nullptr : wished->second;
}

bool CsvWishes::ContractHolds(const std::string& column, const csv::ColumnInference& inference,
                              const TypeTrial& trial, bool lenient) const {
  if (trial.type() == nullptr || CastOf(column) != nullptr) return false;
  const auto id = trial.type()->id();
  if (!arrow::is_date(id) && id != arrow::Type::TIMESTAMP) return trial.Holds(lenient);
  // Dates may be written by a pattern, which the trial does not know.
  if (trial.Holds(lenient) || date_formats.contains(column)) return true;
  const auto seen = inference.Decide(column);
  if (!seen.ok()) return true;  // which says what is to be asked
  return !seen->date_format.empty() &&
         (seen->type->id() == id || csv::IsDatePattern(seen->date_format));
}

Result<csv::CsvType> CsvWishes::TypeOf(const std::string& column,
                                       const csv::ColumnInference& inference,
                                       const std::shared_ptr<arrow::DataType>& contract) const {
  csv::CsvType type;
  const auto own = date_formats.find(column);
  const auto cast = CastOf(column);
  if (const auto wished = cast != nullptr ? cast : contract; wished != nullptr) {
    type.type = wished;
    type.given = true;
    type.contract = cast == nullptr;
    // A pattern that was given, or the one that the sample shows.
    const auto id = type.type->id();
    if (id != arrow::Type::STRING) type.nulls = inference.nulls();
    if (id == arrow::Type::DATE32 || id == arrow::Type::TIMESTAMP) {
      if (own != date_formats.end()) {
        type.date_format = own->second;
      } else if (inference.FitsWishedPattern()) {
        type.date_format = date_format;
      } else {
        ARROW_ASSIGN_OR_RAISE(const auto seen, inference.Decide(column));
        type.date_format = seen.date_format;
      }
    }
  } else if (own != date_formats.end()) {
    // What does not match is an error when it is read.
    type.type = csv::IsDatePattern(own->second) ? arrow::date32()
                                                : arrow::timestamp(arrow::TimeUnit::MICRO);
    type.date_format = own->second;
    type.nulls = inference.nulls();
    type.given = true;
  } else {
    ARROW_ASSIGN_OR_RAISE(type, inference.Decide(column));
  }
  type.nulls.insert(type.nulls.end(), nulls.begin(), nulls.end());
  return type;
}

bool CsvWishes::IsNull(std::string_view value) const {
  return std::find(nulls.begin(), nulls.end(), value) != nulls.end();
}

csv::CsvReading ReadingOf(const Options& options) {
  csv::CsvReading reading;
  const std::string& ragged = options.GetString("ragged");
  if (ragged == "pad") reading.ragged = csv::OnRagged::kPad;
  if (ragged == "skip") reading.ragged = csv::OnRagged::kSkip;
  if (options.GetString("type_mismatch") == "null") reading.misfit = csv::OnMisfit::kNull;
  const std::string& text = options.GetString("invalid_utf8");
  if (text == "replace") reading.invalid_utf8 = csv::OnInvalidUtf8::kReplace;
  if (text == "null") reading.invalid_utf8 = csv::OnInvalidUtf8::kNull;
  reading.refused_max = RefusedMax(options);
  return reading;
}

std::vector<std::string> ColumnNames(std::vector<std::string> header) {
  for (size_t i = 0; i < header.size(); ++i) {
    if (header[i].empty()) header[i] = fmt::format("column_{}", i + 1);
  }
  return header;
}

Result<char> TakeSeparatorLine(TextChunks& chunks) {
  constexpr std::string_view kBegin = "sep=";
  if (chunks.text().empty()) ARROW_RETURN_NOT_OK(chunks.Fill());
  const std::string_view text = chunks.text();
  const size_t end = text.substr(0, kBegin.size() + 3).find_first_of("\r\n", kBegin.size());
  if (!text.starts_with(kBegin) || end != kBegin.size() + 1) return '\0';
  const char delimiter = text[kBegin.size()];
  const bool two = text.substr(end).starts_with("\r\n");
  chunks.Consume(end + (two ? 2 : 1), text[two ? end + 1 : end]);
  return delimiter;
}

namespace {

// kUser where the first row has no delimiter such as was given, and others cut it.
Status CheckDelimiter(std::string_view text, const CsvLayout& layout, csv::DialectWishes wishes,
                      const std::string& path) {
  wishes.delimiter.reset();
  const auto other = csv::DetectDialect(text, wishes, false);
  const auto line = text.substr(0, text.find_first_of("\r\n"));
  std::vector<std::string> cut;
  if (line.find(layout.dialect.delimiter) != std::string_view::npos ||
      !csv::FirstRow(text, other, true, &cut).ok() || cut.size() < 2) {
    return Status::OK();
  }
  const auto shown = [](char c) { return c == '\t' ? std::string("tab") : std::string(1, c); };
  return UserError(
      fmt::format("{}: source_delimiter is '{}', and the first row has none; '{}' cuts it into {} "
                  "fields. Leave source_delimiter out, or set it to none for a file of one column",
                  path, shown(layout.dialect.delimiter), shown(other.delimiter), cut.size()),
      "delimiter");
}

}  // namespace

Status DetectLayout(const DataFile& file, const CsvWishes& wishes, int64_t row_bytes_max,
                    CsvLayout* layout) {
  layout->encoding = wishes.encoding;
  if (wishes.encoding == "auto") {
    ARROW_ASSIGN_OR_RAISE(layout->encoding, EncodingOf(file));
  }
  ARROW_ASSIGN_OR_RAISE(auto chunks, TextChunks::Open({&file, 0, -1, 1}, layout->encoding,
                                                      kDetectBytes, row_bytes_max));
  ARROW_ASSIGN_OR_RAISE(const char declared, TakeSeparatorLine(*chunks));
  csv::DialectWishes dialect = wishes.dialect;
  if (declared != '\0' && !dialect.delimiter) dialect.delimiter = declared;
  const bool tabs = AsciiLower(file.path).find(".tsv") != std::string::npos;
  layout->dialect = csv::DetectDialect(chunks->text(), dialect, tabs);
  if (wishes.dialect.delimiter.value_or('\0') != '\0') {
    ARROW_RETURN_NOT_OK(CheckDelimiter(chunks->text(), *layout, dialect, file.path));
  }
  if (wishes.header != "auto") {
    layout->header = wishes.header == "true";
    return Status::OK();
  }
  std::vector<std::string> first;
  for (;;) {
    const auto row = csv::FirstRow(chunks->text(), layout->dialect, chunks->last(), &first);
    if (!row.ok()) return row.status();
    if (*row > 0 || chunks->last()) break;
    ARROW_RETURN_NOT_OK(chunks->Fill());
  }
  layout->header = std::none_of(first.begin(), first.end(), IsData);
  return Status::OK();
}

}  // namespace bulkhaul::files
