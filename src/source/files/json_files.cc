#include "source/files/json_files.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/invalid_utf8.h"
#include "base/text.h"
#include "source/files/json_contract.h"
#include "source/files/json_lines.h"
#include "source/files/json_sift.h"
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
        bad_text_(BadJsonTextFrom(plan_->options.GetString("invalid_utf8"))),
        refused_max_(RefusedMax(plan_->options)) {}

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
      // Rows set aside are passed on before more of them come.
      if (rows_->num_rows() == 0 && !refused_.empty()) {
        return arrow::RecordBatch::MakeEmpty(plan_->file_schema, context_.pool);
      }
    }
    const int64_t count = std::min(context_.batch_rows_max, rows_->num_rows() - row_);
    const auto slice = rows_->Slice(row_, count);
    batch_first_ = row_;
    row_ += count;
    return Conform(*plan_, *part_.file, *slice, context_.pool);
  }

  int64_t LineOf(int64_t row) const override {
    if (sifted_) {
      const size_t offset = values_.OffsetOfRow(sifted_->text(), batch_first_ + row);
      return LineInFile(chunks_->line() + sifted_->LinesBefore(offset));
    }
    const auto text = chunks_->text().substr(0, used_);
    const auto before = text.substr(0, values_.OffsetOfRow(text, batch_first_ + row));
    return LineInFile(chunks_->line() + static_cast<int64_t>(CountByte(before, '\n')));
  }
  std::vector<RefusedRow> TakeRefused() override { return std::exchange(refused_, {}); }
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
      used_ = WholeJsonLines(chunks_->text(), chunks_->last());
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
    sifted_.reset();
    const auto counts = std::make_pair(misfits_, repaired_);
    auto rows = Rows(text);
    if (rows.ok()) return rows;
    std::tie(misfits_, repaired_) = counts;
    if (refused_max_ >= 0) return Sifted(text);
    if (plan_->limit > 0) {
      if (auto before = RowsBefore(text)) return before;
    }
    return Located(text, rows.status());
  }

  // The rows before the first line that is none, which is left for the next text: the limit may be
  // reached before it. Null: there are none.
  std::shared_ptr<arrow::RecordBatch> RowsBefore(std::string_view text) {
    const auto counts = std::make_pair(misfits_, repaired_);
    const auto bad = BadLines(text, 1, [&](std::string_view lines) { return Rows(lines).ok(); });
    std::tie(misfits_, repaired_) = counts;
    if (bad.empty()) return nullptr;
    const auto before = text.substr(0, static_cast<size_t>(bad[0].data() - text.data()));
    if (before.find_first_not_of(" \t\r\n") == std::string_view::npos) return nullptr;
    auto rows = Rows(before);
    if (!rows.ok()) return nullptr;
    used_ = before.size();
    return *std::move(rows);
  }

  // The rows of the lines that are rows; the others are set aside.
  Result<std::shared_ptr<arrow::RecordBatch>> Sifted(std::string_view text) {
    const auto counts = std::make_pair(misfits_, repaired_);
    auto bad = BadLines(text, static_cast<size_t>(refused_max_) + 1, [&](std::string_view lines) {
      const bool fits = Rows(lines).ok();
      std::tie(misfits_, repaired_) = counts;
      return fits;
    });
    size_t at = 0;
    int64_t number = chunks_->line();
    for (const auto line : bad) {
      const auto begin = static_cast<size_t>(line.data() - text.data());
      number += static_cast<int64_t>(CountByte(text.substr(at, begin - at), '\n'));
      at = begin;
      refused_.push_back(Refused(line));
      refused_.back().place.line = LineInFile(number);
    }
    std::tie(misfits_, repaired_) = counts;
    // More than the table may have: it fails, whatever is behind them.
    const bool too_many = static_cast<int64_t>(bad.size()) > refused_max_;
    if (too_many) {
      text = text.substr(0, at);
      bad.pop_back();
    }
    sifted_.emplace(text, bad);
    if (sifted_->text().find_first_not_of(" \t\r\n") == std::string::npos) {
      return arrow::RecordBatch::MakeEmpty(schema_, context_.pool);
    }
    auto rows = Rows(sifted_->text());
    return rows.ok() ? rows : Located(sifted_->text(), rows.status());
  }

  // Why a line is no row.
  RefusedRow Refused(std::string_view line) {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    RefusedRow refused;
    refused.text = IsValidUtf8(line) ? std::string(line) : ReplaceInvalidUtf8(line);
    refused.rule = "json";
    const auto take = [&](std::string column, std::string_view raw, std::string rule) {
      refused.column = std::move(column);
      refused.value = JsonValueShown(raw);
      refused.rule = std::move(rule);
    };
    std::string in_utf8, as_text, column;
    if (!IsValidUtf8(line)) {
      auto repaired = JsonInUtf8(std::string(line), bad_text_, &repaired_);
      std::string_view raw;
      if (!repaired.ok()) {
        refused.rule = "utf-8";
        if (values_.FindInvalidUtf8(line, &column, &raw)) take(column, raw, "utf-8");
        return refused;
      }
      line = in_utf8 = *std::move(repaired);
    }
    if (values_.Textify(line, casts_, &as_text)) line = as_text;
    for (const auto& misfit : values_.Misfits(line, *text_schema_, line.size())) {
      if (misfit_null_ && !misfit.unknown_field) continue;
      take(misfit.path, line.substr(misfit.offset, misfit.bytes),
           misfit.unknown_field ? "unknown field" : "type: " + misfit.type);
      return refused;
    }
    TextMisfit misfit;
    (void)Rows(std::string(line) + '\n', &misfit);
    if (!misfit.path.empty()) take(misfit.path, misfit.value, "type: " + misfit.type);
    return refused;
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

  // `misfit`: takes the text that is no value of its column, when that is the error.
  Result<std::shared_ptr<arrow::RecordBatch>> Rows(std::string_view text,
                                                   TextMisfit* misfit = nullptr) {
    std::string in_utf8;
    if (!IsValidUtf8(text)) {
      ARROW_ASSIGN_OR_RAISE(in_utf8, JsonInUtf8(std::string(text), bad_text_, &repaired_));
      text = in_utf8;
    }
    std::string as_text;
    if (values_.Textify(text, casts_, &as_text)) text = as_text;
    ARROW_ASSIGN_OR_RAISE(const auto parsed, Fitting(text));
    const TextReading reading{misfit_null_ ? &misfits_ : nullptr, layout_.contract, casts_,
                              plan_->larger_sample(), misfit};
    return TextAsTimes(*parsed, schema_, reading, context_.pool);
  }

  // The rows, each value as its field holds it, or NULL by type_mismatch.
  Result<std::shared_ptr<arrow::RecordBatch>> Fitting(std::string_view text) {
    const bool suspicious = digits_.Suspects(text);
    if (!suspicious) {
      auto parsed = ParseJsonLines(text, text_schema_);
      if (parsed.ok()) return parsed;
    }
    auto misfits = values_.Misfits(text, *text_schema_, misfit_null_ ? text.size() : 1);
    for (auto& misfit : misfits) {
      if (misfit_null_ && !misfit.unknown_field) continue;
      misfit.contract = layout_.contract.contains(misfit.path);
      return PermanentError(MisfitText(misfit, casts_, plan_->larger_sample()), "bad_value");
    }
    misfits_ += static_cast<int64_t>(misfits.size());
    if (misfits.empty()) return ParseJsonLines(text, text_schema_);
    return ParseJsonLines(JsonValues::WithNulls(text, misfits), text_schema_);
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
    return PermanentError(fmt::format("{}: line {}: {}", part_.file->path, LineInFile(line),
                                      WithAdvice(MessageOf(found))),
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
  const int64_t refused_max_;  // -1: rows are not set aside
  std::vector<RefusedRow> refused_;
  std::optional<SiftedLines> sifted_;  // the lines of rows_, when some were set aside
  int64_t repaired_ = 0;               // texts
  int64_t misfits_ = 0;
  mutable int64_t lines_before_ = -1;  // -1: not counted yet
  std::unique_ptr<TextChunks> chunks_;
  std::shared_ptr<arrow::RecordBatch> rows_;
  size_t used_ = 0;
  int64_t row_ = 0;
  int64_t batch_first_ = 0;  // of rows_
};

}  // namespace

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
