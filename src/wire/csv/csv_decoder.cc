#include "wire/csv/csv_decoder.h"

#include <algorithm>
#include <utility>

#include <arrow/array/concatenate.h>
#include <arrow/type_traits.h>
#include <fmt/format.h>

#include "base/invalid_utf8.h"
#include "base/short_text.h"
#include "base/text.h"
#include "wire/csv/csv_fields.h"

namespace bulkhaul::csv {
namespace {

constexpr size_t kRefusedValueBytesMax = 1000;

std::string Readable(std::string_view text) {
  return IsValidUtf8(text) ? std::string(text) : ReplaceInvalidUtf8(text);
}

// Lines of places that are asked for in ascending order.
class LineCounter {
 public:
  LineCounter(std::string_view text, int64_t line, char row_end)
      : text_(text), line_(line), row_end_(row_end) {}
  int64_t At(size_t place) {
    line_ += static_cast<int64_t>(CountByte(text_.substr(at_, place - at_), row_end_));
    at_ = place;
    return line_;
  }

 private:
  const std::string_view text_;
  size_t at_ = 0;
  int64_t line_;
  const char row_end_;
};

}  // namespace

bool IsCsvType(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::TIME64:
      return static_cast<const arrow::Time64Type&>(type).unit() == arrow::TimeUnit::MICRO;
    case arrow::Type::DECIMAL128:
      return static_cast<const arrow::Decimal128Type&>(type).scale() >= 0;
    case arrow::Type::STRING:
    case arrow::Type::BOOL:
    case arrow::Type::DATE32:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
      return true;
    default:
      return arrow::is_integer(type.id());
  }
}

class CsvDecoder::Impl {
 public:
  Impl(CsvReading reading, std::shared_ptr<arrow::Schema> schema,
       std::vector<std::unique_ptr<ColumnDecoder>> columns, arrow::MemoryPool* pool)
      : reading_(std::move(reading)),
        schema_(std::move(schema)),
        columns_(std::move(columns)),
        pool_(pool) {}

  int64_t LineOf(int64_t row) const { return rows_.LineOf(row, reading_); }
  int64_t LineOfDecoded(int64_t row) const {
    return LineOf(kept_.empty() ? decoded_first_ + row : kept_[static_cast<size_t>(row)]);
  }
  bool has_refused() const { return !refused_.empty(); }
  int64_t LineRefusedLongerThan(int64_t bytes) const {
    for (const auto& refused : refused_) {
      if (static_cast<int64_t>(refused.text.size()) > bytes) return refused.line;
    }
    return -1;
  }
  std::vector<CsvRefused> TakeRefused() {
    std::stable_sort(refused_.begin(), refused_.end(),
                     [](const auto& a, const auto& b) { return a.line < b.line; });
    return std::exchange(refused_, {});
  }

  int64_t FirstRowLongerThan(int64_t bytes) const {
    for (int64_t row = 0; row < rows_.rows; ++row) {
      if (rows_.BytesOf(row, reading_) > bytes) return row;
    }
    return -1;
  }

