#include "source/files/json_files.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include <arrow/buffer.h>
#include <arrow/json/options.h>
#include <arrow/json/reader.h>
#include <arrow/table.h>
#include <arrow/type_traits.h>
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include "base/text.h"
#include "plan/drift.h"
#include "source/files/describe.h"
#include "source/files/json_contract.h"
#include "source/files/json_times.h"
#include "source/files/json_utf8.h"
#include "source/files/json_values.h"
#include "source/files/text_chunks.h"
#include "source/files/text_stream.h"
#include "wire/csv/csv_value.h"
#include "wire/json/json_tokens.h"

namespace bulkhaul::files {
namespace {

constexpr int64_t kCountBytes = 1 << 20;
// Numbers of so many characters are exact as doubles.
constexpr size_t kExactCharactersMax = 15;

// Types that later rows may fill: what was NULL throughout is text.
std::shared_ptr<arrow::DataType> Settled(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case arrow::Type::NA:
      return arrow::utf8();
    case arrow::Type::LIST: {
      const auto& list = static_cast<const arrow::ListType&>(*type);
      return arrow::list(list.value_field()->WithType(Settled(list.value_type())));
    }
    case arrow::Type::STRUCT: {
      arrow::FieldVector fields;
      for (const auto& field : type->fields())
        fields.push_back(field->WithType(Settled(field->type())));
      return arrow::struct_(fields);
    }
    default:
      return type;
  }
}

void AddDoubles(const arrow::Field& field, std::set<std::string, std::less<>>* names) {
  if (field.type()->id() == arrow::Type::DOUBLE) names->insert(field.name());
  for (const auto& child : field.type()->fields()) AddDoubles(*child, names);
  // The elements of a list have the name of their list in the text.
  if (field.type()->id() == arrow::Type::LIST &&
      static_cast<const arrow::ListType&>(*field.type()).value_type()->id() ==
          arrow::Type::DOUBLE) {
    names->insert(field.name());
  }
}

// Digits that a double would lose: Arrow's reader rounds them without a word.
class DigitCheck {
 public:
  explicit DigitCheck(const arrow::Schema& schema) {
    for (const auto& field : schema.fields()) AddDoubles(*field, &doubles_);
  }
  // False: every number fits. True: one may not, or is that of another field of the same name.
  bool Suspects(std::string_view text) {
    if (doubles_.empty()) return false;
    if (!index_.Build(text).ok()) return false;  // the parser says what is wrong
    const uint32_t* at = index_.positions();
    for (uint32_t i = 2; i < index_.count(); ++i) {
      const char c = text[at[i]];
      if ((c < '0' || c > '9') && c != '-') continue;
      size_t end = i + 1 < index_.count() ? at[i + 1] : text.size();
      if (end - at[i] <= kExactCharactersMax) continue;
      while (static_cast<unsigned char>(text[end - 1]) <= ' ') --end;
      double value;
      if (csv::ParseDouble(text.substr(at[i], end - at[i]), &value)) continue;
      if (doubles_.contains(NameBefore(text, i))) return true;
    }
    return false;
  }

 private:
  // The key of the member that the token belongs to: the last one before it.
  std::string_view NameBefore(std::string_view text, uint32_t token) const {
    const uint32_t* at = index_.positions();
    for (uint32_t i = token; i > 0; --i) {
      if (text[at[i]] != ':') continue;
      std::string_view key = text.substr(at[i - 1], at[i] - at[i - 1]);
      while (!key.empty() && key.back() != '"') key.remove_suffix(1);
      return key.size() < 2 ? key : key.substr(1, key.size() - 2);
    }
    return {};
  }

  std::set<std::string, std::less<>> doubles_;
  search::TokenIndex index_;
};

// Whether no object of the text, which is JSON, goes on in the next line: within an object no '{'
// follows a '}' directly, and within a string there is no line end.
bool EndsWithLines(std::string_view text) {
  constexpr const char* kBlank = " \t\r";
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto first = line.find_first_not_of(kBlank);
    if (first == std::string_view::npos) continue;
    if (line[first] != '{' || line[line.find_last_not_of(kBlank)] != '}') return false;
  }
  return true;
}

