#include "wire/csv/csv_fields.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <type_traits>

#include <arrow/buffer.h>
#include <arrow/util/bit_util.h>
#include <fmt/format.h>

#include "base/invalid_utf8.h"
#include "base/text.h"
#include "wire/csv/csv_value.h"

namespace bulkhaul::csv {
namespace {

constexpr size_t kShownBytesMax = 80;

// A value for a message: short, without line breaks.
std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kShownBytesMax)) {
    shown += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  if (!IsValidUtf8(shown)) {
    for (char& c : shown) c = static_cast<unsigned char>(c) > 0x7E ? '?' : c;
  }
  return text.size() > kShownBytesMax ? shown + "…" : shown;
}

template <typename Integer>
bool ParseIntegerAs(std::string_view text, Integer* value) {
  if constexpr (std::is_same_v<Integer, uint64_t>) {
    return ParseUnsigned(text, value);
  } else {
    int64_t wide;
    if (!ParseInteger(text, &wide)) return false;
    *value = static_cast<Integer>(wide);
    return *value == wide;
  }
}

// The nearest one. False beyond the largest.
bool ParseFloat(std::string_view text, float* value) {
  double wide;
  if (!ParseDouble(text, &wide)) return false;
  *value = static_cast<float>(wide);
  return std::isfinite(*value) || !std::isfinite(wide);
}

}  // namespace

struct ColumnDecoder::Output {
  const IndexedRows& rows;
  const CsvReading& reading;
  int64_t first, count;
  std::shared_ptr<arrow::Buffer> validity;
  uint8_t* valid = nullptr;
  int64_t nulls = 0;
  std::shared_ptr<arrow::Buffer> values, data;  // data: of text
  int column = 0;
  RefusedFields* refused = nullptr;

  void SetNull(int64_t at) {
    arrow::bit_util::ClearBit(valid, at);
    ++nulls;
  }
  bool Refuse(int64_t row, CsvRefused::Reason reason) const {
    if (refused == nullptr) return false;
    refused->Add(row, column, reason);
    return true;
  }
};

int64_t IndexedRows::LineOf(int64_t row, const CsvReading& reading) const {
  const auto before = text.substr(0, BeginOf(row, reading));
  return line + std::count(before.begin(), before.end(), reading.dialect.row_end);
}

int64_t IndexedRows::BytesOf(int64_t row, const CsvReading& reading) const {
  const auto first = static_cast<size_t>(row) * static_cast<size_t>(reading.fields);
  size_t last = first + static_cast<size_t>(reading.fields) - 1;
  while (last > first && ends[last] == kMissingField) --last;
  const uint32_t begin = BeginOf(row, reading);
  uint32_t end = ends[last];
  if (end > begin && text[end - 1] == '\r' && reading.dialect.row_end == '\n') --end;
  return end - begin;
}

// Before escapes are taken away, so that a blank that is escaped stays.
void IndexedRows::Trim(char escape, std::string_view* text) {
  while (!text->empty() && IsBlank(text->front())) text->remove_prefix(1);
  size_t size = text->size();
  while (size > 0 && IsBlank((*text)[size - 1])) --size;
  size_t escapes = 0;
  if (escape != '\0') {
    while (escapes < size && (*text)[size - 1 - escapes] == escape) ++escapes;
  }
  if (escapes % 2 == 1 && size < text->size()) ++size;
  *text = text->substr(0, size);
}

void IndexedRows::Unquote(const CsvDialect& dialect, std::string* scratch, Field* field) {
  std::string_view text = field->text;
  field->quoted = !text.empty() && dialect.quote != '\0' && text.front() == dialect.quote;
  if (field->quoted) {
    text.remove_prefix(1);
    const size_t close = text.find(dialect.quote);
    if (dialect.escape == '\0' && close != std::string_view::npos && close + 1 == text.size()) {
      field->text = text.substr(0, close);
      return;
    }
  } else if (text.find(dialect.escape) == std::string_view::npos) {
    return;
  }
  scratch->clear();
  bool open = field->quoted;
  for (size_t i = 0; i < text.size(); ++i) {
    if (dialect.escape != '\0' && text[i] == dialect.escape && i + 1 < text.size()) {
      const char next = text[++i];
      // \N is NULL where backslashes escape; what it means is the column's business.
      if (next == 'N' && !field->quoted && text.size() == 2) *scratch += '\\';
      *scratch += next;
    } else if (open && text[i] == dialect.quote) {
      if (i + 1 < text.size() && text[i + 1] == dialect.quote) {
        *scratch += text[i++];
      } else {
        open = false;
        field->broken = i + 1 != text.size();
        if (field->broken) return;
      }
    } else {
      *scratch += text[i];
    }
  }
  field->broken = open;
  field->text = *scratch;
}