  Result<size_t> Index(std::string_view text, bool last, int64_t line) {
    if (text.size() >= kMissingField) return BugError("more than 4 GiB of CSV at once");
    rows_.text = text;
    rows_.line = line;
    rows_.ends.clear();
    rows_.begins.clear();
    rows_.rows = 0;
    CsvScanState state;
    int64_t row_ends = 0;
    ScanFields(text, reading_.dialect, 0, &state, &rows_.ends, &row_ends);
    auto& ends = rows_.ends;
    bool open_row = !text.empty() && (ends.empty() || ends.back() + 1 != text.size() ||
                                      !IsRowEnd(ends.back()) || state.in_quotes);
    if (open_row && last && state.in_quotes && reading_.rows_before_errors && row_ends > 0) {
      open_row = false;
    }
    if (open_row && last) {
      if (state.in_quotes) return Unclosed();
      ends.push_back(static_cast<uint32_t>(text.size()));
      ++row_ends;
    } else {
      while (!ends.empty() && !IsRowEnd(ends.back())) ends.pop_back();
    }
    const size_t used = ends.empty() ? 0 : std::min<size_t>(ends.back() + size_t{1}, text.size());
    rows_.rows = row_ends;
    rows_.invalid_utf8 = state.beyond_ascii && !IsValidUtf8(text.substr(0, used));
    if (Regular()) return used;
    uint32_t broken = 0;
    ARROW_RETURN_NOT_OK(Straighten(&broken));
    return broken > 0 ? broken : used;
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Decode(int64_t first, int64_t count) {
    std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
    arrays.reserve(columns_.size());
    marks_.Reset(count);
    decoded_first_ = first;
    kept_.clear();
    int place = 0;
    for (const auto& column : columns_) {
      auto array =
          column->Decode(rows_, reading_, first, count, place++, refuses() ? &marks_ : nullptr);
      if (!array.ok()) {
        for (int i = 0; i < place; ++i) columns_[static_cast<size_t>(i)]->TakeBackCounts();
        return array.status();
      }
      arrays.push_back(*std::move(array));
    }
    auto batch = arrow::RecordBatch::Make(schema_, count, std::move(arrays));
    if (marks_.count() == 0) return batch;
    return WithoutMarked(*batch);
  }

  std::map<std::string, int64_t> counters() const {
    std::map<std::string, int64_t> counters;
    const auto add = [&](const char* name, int64_t count) {
      if (count > 0) counters[name] += count;
    };
    add("ragged_padded", padded_);
    add("ragged_skipped", skipped_);
    for (const auto& column : columns_) {
      add("type_mismatch_null", column->counters().misfits);
      add("invalid_utf8_replaced", column->counters().utf8_replaced);
      add("invalid_utf8_null", column->counters().utf8_null);
    }
    return counters;
  }
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  int64_t rows() const { return rows_.rows; }

 private:
  bool IsRowEnd(uint32_t place) const {
    return place == rows_.text.size() || rows_.text[place] == reading_.dialect.row_end;
  }

  // Whether every row has as many fields as it should. As many rows as ends at their places means
  // that all other ends are delimiters.
  bool Regular() const {
    const auto fields = static_cast<size_t>(reading_.fields);
    if (rows_.ends.size() != static_cast<size_t>(rows_.rows) * fields) return false;
    for (size_t end = fields - 1; end < rows_.ends.size(); end += fields) {
      if (!IsRowEnd(rows_.ends[end])) return false;
    }
    return true;
  }

  // Leaves blank lines out, and makes rows with other numbers of fields fit, or says what is wrong.
  // `broken`: where the row begins that is left for the next text (rows_before_errors).
  Status Straighten(uint32_t* broken) {
    const auto fields = static_cast<size_t>(reading_.fields);
    std::vector<uint32_t> straight;
    straight.reserve(rows_.ends.size());
    std::vector<uint32_t> begins;
    size_t row_first = 0;
    uint32_t begin = 0;
    LineCounter lines(rows_.text, rows_.line, reading_.dialect.row_end);
    int64_t told = 0;
    for (size_t i = 0; i < rows_.ends.size(); ++i) {
      if (!IsRowEnd(rows_.ends[i])) continue;
      const size_t found = i + 1 - row_first;
      const std::string_view row = rows_.text.substr(begin, rows_.ends[i] - begin);
      const bool blank = fields > 1 && (row.empty() || row == "\r");
      bool kept = !blank;
      if (kept && found != fields) {
        const bool padded = reading_.ragged == OnRagged::kPad && found < fields;
        if (reading_.ragged == OnRagged::kSkip) {
          ++skipped_;
          kept = false;
        } else if (refuses() && !padded) {
          if (told++ <= reading_.refused_max) {
            CsvRefused refused{CsvRefused::Reason::kFields, lines.At(begin), "",
                               static_cast<int64_t>(found), ""};
            refused.text = Readable(row.substr(0, row.size() - row.ends_with('\r')));
            refused_.push_back(std::move(refused));
          }
          kept = false;
        } else if (reading_.ragged == OnRagged::kError || found > fields) {
          if (!reading_.rows_before_errors || begins.empty()) return Ragged(begin, found);
          *broken = begin;
          break;
        } else {
          ++padded_;
        }
      }
      if (kept) {
        begins.push_back(begin);
        for (size_t field = 0; field < fields; ++field) {
          straight.push_back(field < found ? rows_.ends[row_first + field] : kMissingField);
        }
      }
      begin = rows_.ends[i] + 1;
      row_first = i + 1;
    }
    rows_.rows = static_cast<int64_t>(begins.size());
    rows_.ends = std::move(straight);
    rows_.begins = std::move(begins);
    return Status::OK();
  }

  bool refuses() const { return reading_.refused_max >= 0; }

  // The batch that was decoded, without the rows that are marked, which are told of.
  Result<std::shared_ptr<arrow::RecordBatch>> WithoutMarked(const arrow::RecordBatch& batch) {
    LineCounter lines(rows_.text, rows_.line, reading_.dialect.row_end);
    int64_t told = 0;
    std::vector<std::pair<int64_t, int64_t>> runs;  // of rows that are kept: first, count
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      const auto& mark = marks_[row];
      const int64_t indexed = decoded_first_ + row;
      if (mark.column < 0) {
        kept_.push_back(indexed);
        if (runs.empty() || runs.back().first + runs.back().second != row) runs.push_back({row, 0});
        ++runs.back().second;
      } else if (told++ <= reading_.refused_max) {
        refused_.push_back(Describe(mark, indexed, lines));
      }
    }
    if (runs.empty()) return batch.Slice(0, 0);
    arrow::ArrayVector columns;
    for (const auto& column : batch.columns()) {
      arrow::ArrayVector pieces;
      for (const auto& [first, count] : runs) pieces.push_back(column->Slice(first, count));
      ARROW_ASSIGN_OR_RAISE(auto kept, arrow::Concatenate(pieces, pool_));
      columns.push_back(std::move(kept));
    }
    return arrow::RecordBatch::Make(schema_, static_cast<int64_t>(kept_.size()),
                                    std::move(columns));
  }