Result<std::shared_ptr<arrow::RecordBatch>> Parse(std::string_view text,
                                                  const std::shared_ptr<arrow::Schema>& schema) {
  auto options = arrow::json::ParseOptions::Defaults();
  options.newlines_in_values = false;
  options.explicit_schema = schema;
  options.unexpected_field_behavior = schema == nullptr
                                          ? arrow::json::UnexpectedFieldBehavior::InferType
                                          : arrow::json::UnexpectedFieldBehavior::Error;
  // Else it would depend on where a file is cut whether it can be read; and Arrow's reader takes
  // the process down where the first value is null.
  if (!EndsWithLines(text)) {
    const auto first = text.find_first_not_of(" \t\r\n");
    return PermanentError(
        first != std::string_view::npos && text[first] == '['
            ? "an array begins here, and rows are JSON lines, an object a line: jq -c '.[]' makes "
              "them"
            : "the line is no whole object, and rows are JSON lines, an object a line: jq -c . "
              "makes them",
        "bad_value");
  }
  auto parsed = arrow::json::ParseOne(options, std::make_shared<arrow::Buffer>(text));
  if (parsed.ok()) return parsed;
  // Rows are counted within the text that was parsed, which nobody sees.
  std::string message = MessageOf(parsed.status());
  message.resize(std::min(message.size(), message.rfind(" in row ")));
  return parsed.status().WithMessage(message);
}

Status NoUtf8() {
  return PermanentError(
      "the text is not valid UTF-8; set source_encoding (windows-1252, latin1, utf-16le), or "
      "invalid_utf8: replace or null",
      "invalid_utf8");
}

// The lines as UTF-8, by policy; as they are when they are that.
Result<std::string> InUtf8(std::string lines, BadJsonText policy, int64_t* repaired) {
  if (IsValidUtf8(lines)) return lines;
  lines = RepairJsonTexts(lines, policy, repaired);
  if (!IsValidUtf8(lines)) return NoUtf8();
  return lines;
}

// How the rows of a sample are read.
struct SampleReading {
  const JsonCasts casts;
  const BadJsonText bad_text;
  const bool misfit_null;
  JsonValues values;  // knows the kinds of the rows before
};

// Of rows whose types are not known yet: dates and times stay text.
Result<std::shared_ptr<arrow::RecordBatch>> ParseSample(std::string lines, SampleReading* reading) {
  int64_t repaired = 0;
  ARROW_ASSIGN_OR_RAISE(std::string text, InUtf8(std::move(lines), reading->bad_text, &repaired));
  std::string as_text;
  if (reading->values.Textify(text, reading->casts, &as_text)) text = std::move(as_text);
  const auto misfits = reading->values.OtherKinds(text, reading->misfit_null ? text.size() : 1);
  if (!misfits.empty()) {
    if (!reading->misfit_null) {
      return PermanentError(MisfitText(misfits[0], ""), "bad_value");
    }
    text = JsonValues::WithNulls(text, misfits);
  }
  ARROW_ASSIGN_OR_RAISE(auto parsed, Parse(text, nullptr));
  const auto schema = TimesAsText(*parsed->schema());
  return parsed->schema()->Equals(*schema, false) ? parsed : Parse(text, schema);
}

// The lines of `text`, or all but the last when it is not ended and more may follow.
size_t WholeLines(std::string_view text, bool last) {
  if (last) return text.size();
  const auto end = text.rfind('\n');
  return end == std::string_view::npos ? 0 : end + 1;
}

class JsonPartReader : public PartReader {
 public:
  JsonPartReader(std::shared_ptr<const ReadPlan> plan, const FilePart& part, UnitContext& context)
      : plan_(std::move(plan)),
        part_(part),
        context_(context),
        schema_(FileSchema(*plan_)),
        text_schema_(TimesAsText(*schema_)),
        digits_(*schema_),
        layout_(JsonLayout::From(plan_->state.layout)),
        casts_(layout_.CastsOf(plan_->options)),
        misfit_null_(plan_->options.GetString("type_mismatch") == "null"),
        bad_text_(BadJsonTextFrom(plan_->options.GetString("invalid_utf8"))) {}

