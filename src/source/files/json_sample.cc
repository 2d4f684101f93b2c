#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <arrow/type_traits.h>
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include "base/text.h"
#include "base/type_leaves.h"
#include "plan/drift.h"
#include "source/files/describe.h"
#include "source/files/json_contract.h"
#include "source/files/json_files.h"
#include "source/files/json_lines.h"
#include "source/files/json_sift.h"
#include "source/files/json_times.h"
#include "source/files/json_utf8.h"
#include "source/files/json_values.h"
#include "source/files/text_chunks.h"
#include "source/files/text_stream.h"

namespace bulkhaul::files {
namespace {

// Types that later rows may fill: what was NULL throughout is text.
std::shared_ptr<arrow::DataType> Settled(const std::shared_ptr<arrow::DataType>& type) {
  return MapLeaves(type, [](const std::shared_ptr<arrow::DataType>& leaf) {
    return leaf->id() == arrow::Type::NA ? arrow::utf8() : leaf;
  });
}

// How the rows of a sample are read.
struct SampleReading {
  const JsonCasts casts;
  const BadJsonText bad_text;
  const bool misfit_null;
  const bool refuses;  // lines that are none are left out
  JsonValues values;   // knows the kinds of the rows before
  size_t left_out = 0;
};

// Of rows whose types are not known yet: dates and times stay text.
Result<std::shared_ptr<arrow::RecordBatch>> ParseSample(std::string lines, SampleReading* reading) {
  int64_t repaired = 0;
  ARROW_ASSIGN_OR_RAISE(std::string text,
                        JsonInUtf8(std::move(lines), reading->bad_text, &repaired));
  std::string as_text;
  if (reading->values.Textify(text, reading->casts, &as_text)) text = std::move(as_text);
  const auto misfits = reading->values.OtherKinds(text, reading->misfit_null ? text.size() : 1);
  if (!misfits.empty()) {
    if (!reading->misfit_null) {
      return PermanentError(MisfitText(misfits[0], reading->casts, ""), "bad_value");
    }
    text = JsonValues::WithNulls(text, misfits);
  }
  ARROW_ASSIGN_OR_RAISE(auto parsed, ParseJsonLines(text, nullptr));
  const auto schema = TimesAsText(*parsed->schema());
  return parsed->schema()->Equals(*schema, false) ? parsed : ParseJsonLines(text, schema);
}

// Makes most values of a field say of what kind it is. Of each line by itself what is to be text is
// text: others may be no JSON.
void TakeUsualKinds(std::string_view lines, SampleReading* reading) {
  std::string all;
  all.reserve(lines.size());
  while (!lines.empty()) {
    const auto line = lines.substr(0, std::min(lines.find('\n'), lines.size() - 1) + 1);
    lines.remove_prefix(line.size());
    std::string as_text;
    all.append(reading->values.Textify(line, reading->casts, &as_text) ? as_text : line);
  }
  reading->values.TakeUsualKinds(all);
}

// The lines but for those that will be set aside when they are read.
SiftedLines WithoutRefused(std::string_view lines, SampleReading* reading) {
  std::vector<std::string_view> bad;
  if (reading->refuses) {
    TakeUsualKinds(lines, reading);
    bad = BadLines(lines, lines.size(), [&](std::string_view some) {
      return ParseSample(std::string(some) + '\n', reading).ok();
    });
    reading->left_out += bad.size();
  }
  return {lines, bad};
}

// What is wrong with rows that cannot be read together, the first on line `line`.
Status BrokenSample(const DataFile& file, int64_t line, std::string_view text,
                    SampleReading* reading, const Status& status) {
  for (int64_t at = line; !text.empty(); ++at) {
    const auto row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Status one = ParseSample(std::string(row) + '\n', reading).status();
    if (one.ok()) continue;
    return PermanentError(fmt::format("{}: line {}: {}", file.path, at, WithAdvice(MessageOf(one))),
                          "bad_value");
  }
  return PermanentError(
      fmt::format("{}: behind line {}: {}", file.path, line - 1, MessageOf(status)), "bad_value");
}

// The schema of the file's first rows.
Status Sample(const DataFile& file, const std::string& encoding, const Options& options,
              SampleReading* reading,
              std::vector<std::pair<const DataFile*, std::shared_ptr<arrow::Schema>>>* schemas,
              std::map<std::string, double>* memory, JsonTimes* times, JsonTrials* trials,
              int64_t* rows, int64_t* bytes) {
  ARROW_ASSIGN_OR_RAISE(auto chunks,
                        TextChunks::Open({&file, 0, -1, 1}, encoding, kTextChunkBytesMax,
                                         options.GetBytes("row_bytes_max")));
  const int64_t wanted = options.GetInt("sample_rows");
  int64_t taken = 0;
  while (wanted == 0 || taken < wanted) {
    ARROW_RETURN_NOT_OK(chunks->Fill());
    size_t whole = WholeJsonLines(chunks->text(), chunks->last());
    if (whole == 0 && chunks->last()) break;
    if (whole == 0) continue;
    const std::string_view text = chunks->text().substr(0, whole);
    size_t end = 0;
    for (; end < text.size() && (wanted == 0 || taken < wanted); ++taken) {
      const auto line_end = text.find('\n', end);
      end = line_end == std::string_view::npos ? text.size() : line_end + 1;
    }
    const auto lines = WithoutRefused(text.substr(0, end), reading);
    if (lines.text().find_first_not_of(" \t\r\n") != std::string::npos) {
      auto parsed = ParseSample(lines.text() + '\n', reading);
      if (!parsed.ok()) {
        return BrokenSample(file, chunks->line(), text.substr(0, end), reading, parsed.status());
      }
      arrow::FieldVector fields = (*parsed)->schema()->fields();
      *rows += (*parsed)->num_rows();
      times->Add(**parsed);
      trials->Add(**parsed, file, lines, chunks->line(), &reading->values);
      for (int i = 0; i < (*parsed)->num_columns(); ++i) {
        ARROW_ASSIGN_OR_RAISE(const int64_t held,
                              arrow::util::ReferencedBufferSize(*(*parsed)->column(i)));
        (*memory)[(*parsed)->column_name(i)] += static_cast<double>(held);
      }
      // Within a file a field may be left out of any row.
      if (schemas->empty() || schemas->back().first != &file) {
        schemas->emplace_back(&file, arrow::schema(std::move(fields)));
      } else {
        ARROW_ASSIGN_OR_RAISE(
            schemas->back().second,
            CommonSchema({schemas->back(), {&file, arrow::schema(std::move(fields))}}, true));
      }
    }
    *bytes += static_cast<int64_t>(end);
    chunks->Consume(end, '\n');
  }
  return Status::OK();
}

}  // namespace

Result<TextFacts> DescribeJson(const std::vector<const DataFile*>& sample, const Options& options,
                               const GivenTypes& given) {
  TextFacts facts;
  JsonLayout layout;
  layout.encoding = AsciiLower(options.GetString("source_encoding"));
  if (layout.encoding == "utf8") layout.encoding = "utf-8";
  if (layout.encoding == "auto") {
    auto encoding = EncodingOf(*sample[0]);
    if (!encoding.ok()) return FileError(encoding.status(), sample[0]->path);
    layout.encoding = *std::move(encoding);
  }
  SampleReading reading{
      JsonCasts(options, &given), BadJsonTextFrom(options.GetString("invalid_utf8")),
      options.GetString("type_mismatch") == "null", RefusedMax(options) >= 0, JsonValues()};
  JsonTimes times;
  JsonTrials trials(given);
  std::vector<std::pair<const DataFile*, std::shared_ptr<arrow::Schema>>> schemas;
  int64_t rows = 0, bytes = 0;
  for (const DataFile* file : sample) {
    const Status status = Sample(*file, layout.encoding, options, &reading, &schemas,
                                 &facts.column_memory_bytes, &times, &trials, &rows, &bytes);
    if (status.ok()) continue;
    return MessageOf(status).starts_with(file->path) ? status : FileError(status, file->path);
  }
  if (schemas.empty()) {
    return UserError(
        fmt::format("{}: {}: nothing says which columns it has", sample[0]->path,
                    reading.left_out > 0 ? "none of the lines that were looked at is a row"
                                         : "the file is empty"),
        "empty_file");
  }
  // A row may leave any field out, and so may a file.
  ARROW_ASSIGN_OR_RAISE(const auto common, CommonSchema(schemas, true));
  arrow::FieldVector fields;
  std::set<std::string> kept;  // as they are: a transform or somebody else has a type for them
  for (const auto& field : common->fields()) {
    const std::string& name = field->name();
    const bool cast = reading.casts.Has(name);
    const bool holds = !cast && trials.Holds(name, *field->type());
    fields.push_back(arrow::field(name, holds ? trials.TypeFor(name) : Settled(field->type())));
    if (holds) layout.contract.insert(name);
    if (holds || cast) kept.insert(name);
    if (reading.casts.ScalarsAsText(name)) layout.as_text.insert(name);
    if (!holds && !cast) {
      facts.found[name] = HasUnknown(*field->type()) ? kNothingSeen : trials.MisfitOf(name);
    }
  }
  facts.layout = layout.ToJson();
  facts.schema = times.Decide(*arrow::schema(std::move(fields)), kept);
  if (rows > 0) facts.row_bytes = static_cast<double>(bytes) / static_cast<double>(rows);
  for (auto& [name, held] : facts.column_memory_bytes) {
    held /= static_cast<double>(std::max<int64_t>(1, rows));
  }
  for (const auto& field : facts.schema->fields()) {  // what was text in the sample
    const bool fixed = layout.contract.contains(field->name()) && field->type()->bit_width() > 0;
    if (fixed || arrow::is_temporal(field->type()->id())) {
      facts.column_memory_bytes[field->name()] = RowMemoryBytes(*field->type(), 0);
    }
  }
  return facts;
}

}  // namespace bulkhaul::files