Result<std::unique_ptr<ColumnDecoder>> ColumnDecoder::Make(CsvColumn column,
                                                           arrow::MemoryPool* pool) {
  std::unique_ptr<ColumnDecoder> decoder(new ColumnDecoder(std::move(column), pool));
  if (!decoder->column_.type.date_format.empty()) {
    ARROW_ASSIGN_OR_RAISE(auto format, search::DateFormat::Make(decoder->column_.type.date_format));
    decoder->date_format_ = std::make_shared<search::DateFormat>(std::move(format));
  }
  return decoder;
}

Status ColumnDecoder::Complain(const Output& output, int64_t row, const std::string& what) const {
  return PermanentError(
      fmt::format("line {}, column '{}': {}",
                  output.rows.LineOf(output.first + row, output.reading), column_.name, what),
      "bad_value");
}

bool ColumnDecoder::IsNull(const Field& field) const {
  if (field.missing) return true;
  const bool text = column_.type.type->id() == arrow::Type::STRING;
  // Nothing else can be meant by an empty number; text may be empty.
  if (field.text.empty()) return !text || !field.quoted;
  if (text && field.quoted) return false;
  return IsNullText(field.text);
}

Status ColumnDecoder::Misfit(const Output& output, int64_t row, const Field& field) {
  if (field.broken) {
    if (output.Refuse(row, CsvRefused::Reason::kQuotes)) return Status::OK();
    return Complain(output, row,
                    "text stands behind the quote that closes '" + Shown(field.text) +
                        "'; reject: quarantine puts such rows aside");
  }
  if (IsNull(field)) return Status::OK();
  if (output.reading.misfit == OnMisfit::kNull) {
    ++counters_.misfits;
    return Status::OK();
  }
  if (output.Refuse(row, CsvRefused::Reason::kMisfit)) return Status::OK();
  const std::string format =
      column_.type.date_format.empty() ? "" : " of the form " + column_.type.date_format;
  const bool inexact = column_.type.type->id() == arrow::Type::DOUBLE && ShapeOf(field.text).number;
  const std::string what =
      inexact ? fmt::format("'{}' cannot be held by a double exactly", Shown(field.text))
              : fmt::format(
                    "'{}' is no {}{}{}", Shown(field.text), column_.type.type->ToString(), format,
                    column_.type.contract ? ", as the contract or the table there wants it" : "");
  return Complain(output, row, what + ". " + AdviceOn(output.reading, inexact));
}

std::string ColumnDecoder::AdviceOn(const CsvReading& reading, bool inexact) const {
  std::string advice;
  if (!column_.type.given && !reading.larger_sample.empty()) {
    advice = fmt::format("A larger {} (0: all) gives a type that fits every row, ",
                         reading.larger_sample);
  }
  if (inexact) advice += "decimal_precision: 38,9 makes exact decimals of fractions, ";
  return advice + fmt::format(
                      "cast: {}: string takes the column as text, "
                      "type_mismatch: null such values as NULL, reject: quarantine puts such rows "
                      "aside",
                      column_.cast_name.empty() ? column_.name : column_.cast_name);
}

bool ColumnDecoder::IsNullText(std::string_view text) const {
  const auto& nulls = column_.type.nulls;
  return std::find(nulls.begin(), nulls.end(), text) != nulls.end();
}

template <typename Value, typename Parse>
bool ColumnDecoder::NullsAreValues(const Parse& parse) const {
  Value value{};
  return std::any_of(column_.type.nulls.begin(), column_.type.nulls.end(),
                     [&](const std::string& null) { return parse(null, &value); });
}

template <typename Value, typename Parse>
Status ColumnDecoder::DecodeFixed(const Parse& parse, Output* output) {
  if (!NullsAreValues<Value>(parse)) return FillFixed<Value>(parse, output);
  const std::function<bool(std::string_view, Value*)> no_null =
      [&](std::string_view text, Value* value) { return !IsNullText(text) && parse(text, value); };
  return FillFixed<Value>(no_null, output);
}

template <typename Value, typename Parse>
Status ColumnDecoder::FillFixed(const Parse& parse, Output* output) {
  ARROW_ASSIGN_OR_RAISE(
      output->values,
      arrow::AllocateBuffer(output->count * static_cast<int64_t>(sizeof(Value)), pool_));
  auto* out = output->values->mutable_data_as<Value>();
  for (int64_t row = 0; row < output->count; ++row) {
    const Field field =
        output->rows.At(output->first + row, column_.field, output->reading, &scratch_);
    if (!field.text.empty() && !field.broken && parse(field.text, &out[row])) [[likely]]
      continue;
    ARROW_RETURN_NOT_OK(Misfit(*output, row, field));
    out[row] = Value{};
    output->SetNull(row);
  }
  return Status::OK();
}