  Status Start() {
    const int64_t chunk_bytes = TextChunkBytes(context_.batch_bytes_max);
    return TextChunks::Open(part_, layout_.encoding, chunk_bytes, plan_->row_bytes_max)
        .Value(&chunks_);
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    while (rows_ == nullptr || row_ >= rows_->num_rows()) {
      ARROW_ASSIGN_OR_RAISE(rows_, ParseMore());
      row_ = 0;
      if (rows_ == nullptr) return nullptr;
    }
    const int64_t count = std::min(context_.batch_rows_max, rows_->num_rows() - row_);
    const auto slice = rows_->Slice(row_, count);
    batch_first_ = row_;
    row_ += count;
    return Conform(*plan_, *part_.file, *slice, context_.pool);
  }

  int64_t LineOf(int64_t row) const override {
    const auto text = chunks_->text().substr(0, used_);
    const auto before = text.substr(0, values_.OffsetOfRow(text, batch_first_ + row));
    return LineInFile(chunks_->line() + static_cast<int64_t>(CountByte(before, '\n')));
  }
  int64_t bytes_read() const override { return chunks_->bytes_read(); }
  std::map<std::string, int64_t> counters() const override {
    std::map<std::string, int64_t> counters;
    if (misfits_ > 0) counters["type_mismatch_null"] = misfits_;
    if (repaired_ > 0) {
      counters[bad_text_ == BadJsonText::kNull ? "invalid_utf8_null" : "invalid_utf8_replaced"] =
          repaired_;
    }
    return counters;
  }

 private:
  static std::shared_ptr<arrow::Schema> FileSchema(const ReadPlan& plan) {
    const auto& fields = plan.state.full_schema->fields();
    return arrow::schema(
        arrow::FieldVector(fields.begin(), fields.begin() + plan.state.file_columns));
  }

  Result<std::shared_ptr<arrow::RecordBatch>> ParseMore() {
    chunks_->Consume(used_, '\n');
    used_ = 0;
    while (used_ == 0) {
      if (context_.stop.stop_requested()) return CancelledError();
      if (chunks_->last() && chunks_->text().empty()) return nullptr;
      ARROW_RETURN_NOT_OK(CheckLength(chunks_->text()));
      ARROW_RETURN_NOT_OK(chunks_->Fill());
      used_ = WholeLines(chunks_->text(), chunks_->last());
      ARROW_RETURN_NOT_OK(CheckLength(chunks_->text().substr(0, used_)));
      if (chunks_->last() && chunks_->text().empty()) return nullptr;
    }
    std::string_view text = chunks_->text().substr(0, used_);
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return ParseMore();
    std::string ended;
    if (text.back() != '\n') {
      ended = std::string(text) + '\n';
      text = ended;
    }
    auto rows = Rows(text);
    return rows.ok() ? rows : Located(text, rows.status());
  }

  // Whether no line of the text, which begins a line, is too long.
  Status CheckLength(std::string_view text) const {
    const auto bytes_max = static_cast<size_t>(plan_->row_bytes_max);
    if (text.size() <= bytes_max) return Status::OK();
    int64_t line = chunks_->line();
    for (size_t begin = 0; begin < text.size(); ++line) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      auto row = text.substr(begin, end - begin);
      if (row.ends_with('\r')) row.remove_suffix(1);
      if (row.size() > bytes_max) return chunks_->TooLong(LineInFile(line));
      begin = end + 1;
    }
    return Status::OK();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Rows(std::string_view text) {
    std::string in_utf8;
    if (!IsValidUtf8(text)) {
      ARROW_ASSIGN_OR_RAISE(in_utf8, InUtf8(std::string(text), bad_text_, &repaired_));
      text = in_utf8;
    }
    std::string as_text;
    if (values_.Textify(text, casts_, &as_text)) text = as_text;
    ARROW_ASSIGN_OR_RAISE(const auto parsed, Fitting(text));
    const TextReading reading{misfit_null_ ? &misfits_ : nullptr, layout_.contract,
                              plan_->larger_sample()};
    return TextAsTimes(*parsed, schema_, reading, context_.pool);
  }