  CsvRefused Describe(const RefusedFields::Mark& mark, int64_t row, LineCounter& lines) {
    const uint32_t begin = rows_.BeginOf(row, reading_);
    std::string scratch;
    const int field = columns_[static_cast<size_t>(mark.column)]->field();
    const std::string_view value = rows_.At(row, field, reading_, &scratch).text;
    CsvRefused refused{mark.reason, lines.At(begin), schema_->field(mark.column)->name(),
                       reading_.fields, Readable(ShortText(value, kRefusedValueBytesMax))};
    refused.text =
        Readable(rows_.text.substr(begin, static_cast<size_t>(rows_.BytesOf(row, reading_))));
    return refused;
  }

  int64_t LineAt(uint32_t place) const {
    const auto before = rows_.text.substr(0, place);
    return rows_.line + std::count(before.begin(), before.end(), reading_.dialect.row_end);
  }

  Status Ragged(uint32_t begin, size_t found) const {
    const bool more = found > static_cast<size_t>(reading_.fields);
    return PermanentError(
        fmt::format(
            "line {}: the row has {} fields instead of {}. Set {}ragged: skip to leave such "
            "rows out and count them, or reject: quarantine to put them aside",
            LineAt(begin), found, reading_.fields,
            more ? "" : "ragged: pad to take NULL for what is missing, or "),
        "ragged_row");
  }

  Status Unclosed() const {
    uint32_t begin = 0;
    for (auto end = rows_.ends.rbegin(); end != rows_.ends.rend(); ++end) {
      if (!IsRowEnd(*end)) continue;
      begin = *end + 1;
      break;
    }
    return PermanentError(
        fmt::format("line {}: a quote in this row is never closed", LineAt(begin)),
        "unclosed_quote");
  }

  const CsvReading reading_;
  const std::shared_ptr<arrow::Schema> schema_;
  const std::vector<std::unique_ptr<ColumnDecoder>> columns_;
  arrow::MemoryPool* const pool_;
  IndexedRows rows_;
  RefusedFields marks_;
  std::vector<CsvRefused> refused_;
  int64_t decoded_first_ = 0;  // of the indexed rows
  std::vector<int64_t> kept_;  // of the indexed rows, those of the batch; empty: all from there on
  int64_t padded_ = 0, skipped_ = 0;
};