template <typename Parse>
Status ColumnDecoder::DecodeBoolean(const Parse& parse, Output* output) {
  ARROW_ASSIGN_OR_RAISE(output->values, arrow::AllocateEmptyBitmap(output->count, pool_));
  uint8_t* out = output->values->mutable_data();
  const bool null_first = NullsAreValues<bool>(parse);
  for (int64_t row = 0; row < output->count; ++row) {
    const Field field =
        output->rows.At(output->first + row, column_.field, output->reading, &scratch_);
    bool value = false;
    if (!field.text.empty() && !field.broken && parse(field.text, &value) &&
        !(null_first && IsNullText(field.text))) {
      if (value) arrow::bit_util::SetBit(out, row);
      continue;
    }
    ARROW_RETURN_NOT_OK(Misfit(*output, row, field));
    output->SetNull(row);
  }
  return Status::OK();
}

Result<std::string_view> ColumnDecoder::CheckedText(const Output& output, int64_t row,
                                                    const Field& field, std::string* scratch,
                                                    bool* null) {
  if (IsValidUtf8(field.text)) return field.text;
  switch (output.reading.invalid_utf8) {
    case OnInvalidUtf8::kNull:
      ++counters_.utf8_null;
      *null = true;
      return std::string_view();
    case OnInvalidUtf8::kReplace:
      ++counters_.utf8_replaced;
      *scratch = ReplaceInvalidUtf8(field.text);
      return std::string_view(*scratch);
    case OnInvalidUtf8::kError:
      break;
  }
  if (output.Refuse(row, CsvRefused::Reason::kUtf8)) {
    *null = true;
    return std::string_view();
  }
  return Complain(
      output, row,
      fmt::format("'{}' is not valid UTF-8; set source_encoding (windows-1252, latin1), "
                  "invalid_utf8: replace or null, or reject: quarantine to put such rows aside",
                  Shown(field.text)));
}

Status ColumnDecoder::DecodeText(Output* output) {
  const IndexedRows& rows = output->rows;
  ARROW_ASSIGN_OR_RAISE(output->values,
                        arrow::AllocateBuffer((output->count + 1) * int64_t{4}, pool_));
  // Never more than the text itself, but for replaced bytes.
  int64_t room = 0;
  const auto fields = static_cast<size_t>(output->reading.fields);
  for (int64_t row = output->first; row < output->first + output->count; ++row) {
    const size_t place = static_cast<size_t>(row) * fields + static_cast<size_t>(column_.field);
    if (rows.ends[place] == kMissingField) continue;
    const uint32_t begin =
        column_.field == 0 ? rows.BeginOf(row, output->reading) : rows.ends[place - 1] + 1;
    room += rows.ends[place] - begin;
  }
  if (rows.invalid_utf8) room *= 3;
  if (room > std::numeric_limits<int32_t>::max()) {
    return PermanentError(fmt::format("column '{}' has 2 GiB of text in one batch", column_.name));
  }
  ARROW_ASSIGN_OR_RAISE(auto data, arrow::AllocateResizableBuffer(room, pool_));
  auto* offsets = output->values->mutable_data_as<int32_t>();
  char* const begin = reinterpret_cast<char*>(data->mutable_data());
  int32_t at = 0;
  offsets[0] = 0;
  for (int64_t row = 0; row < output->count; ++row) {
    const Field field = rows.At(output->first + row, column_.field, output->reading, &scratch_);
    if (field.broken) ARROW_RETURN_NOT_OK(Misfit(*output, row, field));
    std::string_view text = field.text;
    bool null = field.broken || ((text.empty() || !column_.type.nulls.empty()) && IsNull(field));
    if (rows.invalid_utf8 && !null) {
      ARROW_ASSIGN_OR_RAISE(text, CheckedText(*output, row, field, &replaced_, &null));
    }
    if (null) {
      output->SetNull(row);
    } else if (!text.empty()) {
      std::memcpy(begin + at, text.data(), text.size());
      at += static_cast<int32_t>(text.size());
    }
    offsets[row + 1] = at;
  }
  ARROW_RETURN_NOT_OK(data->Resize(at, /*shrink_to_fit=*/false));
  output->data = std::move(data);
  return Status::OK();
}