  // The rows, each value as its field holds it, or NULL by type_mismatch.
  Result<std::shared_ptr<arrow::RecordBatch>> Fitting(std::string_view text) {
    const bool suspicious = digits_.Suspects(text);
    if (!suspicious) {
      auto parsed = Parse(text, text_schema_);
      if (parsed.ok()) return parsed;
    }
    auto misfits = values_.Misfits(text, *text_schema_, misfit_null_ ? text.size() : 1);
    for (auto& misfit : misfits) {
      if (misfit_null_ && !misfit.unknown_field) continue;
      misfit.contract = layout_.contract.contains(misfit.path);
      return PermanentError(MisfitText(misfit, plan_->larger_sample()), "bad_value");
    }
    misfits_ += static_cast<int64_t>(misfits.size());
    if (misfits.empty()) return Parse(text, text_schema_);
    return Parse(JsonValues::WithNulls(text, misfits), text_schema_);
  }

  // The same error with the line that it is about.
  Status Located(std::string_view text, const Status& status) {
    int64_t line = chunks_->line();
    Status found = status;
    for (size_t begin = 0; begin < text.size(); ++line) {
      const size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
      const auto row = text.substr(begin, end - begin);
      begin = end;
      if (row.find_first_not_of(" \t\r\n") == std::string_view::npos) continue;
      const Status one = Rows(row).status();
      if (one.ok()) continue;
      found = one;
      break;
    }
    return PermanentError(
        fmt::format("{}: line {}: {}", part_.file->path, LineInFile(line), MessageOf(found)),
        "bad_value");
  }

  // Of a line that is counted from the begin of the part.
  int64_t LineInFile(int64_t line) const {
    if (part_.begin == 0) return line;
    if (lines_before_ < 0) lines_before_ = LinesBefore().ValueOr(0);
    return lines_before_ + line;
  }

  // Of the file before this part.
  Result<int64_t> LinesBefore() const {
    ARROW_ASSIGN_OR_RAISE(auto plain, arrow::io::ReadableFile::Open(part_.file->path));
    std::string buffer(kCountBytes, '\0');
    int64_t lines = 0;
    for (int64_t at = 0; at < part_.begin; at += kCountBytes) {
      ARROW_ASSIGN_OR_RAISE(
          const int64_t read,
          plain->ReadAt(at, std::min(kCountBytes, part_.begin - at), buffer.data()));
      lines += static_cast<int64_t>(
          CountByte(std::string_view(buffer).substr(0, static_cast<size_t>(read)), '\n'));
    }
    return lines;
  }

  const std::shared_ptr<const ReadPlan> plan_;
  const FilePart part_;
  UnitContext& context_;
  const std::shared_ptr<arrow::Schema> schema_;       // what is given out
  const std::shared_ptr<arrow::Schema> text_schema_;  // as Arrow's reader is to see it
  DigitCheck digits_;
  const JsonLayout layout_;
  const JsonCasts casts_;
  mutable JsonValues values_;
  const bool misfit_null_;
  const BadJsonText bad_text_;
  int64_t repaired_ = 0;  // texts
  int64_t misfits_ = 0;
  mutable int64_t lines_before_ = -1;  // -1: not counted yet
  std::unique_ptr<TextChunks> chunks_;
  std::shared_ptr<arrow::RecordBatch> rows_;
  size_t used_ = 0;
  int64_t row_ = 0;
  int64_t batch_first_ = 0;  // of rows_
};