CsvDecoder::CsvDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CsvDecoder::~CsvDecoder() = default;

Result<std::unique_ptr<CsvDecoder>> CsvDecoder::Make(CsvReading reading,
                                                     std::vector<CsvColumn> columns,
                                                     arrow::MemoryPool* pool) {
  if (reading.fields < 1) return BugError("CSV without fields");
  arrow::FieldVector fields;
  std::vector<std::unique_ptr<ColumnDecoder>> decoders;
  for (auto& column : columns) {
    if (column.field < 0 || column.field >= reading.fields || !IsCsvType(*column.type.type)) {
      return BugError("column '" + column.name + "' cannot be read from CSV");
    }
    fields.push_back(arrow::field(column.name, column.type.type));
    ARROW_ASSIGN_OR_RAISE(auto decoder, ColumnDecoder::Make(std::move(column), pool));
    decoders.push_back(std::move(decoder));
  }
  return std::unique_ptr<CsvDecoder>(new CsvDecoder(std::make_unique<Impl>(
      std::move(reading), arrow::schema(std::move(fields)), std::move(decoders), pool)));
}

Result<size_t> CsvDecoder::Index(std::string_view text, bool last, int64_t line) {
  return impl_->Index(text, last, line);
}
int64_t CsvDecoder::rows() const { return impl_->rows(); }
Result<std::shared_ptr<arrow::RecordBatch>> CsvDecoder::Decode(int64_t first, int64_t count) {
  return impl_->Decode(first, count);
}
int64_t CsvDecoder::FirstRowLongerThan(int64_t bytes) const {
  return impl_->FirstRowLongerThan(bytes);
}
int64_t CsvDecoder::LineOf(int64_t row) const { return impl_->LineOf(row); }
int64_t CsvDecoder::LineOfDecoded(int64_t row) const { return impl_->LineOfDecoded(row); }
bool CsvDecoder::has_refused() const { return impl_->has_refused(); }
int64_t CsvDecoder::LineRefusedLongerThan(int64_t bytes) const {
  return impl_->LineRefusedLongerThan(bytes);
}
std::vector<CsvRefused> CsvDecoder::TakeRefused() { return impl_->TakeRefused(); }
const std::shared_ptr<arrow::Schema>& CsvDecoder::schema() const { return impl_->schema(); }
std::map<std::string, int64_t> CsvDecoder::counters() const { return impl_->counters(); }

Result<size_t> FirstRow(std::string_view text, const CsvDialect& dialect, bool last,
                        std::vector<std::string>* fields, std::vector<bool>* quoted, bool* broken) {
  fields->clear();
  if (broken != nullptr) *broken = false;
  if (quoted != nullptr) quoted->clear();
  CsvScanState state;
  const size_t row_end = ScanToRowEnd(text, dialect, 0, &state);
  const bool ended = row_end != std::string_view::npos;
  if (!ended && (!last || text.empty())) return size_t{0};
  if (!ended && state.in_quotes) return PermanentError("a quote is never closed", "unclosed_quote");
  IndexedRows rows;
  rows.text = text.substr(0, ended ? row_end : text.size());
  CsvScanState again;
  int64_t count = 0;
  ScanFields(rows.text, dialect, 0, &again, &rows.ends, &count);
  rows.ends.push_back(static_cast<uint32_t>(rows.text.size()));
  CsvReading reading;
  reading.dialect = dialect;
  reading.fields = static_cast<int>(rows.ends.size());
  std::string scratch;
  for (int i = 0; i < reading.fields; ++i) {
    const Field field = rows.At(0, i, reading, &scratch);
    if (field.broken && broken != nullptr) *broken = true;
    if (field.broken && broken == nullptr) {
      return PermanentError(fmt::format("text stands behind the quote that closes field {}", i + 1),
                            "bad_value");
    }
    fields->emplace_back(field.text);
    if (quoted != nullptr) quoted->push_back(field.quoted);
  }
  return ended ? row_end + 1 : text.size();
}

}  // namespace bulkhaul::csv