Status ColumnDecoder::DecodeTimes(Output* output) {
  const auto& type = *column_.type.type;
  const search::DateFormat* const format = date_format_.get();
  if (type.id() == arrow::Type::DATE32) {
    if (format == nullptr) return DecodeFixed<int32_t>(ParseDate, output);
    return DecodeFixed<int32_t>(
        [format](std::string_view text, int32_t* days) {
          const auto instant = format->Parse(text);
          if (!instant || instant->seconds % 86400 != 0 || instant->nanos != 0) return false;
          *days = static_cast<int32_t>(instant->seconds / 86400);
          return true;
        },
        output);
  }
  if (type.id() == arrow::Type::TIME64) return DecodeFixed<int64_t>(ParseTime, output);
  const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
  const auto unit = timestamp.unit();
  const bool zoned = !timestamp.timezone().empty();
  if (format == nullptr) {
    return DecodeFixed<int64_t>(
        [unit, zoned](std::string_view text, int64_t* value) {
          return ParseTimestamp(text, unit, zoned, value);
        },
        output);
  }
  static constexpr int64_t kPerSecond[] = {1, 1000, 1000000, 1000000000};
  const int64_t per_second = kPerSecond[static_cast<int>(unit)];
  return DecodeFixed<int64_t>(
      [format, per_second](std::string_view text, int64_t* value) {
        const auto instant = format->Parse(text);
        const int64_t nanos_each = 1000000000 / per_second;
        if (!instant || instant->nanos % nanos_each != 0) return false;
        int64_t scaled;
        if (__builtin_mul_overflow(instant->seconds, per_second, &scaled)) return false;
        return !__builtin_add_overflow(scaled, instant->nanos / nanos_each, value);
      },
      output);
}

Status ColumnDecoder::DecodeByType(Output* output) {
  const auto& type = *column_.type.type;
  switch (type.id()) {
    case arrow::Type::INT64:
      return DecodeFixed<int64_t>(ParseInteger, output);
    case arrow::Type::INT32:
      return DecodeFixed<int32_t>(ParseIntegerAs<int32_t>, output);
    case arrow::Type::INT16:
      return DecodeFixed<int16_t>(ParseIntegerAs<int16_t>, output);
    case arrow::Type::INT8:
      return DecodeFixed<int8_t>(ParseIntegerAs<int8_t>, output);
    case arrow::Type::UINT64:
      return DecodeFixed<uint64_t>(ParseIntegerAs<uint64_t>, output);
    case arrow::Type::UINT32:
      return DecodeFixed<uint32_t>(ParseIntegerAs<uint32_t>, output);
    case arrow::Type::UINT16:
      return DecodeFixed<uint16_t>(ParseIntegerAs<uint16_t>, output);
    case arrow::Type::UINT8:
      return DecodeFixed<uint8_t>(ParseIntegerAs<uint8_t>, output);
    case arrow::Type::FLOAT:
      return DecodeFixed<float>(ParseFloat, output);
    case arrow::Type::DOUBLE:
      return DecodeFixed<double>(ParseDouble, output);
    case arrow::Type::BOOL:
      return DecodeBoolean(
          [](std::string_view text, bool* value) { return ParseBoolean(text, true, value); },
          output);
    case arrow::Type::DECIMAL128: {
      const auto& decimal = static_cast<const arrow::Decimal128Type&>(type);
      const int precision = decimal.precision(), scale = decimal.scale();
      return DecodeFixed<arrow::Decimal128>(
          [precision, scale](std::string_view text, arrow::Decimal128* value) {
            return ParseDecimal(text, precision, scale, value);
          },
          output);
    }
    case arrow::Type::DATE32:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
      return DecodeTimes(output);
    case arrow::Type::STRING:
      return DecodeText(output);
    default:
      return BugError("CSV cannot become " + type.ToString());
  }
}

Result<std::shared_ptr<arrow::ArrayData>> ColumnDecoder::Decode(const IndexedRows& rows,
                                                                const CsvReading& reading,
                                                                int64_t first, int64_t count,
                                                                int column,
                                                                RefusedFields* refused) {
  counters_before_ = counters_;
  Output output{rows, reading, first,   count,  nullptr, nullptr,
                0,    nullptr, nullptr, column, refused};
  ARROW_ASSIGN_OR_RAISE(output.validity, arrow::AllocateBitmap(count, pool_));
  output.valid = output.validity->mutable_data();
  std::memset(output.valid, 0xFF, static_cast<size_t>(output.validity->size()));
  ARROW_RETURN_NOT_OK(DecodeByType(&output));
  std::vector<std::shared_ptr<arrow::Buffer>> buffers = {
      output.nulls > 0 ? output.validity : nullptr, output.values};
  if (output.data != nullptr) buffers.push_back(output.data);
  return arrow::ArrayData::Make(column_.type.type, count, std::move(buffers), output.nulls);
}

}  // namespace bulkhaul::csv
