// The fields of indexed rows, and a column's fields as an Arrow array. Internal to wire/csv.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/array/data.h>
#include <arrow/memory_pool.h>

#include "wire/csv/csv_decoder.h"

namespace bulkhaul::csv {

inline constexpr uint32_t kMissingField = std::numeric_limits<uint32_t>::max();

struct Field {
  std::string_view text;  // what it means: without quotes and escapes
  bool quoted = false;
  bool missing = false;  // of a row that was padded
  bool broken = false;   // text behind the quote that closes
};

// Rows of one text. `ends` has `fields` places a row.
struct IndexedRows {
  std::string_view text;
  std::vector<uint32_t> ends;
  std::vector<uint32_t> begins;  // of rows; empty when each begins behind the one before
  int64_t rows = 0;
  int64_t line = 1;
  bool invalid_utf8 = false;  // somewhere

  uint32_t BeginOf(int64_t row, const CsvReading& reading) const {
    const auto first = static_cast<size_t>(row) * static_cast<size_t>(reading.fields);
    if (!begins.empty()) return begins[static_cast<size_t>(row)];
    return first == 0 ? 0 : ends[first - 1] + 1;
  }
  int64_t LineOf(int64_t row, const CsvReading& reading) const;
  // Without what ends the row.
  int64_t BytesOf(int64_t row, const CsvReading& reading) const;
  // `scratch` holds what had to be rewritten; until the next call.
  [[gnu::always_inline]] Field At(int64_t row, int field, const CsvReading& reading,
                                  std::string* scratch) const {
    const size_t place =
        static_cast<size_t>(row) * static_cast<size_t>(reading.fields) + static_cast<size_t>(field);
    Field found;
    uint32_t end = ends[place];
    if (end == kMissingField) {
      found.missing = true;
      return found;
    }
    const uint32_t begin = field == 0 ? BeginOf(row, reading) : ends[place - 1] + 1;
    if (field + 1 == reading.fields && end > begin && text[end - 1] == '\r' &&
        reading.dialect.row_end == '\n') {
      --end;
    }
    found.text = text.substr(begin, end - begin);
    const CsvDialect& dialect = reading.dialect;
    if (dialect.trim) Trim(dialect.escape, &found.text);
    const bool quoted =
        !found.text.empty() && dialect.quote != '\0' && found.text.front() == dialect.quote;
    if (quoted || dialect.escape != '\0') Unquote(dialect, scratch, &found);
    return found;
  }

  static void Unquote(const CsvDialect& dialect, std::string* scratch, Field* field);
  static void Trim(char escape, std::string_view* text);
};

// Which rows of a batch are set aside, and for which column. Empty while none is.
class RefusedFields {
 public:
  struct Mark {
    int column = -1;  // -1: the row is kept
    CsvRefused::Reason reason = CsvRefused::Reason::kMisfit;
  };
  void Reset(int64_t rows) {
    rows_ = static_cast<size_t>(rows);
    count_ = 0;
    marks_.clear();
  }
  // The first reason stays.
  void Add(int64_t row, int column, CsvRefused::Reason reason) {
    marks_.resize(rows_);
    Mark& mark = marks_[static_cast<size_t>(row)];
    if (mark.column >= 0) return;
    mark = {column, reason};
    ++count_;
  }
  int64_t count() const { return count_; }
  const Mark& operator[](int64_t row) const { return marks_[static_cast<size_t>(row)]; }

 private:
  size_t rows_ = 0;
  int64_t count_ = 0;
  std::vector<Mark> marks_;
};

struct ColumnCounters {
  int64_t misfits = 0, utf8_replaced = 0, utf8_null = 0;
};

class ColumnDecoder {
 public:
  static Result<std::unique_ptr<ColumnDecoder>> Make(CsvColumn column, arrow::MemoryPool* pool);
  // `column`: its place, for `refused`, which takes what would be errors; nullptr: they are.
  Result<std::shared_ptr<arrow::ArrayData>> Decode(const IndexedRows& rows,
                                                   const CsvReading& reading, int64_t first,
                                                   int64_t count, int column,
                                                   RefusedFields* refused);
  int field() const { return column_.field; }
  const ColumnCounters& counters() const { return counters_; }
  // What the last Decode() counted.
  void TakeBackCounts() { counters_ = counters_before_; }

 private:
  struct Output;
  ColumnDecoder(CsvColumn column, arrow::MemoryPool* pool)
      : column_(std::move(column)), pool_(pool) {}

  template <typename Value, typename Parse>
  Status DecodeFixed(const Parse& parse, Output* output);
  template <typename Value, typename Parse>
  Status FillFixed(const Parse& parse, Output* output);
  // Whether a text of NULL is one of the type's values too: then what it means is asked first,
  // which costs time for every value.
  template <typename Value, typename Parse>
  bool NullsAreValues(const Parse& parse) const;
  template <typename Parse>
  Status DecodeBoolean(const Parse& parse, Output* output);
  Status DecodeText(Output* output);
  Status DecodeByType(Output* output);
  Status DecodeTimes(Output* output);
  // What becomes of a field that is no value of the type: NULL or set aside (OK), or an error.
  Status Misfit(const Output& output, int64_t row, const Field& field);
  // What to do about a value that does not fit.
  std::string AdviceOn(const CsvReading& reading, bool inexact) const;
  Status Complain(const Output& output, int64_t row, const std::string& what) const;
  bool IsNull(const Field& field) const;
  bool IsNullText(std::string_view text) const;
  Result<std::string_view> CheckedText(const Output& output, int64_t row, const Field& field,
                                       std::string* scratch, bool* null);

  const CsvColumn column_;
  arrow::MemoryPool* const pool_;
  std::shared_ptr<const search::DateFormat> date_format_;
  ColumnCounters counters_, counters_before_;
  std::string scratch_, replaced_;
};

}  // namespace bulkhaul::csv