// What is wrong with rows that cannot be read together, the first on line `line`.
Status BrokenSample(const DataFile& file, int64_t line, std::string_view text,
                    SampleReading* reading, const Status& status) {
  for (int64_t at = line; !text.empty(); ++at) {
    const auto row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Status one = ParseSample(std::string(row) + '\n', reading).status();
    if (one.ok()) continue;
    return PermanentError(fmt::format("{}: line {}: {}", file.path, at, MessageOf(one)),
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
    size_t whole = WholeLines(chunks->text(), chunks->last());
    if (whole == 0 && chunks->last()) break;
    if (whole == 0) continue;
    const std::string_view text = chunks->text().substr(0, whole);
    size_t end = 0;
    for (; end < text.size() && (wanted == 0 || taken < wanted); ++taken) {
      const auto line_end = text.find('\n', end);
      end = line_end == std::string_view::npos ? text.size() : line_end + 1;
    }
    if (text.substr(0, end).find_first_not_of(" \t\r\n") != std::string_view::npos) {
      auto parsed = ParseSample(std::string(text.substr(0, end)) + '\n', reading);
      if (!parsed.ok()) {
        return BrokenSample(file, chunks->line(), text.substr(0, end), reading, parsed.status());
      }
      arrow::FieldVector fields = (*parsed)->schema()->fields();
      *rows += (*parsed)->num_rows();
      times->Add(**parsed);
      trials->Add(**parsed, file, text.substr(0, end), chunks->line(), &reading->values);
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
                               const ContractTypes& contract) {
  TextFacts facts;
  JsonLayout layout;
  layout.encoding = options.GetString("source_encoding");
  std::transform(layout.encoding.begin(), layout.encoding.end(), layout.encoding.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (layout.encoding == "utf8") layout.encoding = "utf-8";
  if (layout.encoding == "auto") {
    auto encoding = EncodingOf(*sample[0]);
    if (!encoding.ok()) return FileError(encoding.status(), sample[0]->path);
    layout.encoding = *std::move(encoding);
  }
  SampleReading reading{JsonCasts(options, &contract),
                        BadJsonTextFrom(options.GetString("invalid_utf8")),
                        options.GetString("type_mismatch") == "null", JsonValues()};
  JsonTimes times;
  JsonTrials trials(contract);
  std::vector<std::pair<const DataFile*, std::shared_ptr<arrow::Schema>>> schemas;
  int64_t rows = 0, bytes = 0;
  for (const DataFile* file : sample) {
    const Status status = Sample(*file, layout.encoding, options, &reading, &schemas,
                                 &facts.column_memory_bytes, &times, &trials, &rows, &bytes);
    if (status.ok()) continue;
    return MessageOf(status).starts_with(file->path) ? status : FileError(status, file->path);
  }
  if (schemas.empty()) {
    return UserError(sample[0]->path + ": the file is empty: nothing says which columns it has",
                     "empty_file");
  }
  // A row may leave any field out, and so may a file.
  ARROW_ASSIGN_OR_RAISE(const auto common, CommonSchema(schemas, true));
  arrow::FieldVector fields;
  std::set<std::string> kept;  // as they are: a transform or the contract has a type for them
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
    const bool given = layout.contract.contains(field->name()) && field->type()->bit_width() > 0;
    if (given || arrow::is_temporal(field->type()->id())) {
      facts.column_memory_bytes[field->name()] = RowMemoryBytes(*field->type(), 0);
    }
  }
  return facts;
}

Result<std::vector<TextCut>> FindJsonCuts(const std::string& layout, const DataFile& file,
                                          const std::vector<int64_t>& offsets,
                                          const std::stop_token& stop) {
  std::vector<TextCut> cuts;
  if (JsonLayout::From(layout).encoding != "utf-8") return cuts;
  ARROW_ASSIGN_OR_RAISE(auto plain, arrow::io::ReadableFile::Open(file.path));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, plain->GetSize());
  std::string buffer(kTextChunkBytesMin, '\0');
  for (const int64_t offset : offsets) {
    if (!cuts.empty() && offset <= cuts.back().offset) continue;
    for (int64_t at = std::max<int64_t>(0, offset - 1); at < size;) {
      if (stop.stop_requested()) return CancelledError();
      ARROW_ASSIGN_OR_RAISE(const int64_t read,
                            plain->ReadAt(at, kTextChunkBytesMin, buffer.data()));
      if (read == 0) break;
      const auto end = std::string_view(buffer.data(), static_cast<size_t>(read)).find('\n');
      if (end == std::string_view::npos) {
        at += read;
        continue;
      }
      at += static_cast<int64_t>(end) + 1;
      // Lines before it are counted when an error wants them.
      if (at < size) cuts.push_back({at, 1});
      break;
    }
  }
  return cuts;
}

Result<std::unique_ptr<PartReader>> OpenJson(std::shared_ptr<const ReadPlan> plan,
                                             const FilePart& part, UnitContext& context) {
  auto reader = std::make_unique<JsonPartReader>(std::move(plan), part, context);
  const Status status = reader->Start();
  if (!status.ok()) return FileError(status, part.file->path);
  return reader;
}

}  // namespace bulkhaul::files
