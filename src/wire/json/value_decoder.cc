#include "wire/json/value_decoder.h"

#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "wire/json/number_text.h"

namespace bulkhaul::search {

namespace {

// A surplus value is an error that no option turns into NULL: it would hide the first one.
constexpr char kSurplusCode[] = "more than one value";
constexpr char kValueCode[] = "value";
// Such a value fits its field: what becomes of it is for date_digits to say alone.
constexpr char kExcessDigitsCode[] = "excess digits";

constexpr size_t kScratchKeptBytes = size_t{1} << 20;

std::string Shown(std::string_view value) {
  constexpr size_t kShownMax = 80;
  return fmt::format("{}{}", value.substr(0, kShownMax), value.size() > kShownMax ? "…" : "");
}

Status Misfit(std::string_view value, std::string_view why) {
  return ValueError(fmt::format("{} {}", Shown(value), why));
}

int64_t UnitsASecond(DateUnit unit) {
  return unit == DateUnit::kMilli ? 1'000 : unit == DateUnit::kMicro ? 1'000'000 : 1'000'000'000;
}

bool HasEscapes(std::string_view inner) {
  return std::memchr(inner.data(), '\\', inner.size()) != nullptr;
}

// The inside of a string without escapes.
bool IsPlainString(std::string_view token, std::string_view* text) {
  if (token.size() < 2 || token.front() != '"' || token.back() != '"') return false;
  *text = token.substr(1, token.size() - 2);
  return !HasEscapes(*text);
}

template <typename Integer>
bool TryAppendInteger(std::string_view token, ValueBuffer* values) {
  int64_t value;
  return ParsePlainInteger(token, &value) && std::in_range<Integer>(value) &&
         values->TryAppendFixed(static_cast<Integer>(value));
}

template <typename Real>
bool TryAppendReal(std::string_view token, ValueBuffer* values) {
  Real value;
  return ParsePlainReal(token, &value) && values->TryAppendFixed(value);
}

// The instant in the unit, rounded down; false where the unit does not reach so far. `exact`:
// whether nothing was rounded.
bool InUnits(const Instant& instant, DateUnit unit, int64_t* value, bool* exact) {
  const int64_t units = UnitsASecond(unit);
  const auto nanos_a_unit = static_cast<int32_t>(1'000'000'000 / units);
  *exact = instant.nanos % nanos_a_unit == 0;
  return !__builtin_mul_overflow(instant.seconds, units, value) &&
         !__builtin_add_overflow(*value, instant.nanos / nanos_a_unit, value);
}

// False for what AppendTimestamp() has something to say about.
bool TryTimestamp(std::string_view text, const ColumnBuffer& column, int64_t* value) {
  const auto instant = column.date_format().Parse(text);
  bool exact;
  return instant && InUnits(*instant, column.spec().unit, value, &exact) && exact;
}

// False, and nothing appended, for all but numbers and booleans in the form that most have.
bool TryAppendUnquoted(std::string_view token, ColumnKind kind, ValueBuffer* values) {
  switch (kind) {
    case ColumnKind::kInt8:
      return TryAppendInteger<int8_t>(token, values);
    case ColumnKind::kInt16:
      return TryAppendInteger<int16_t>(token, values);
    case ColumnKind::kInt32:
      return TryAppendInteger<int32_t>(token, values);
    case ColumnKind::kInt64:
      return TryAppendInteger<int64_t>(token, values);
    case ColumnKind::kFloat:
      return TryAppendReal<float>(token, values);
    case ColumnKind::kDouble:
      return TryAppendReal<double>(token, values);
    case ColumnKind::kBool:
      return (token == "true" || token == "false") && values->TryAppendBool(token[0] == 't');
    default:
      return false;
  }
}

}  // namespace

Status ValueError(std::string message) { return UserError(std::move(message), kValueCode); }
bool IsValueError(const Status& status) {
  const std::string code = CodeOf(status);
  return code == kValueCode || code == kSurplusCode || code == kExcessDigitsCode;
}

[[gnu::flatten]] bool ValueDecoder::TryAppend(int64_t row, ColumnBuffer* column,
                                              const ScalarToken& token) {
  if (!column->is_at(row) || !token.plain) return false;
  ValueBuffer& values = column->values();
  bool appended = false;
  if (token.quoted) {
    int64_t value;
    appended = column->kind() == ColumnKind::kText
                   ? values.TryAppendBytes(token.text)
                   : column->kind() == ColumnKind::kTimestamp &&
                         TryTimestamp(token.text, *column, &value) && values.TryAppendFixed(value);
  } else {
    appended = TryAppendUnquoted(token.text, column->kind(), &values);
  }
  if (appended) column->EndRow();
  return appended;
}

bool ValueDecoder::TryAppend(int64_t row, ColumnBuffer* column, TokenCursor* cursor) {
  if (cursor->at_end()) return false;
  const std::string_view token = cursor->Token();
  ScalarToken scalar{token, false, true};
  if (token.front() == '"') {
    scalar.quoted = true;
    scalar.plain = IsPlainString(token, &scalar.text);
  }
  if (!TryAppend(row, column, scalar)) return false;
  cursor->Advance();
  return true;
}

Status ValueDecoder::AppendValue(int64_t row, ColumnBuffer* column, TokenCursor* cursor) {
  row_ = row;
  column_ = column;
  cursor_ = cursor;
  const ColumnKind kind = column->spec().kind;
  if (kind == ColumnKind::kJson) return AppendJson();
  if (kind == ColumnKind::kVector) {
    const uint32_t begin = cursor->mark();
    return OrNull(AppendVector(), begin);
  }
  const char first = cursor->peek();
  if (first == 'n') {
    std::string_view token;
    return cursor->TakeScalar(&token);  // the row is null unless another value follows
  }
  if (column->is_list()) {
    ARROW_RETURN_NOT_OK(column->OpenList(row));
    return first == '[' && kind != ColumnKind::kGeoPoint ? AppendElements(0) : AppendOne(0);
  }
  return AppendOne(0);
}

Status ValueDecoder::OrNull(Status status, uint32_t begin) {
  if (status.ok() || layout_.misfit == OnMisfitValue::kError || CodeOf(status) != kValueCode) {
    return status;
  }
  ++counters[kMisfitNulled];
  cursor_->ReturnTo(begin);
  ARROW_RETURN_NOT_OK(cursor_->Skip());
  const bool element = column_->is_list() && column_->spec().kind != ColumnKind::kVector;
  return element ? column_->values().AppendNulls(1) : Status::OK();
}

Status ValueDecoder::AppendElements(int depth) {
  if (depth > TokenCursor::kDepthMax)
    return BrokenJson("arrays at 1000 levels", cursor_->place_in_answer());
  return cursor_->ForEachElement([&] { return AppendOne(depth + 1); });
}

Status ValueDecoder::AppendOne(int depth) {
  const char first = cursor_->peek();
  const bool point = column_->spec().kind == ColumnKind::kGeoPoint;
  if (first == '[') {
    if (!point) return AppendElements(depth);
    // [lon, lat] is one point; anything else in an array is several.
    const uint32_t begin = cursor_->mark();
    cursor_->Advance();
    const char inner = cursor_->peek();
    cursor_->ReturnTo(begin);
    if (inner != '-' && (inner < '0' || inner > '9')) return AppendElements(depth);
  }
  if (first == 'n') {
    std::string_view token;
    ARROW_RETURN_NOT_OK(cursor_->TakeScalar(&token));
    return column_->is_list() ? column_->values().AppendNulls(1) : Status::OK();
  }
  if (column_->is_list()) {
    const uint32_t begin = cursor_->mark();
    return OrNull(AppendAtom(), begin);
  }
  if (column_->occupied(row_)) return AppendSurplus();
  ARROW_RETURN_NOT_OK(column_->BeginRow(row_));
  const int64_t before = column_->values().length();
  const uint32_t begin = cursor_->mark();
  ARROW_RETURN_NOT_OK(OrNull(AppendAtom(), begin));
  if (column_->values().length() > before) column_->EndRow();
  return Status::OK();
}

Status ValueDecoder::AppendSurplus() {
  if (layout_.arrays == ArrayForm::kFirst) {
    ++counters[kArrayValuesDropped];
    return cursor_->Skip();
  }
  return UserError(
      layout_.doc_values
          ? "the document has more than one value, and the column takes one: choose fetch: source"
          : "the document has more than one value, and the column takes one: choose arrays: list, "
            "first or json",
      kSurplusCode);
}

// One value that is no array, but for a point's.
Status ValueDecoder::AppendAtom() {
  const char first = cursor_->peek();
  if (column_->spec().kind == ColumnKind::kGeoPoint) {
    if (first == '{') return AppendPointObject();
    if (first == '[') return AppendPointArray();
  }
  if (first == '{') return Misfit("an object", "stands where a single value belongs");
  std::string_view token;
  ARROW_RETURN_NOT_OK(cursor_->TakeScalar(&token));
  return AppendScalar(token);
}

Status ValueDecoder::DecodeText(std::string_view token, std::string_view* text) {
  const std::string_view inner = token.substr(1, token.size() - 2);
  if (!HasEscapes(inner)) {
    *text = inner;
    return Status::OK();
  }
  if (scratch_.capacity() > kScratchKeptBytes) std::string().swap(scratch_);
  scratch_.resize(inner.size());
  const int64_t bytes = Unescape(inner, scratch_.data());
  if (bytes < 0) return Misfit(token, "holds escapes that give no text");
  *text = std::string_view(scratch_.data(), static_cast<size_t>(bytes));
  return Status::OK();
}

Result<std::string> ValueDecoder::TextOfToken(std::string_view token) {
  std::string_view text = token;
  if (!token.empty() && token[0] == '"') ARROW_RETURN_NOT_OK(DecodeText(token, &text));
  return std::string(text);
}

Status ValueDecoder::AppendScalar(std::string_view token) {
  const ColumnKind kind = column_->spec().kind;
  if (kind == ColumnKind::kText) return AppendText(token);
  const bool quoted = token[0] == '"';
  std::string_view text = token;
  if (quoted) ARROW_RETURN_NOT_OK(DecodeText(token, &text));
  switch (kind) {
    case ColumnKind::kTimestamp:
      return AppendTimestamp(text);
    case ColumnKind::kBool:
      return AppendBool(token, text);
    case ColumnKind::kBinary:
      if (!quoted) return Misfit(token, "is no base64 text");
      return AppendBase64(text);
    case ColumnKind::kGeoPoint:
      if (!quoted) return Misfit(token, "is no point");
      return AppendPoint(text);
    default:
      break;
  }
  // The servers take empty text in a field of numbers for no value.
  if (quoted && text.empty()) {
    return column_->is_list() ? column_->values().AppendNulls(1) : Status::OK();
  }
  return AppendNumber(text);
}

Status ValueDecoder::AppendNumber(std::string_view text) {
  switch (column_->spec().kind) {
    case ColumnKind::kInt8:
      return AppendInteger<int8_t>(text);
    case ColumnKind::kInt16:
      return AppendInteger<int16_t>(text);
    case ColumnKind::kInt32:
      return AppendInteger<int32_t>(text);
    case ColumnKind::kInt64:
    case ColumnKind::kSeqNo:
      return AppendInteger<int64_t>(text);
    case ColumnKind::kUInt64:
      return AppendInteger<uint64_t>(text);
    case ColumnKind::kDecimal: {
      __int128 value;
      if (!ParseInteger(text, &value)) return Misfit(text, "is no integer of 20 digits");
      return column_->values().AppendFixed(value);
    }
    case ColumnKind::kFloat:
      return AppendReal<float>(text);
    default:
      return AppendReal<double>(text);
  }
}

template <typename Integer>
Status ValueDecoder::AppendInteger(std::string_view text) {
  Integer value;
  if (!ParseInteger<Integer>(text, &value)) {
    return Misfit(text,
                  fmt::format("is no integer from {} to {}", std::numeric_limits<Integer>::min(),
                              std::numeric_limits<Integer>::max()));
  }
  return column_->values().AppendFixed(value);
}

template <typename Real>
Status ValueDecoder::AppendReal(std::string_view text) {
  Real value;
  if (!ParseReal(text, &value)) return Misfit(text, "is no number that the column can hold");
  if (column_->spec().exact_integers && IsPlainInteger(text)) {
    __int128 exact;
    if (!ParseInteger(text, &exact) || static_cast<__int128>(value) != exact) {
      return Misfit(text,
                    "is an integer that double, the type of this column, cannot hold exactly; "
                    "it became double because the mappings differ: read the indices apart, leave "
                    "the field out (exclude_fields), or take NULL with type_mismatch: null");
    }
  }
  return column_->values().AppendFixed(value);
}

Status ValueDecoder::AppendText(std::string_view token) {
  if (token[0] != '"') return column_->values().AppendBytes(token);
  const std::string_view inner = token.substr(1, token.size() - 2);
  if (!HasEscapes(inner)) {
    return column_->values().AppendBytes(inner);
  }
  ARROW_ASSIGN_OR_RAISE(uint8_t * out, column_->values().Room(static_cast<int64_t>(inner.size())));
  const int64_t bytes = Unescape(inner, reinterpret_cast<char*>(out));
  if (bytes < 0) return Misfit(token, "holds escapes that give no text");
  return column_->values().AppendWritten(bytes);
}

Status ValueDecoder::AppendBool(std::string_view token, std::string_view text) {
  if (text == "true") return column_->values().AppendBool(true);
  if (text == "false" || text.empty()) return column_->values().AppendBool(false);
  return Misfit(token, "is neither true nor false");
}

Status ValueDecoder::AppendBase64(std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(uint8_t * out,
                        column_->values().Room(static_cast<int64_t>(text.size()) + 3));
  const int64_t bytes = DecodeBase64(text, out);
  if (bytes < 0) return Misfit(text, "is no base64 text");
  return column_->values().AppendWritten(bytes);
}

Status ValueDecoder::AppendTimestamp(std::string_view text) {
  const ColumnSpec& spec = column_->spec();
  const auto instant = column_->date_format().Parse(text);
  if (!instant) {
    return Misfit(text, fmt::format("is no date of the format {} (dates: text takes it as it is)",
                                    spec.format));
  }
  int64_t value;
  bool exact;
  const bool in_range = InUnits(*instant, spec.unit, &value, &exact);
  if (!exact) {
    if (layout_.excess_digits == OnExcessDigits::kError) {
      return UserError(fmt::format("{} has more digits of a second than the column: choose "
                                   "date_unit: ns, or date_digits: truncate",
                                   Shown(text)),
                       kExcessDigitsCode);
    }
    ++counters[kExcessDigitsTruncated];
  }
  if (!in_range) return Misfit(text, "is a date out of the column's range");
  return column_->values().AppendFixed(value);
}

Status ValueDecoder::AppendVector() {
  if (cursor_->peek() == 'n') {
    std::string_view token;
    return cursor_->TakeScalar(&token);
  }
  if (column_->occupied(row_)) return AppendSurplus();
  if (cursor_->peek() != '[') {
    return Misfit("a value that is no array", "stands where a vector belongs");
  }
  // Checked before anything is appended: a misfit leaves no half of a vector behind.
  std::vector<float> elements;
  ARROW_RETURN_NOT_OK(cursor_->ForEachElement([&]() -> Status {
    if (cursor_->peek() == '{' || cursor_->peek() == '[') {
      return Misfit("an object or array", "stands where a number of a vector belongs");
    }
    std::string_view token;
    ARROW_RETURN_NOT_OK(cursor_->TakeScalar(&token));
    float value;
    if (!ParseReal(token, &value)) return Misfit(token, "is no number");
    elements.push_back(value);
    return Status::OK();
  }));
  ARROW_RETURN_NOT_OK(column_->OpenList(row_));
  for (const float value : elements) {
    ARROW_RETURN_NOT_OK(column_->values().AppendFixed(value));
  }
  return Status::OK();
}

Status ValueDecoder::AppendJson() {
  if (cursor_->peek() == 'n') {
    std::string_view token;
    return cursor_->TakeScalar(&token);
  }
  // One huge value is no reason to keep its size for ever.
  if (json_.capacity() > kScratchKeptBytes) std::string().swap(json_);
  json_.clear();
  if (cursor_->peek() == '[' && column_->spec().from_fields) {
    // "fields" puts every value into an array; one alone comes out of it.
    int64_t elements = 0;
    ARROW_RETURN_NOT_OK(cursor_->ForEachElement([&] {
      if (elements++ > 0) json_ += ',';
      return cursor_->CopyCompact(&json_);
    }));
    if (elements == 0) return Status::OK();
    if (elements > 1) json_.insert(0, "[").append("]");
  } else {
    ARROW_RETURN_NOT_OK(cursor_->CopyCompact(&json_));
  }
  return column_->AppendJson(row_, json_);
}

}  // namespace bulkhaul::search
