#include "source/files/json_values.h"

#include <algorithm>
#include <utility>

#include <arrow/type_traits.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/invalid_utf8.h"
#include "base/short_text.h"
#include "base/text.h"
#include "plan/type_name.h"
#include "wire/csv/csv_inference.h"
#include "wire/csv/csv_value.h"

namespace bulkhaul::files {
namespace {

constexpr size_t kShownBytesMax = 80;

// '"' text, '0' number, 't' truth value, '{' object, '[' array; NUL for what no value begins with.
char KindOfValue(char first) {
  switch (first) {
    case '"':
    case '{':
    case '[':
      return first;
    case 't':
    case 'f':
      return 't';
    default:
      return first == '-' || (first >= '0' && first <= '9') ? '0' : '\0';
  }
}

const char* KindName(char kind) {
  switch (kind) {
    case '"':
      return "text";
    case '{':
      return "an object";
    case '[':
      return "an array";
    case 't':
      return "true or false";
    default:
      return "a number";
  }
}

// The kind that a type's values are written as; NUL: any.
char KindOfType(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::STRING:
      return '"';
    case arrow::Type::BOOL:
      return 't';
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
      return '0';
    case arrow::Type::LIST:
      return '[';
    case arrow::Type::STRUCT:
      return '{';
    default:
      return arrow::is_integer(type.id()) ? '0' : '\0';
  }
}

using JsonKindCounts = std::map<std::string, std::map<char, int64_t>>;  // by path and kind

bool TakesText(const std::shared_ptr<arrow::DataType>& type) {
  return type != nullptr && (arrow::is_string(type->id()) || arrow::is_decimal(type->id()));
}

std::string KeyText(std::string_view raw) {
  if (raw.find('\\') == std::string_view::npos) return std::string(raw);
  std::string key(raw.size(), '\0');
  const int64_t bytes = search::Unescape(raw, key.data());
  if (bytes < 0) return std::string(raw);
  key.resize(static_cast<size_t>(bytes));
  return key;
}

std::string Shown(std::string_view raw) {
  if (raw.size() >= 2 && raw.front() == '"') raw = raw.substr(1, raw.size() - 2);
  return ShortText(raw, kShownBytesMax);
}

void AppendQuoted(std::string_view raw, std::string* out) {
  *out += '"';
  for (const char c : raw) {
    if (c == '"' || c == '\\') *out += '\\';
    *out += c;
  }
  *out += '"';
}

}  // namespace

JsonCasts::JsonCasts(const Options& options, const GivenTypes* given)
    : new_names_(options), given_(given) {
  for (const auto& [column, name] : options.GetPairs("cast")) {
    const auto type = ParseTypeName(name);
    types_[column] = type.ok() ? *type : nullptr;
  }
}

bool JsonCasts::AsText(const std::string& column) const {
  const auto found = types_.find(NewName(column));
  return found != types_.end() && TakesText(found->second);
}

bool JsonCasts::ScalarsAsText(const std::string& column) const {
  return scalars_as_text_.contains(column) || (given_ != nullptr && TakesText(given_->Of(column)));
}

bool JsonCasts::any_as_text() const {
  return !scalars_as_text_.empty() || (given_ != nullptr && !given_->empty()) ||
         std::any_of(types_.begin(), types_.end(),
                     [](const auto& cast) { return TakesText(cast.second); });
}

std::string MisfitText(const JsonMisfit& misfit, const JsonCasts& casts,
                       std::string_view larger_sample) {
  if (misfit.unknown_field) {
    if (larger_sample.empty()) return misfit.what;
    return fmt::format(
        "{}. Fields are those of a sample: a larger {} (0: all) gives every one; reject: "
        "quarantine puts such rows aside",
        misfit.what, larger_sample);
  }
  std::string text =
      fmt::format("column '{}': {}{}. ", misfit.path, misfit.what,
                  misfit.contract ? ", as the contract or the table there wants it" : "");
  if (misfit.wider_fits && !larger_sample.empty() && !misfit.contract) {
    text += fmt::format("A larger {} (0: all) gives a type that fits every row, ", larger_sample);
  }
  text += fmt::format(
      "cast: {}: string takes the column's values as text, as they are written, "
      "type_mismatch: null such values as NULL, reject: quarantine puts such rows aside",
      casts.NewName(misfit.column));
  return text;
}

std::string JsonValueShown(std::string_view raw) {
  if (!IsValidUtf8(raw)) return Shown(ReplaceInvalidUtf8(raw));
  return Shown(raw);
}

// One walk through a text's values.
class JsonValues::Walk {
 public:
  // Without a schema the kinds say what a field holds.
  Walk(std::string_view text, const search::TokenIndex& index, const arrow::Schema* schema,
       std::map<std::string, char>* kinds, size_t misfits_max)
      : text_(text), cursor_(text, index), kinds_(kinds), misfits_max_(misfits_max) {
    if (schema != nullptr) root_ = arrow::struct_(schema->fields());
  }

  // Instead of looking for misfits: how often the fields have values of which kinds.
  void Count(JsonKindCounts* counts) {
    counts_ = counts;
    Run();
  }

  std::vector<JsonMisfit> Run() {
    while (!cursor_.at_end()) {
      if (!Members(root_.get(), "", 0).ok()) break;
    }
    return std::move(misfits_);
  }

 private:
  Status Members(const arrow::DataType* type, const std::string& path, int depth) {
    return cursor_.ForEachMember([&](std::string_view raw_key) -> Status {
      const std::string key = KeyText(raw_key);
      if (depth == 0) column_ = key;
      const std::string inner = path.empty() ? key : path + "." + key;
      if (type == nullptr) return Value(nullptr, inner, depth + 1);
      const auto field = static_cast<const arrow::StructType&>(*type).GetFieldByName(key);
      if (field != nullptr) return Value(field->type().get(), inner, depth + 1);
      std::string_view raw;
      ARROW_RETURN_NOT_OK(cursor_.TakeRaw(&raw));
      Add(raw, inner, fmt::format("the rows that were looked at have no field '{}'", inner), false);
      misfits_.back().unknown_field = true;
      return Full();
    });
  }

  Status Value(const arrow::DataType* type, const std::string& path, int depth) {
    const char kind = KindOfValue(cursor_.peek());
    if (kind == '\0' || depth > search::TokenCursor::kDepthMax) return cursor_.Skip();  // null
    if (counts_ != nullptr) {
      ++(*counts_)[path][kind];
      if (kind == '{') return Members(nullptr, path, depth);
      if (kind != '[') return cursor_.Skip();
      return cursor_.ForEachElement([&] { return Value(nullptr, path + "[]", depth + 1); });
    }
    const char wanted =
        type != nullptr ? KindOfType(*type) : kinds_->try_emplace(path, kind).first->second;
    if (wanted == '\0') return cursor_.Skip();
    if (wanted != kind) {
      std::string_view raw;
      ARROW_RETURN_NOT_OK(cursor_.TakeRaw(&raw));
      const std::string what =
          type != nullptr
              ? fmt::format("'{}' is no {}", Shown(raw), type->ToString())
              : fmt::format("'{}' is {}, and values before it are {}", Shown(raw), KindName(kind),
                            wanted == '{'   ? "objects"
                            : wanted == '[' ? "arrays"
                            : wanted == '0' ? "numbers"
                                            : KindName(wanted));
      Add(raw, path, what, false);
      if (type != nullptr) misfits_.back().type = TypeName(*type);
      return Full();
    }
    if (kind == '{') return Members(type, path, depth);
    if (kind == '[') {
      const auto* element =
          type == nullptr ? nullptr : static_cast<const arrow::ListType&>(*type).value_type().get();
      return cursor_.ForEachElement([&] { return Value(element, path + "[]", depth + 1); });
    }
    if (kind != '0' || type == nullptr) return cursor_.Skip();
    return Number(*type, path);
  }

  Status Number(const arrow::DataType& type, const std::string& path) {
    std::string_view raw;
    ARROW_RETURN_NOT_OK(cursor_.TakeScalar(&raw));
    double real;
    if (arrow::is_integer(type.id())) {
      if (csv::IsValueOf(type, raw)) return Status::OK();
      Add(raw, path, fmt::format("'{}' is no {}", Shown(raw), type.ToString()),
          csv::ParseDouble(raw, &real));
      misfits_.back().type = TypeName(type);
      return Full();
    }
    if (csv::ParseDouble(raw, &real)) return Status::OK();
    Add(raw, path, fmt::format("'{}' has more digits than a double can hold", Shown(raw)), false);
    misfits_.back().type = TypeName(type);
    return Full();
  }

  void Add(std::string_view raw, const std::string& path, std::string what, bool wider_fits) {
    JsonMisfit misfit;
    misfit.offset = static_cast<size_t>(raw.data() - text_.data());
    misfit.bytes = raw.size();
    misfit.column = column_;
    misfit.path = path;
    misfit.what = std::move(what);
    misfit.wider_fits = wider_fits;
    misfits_.push_back(std::move(misfit));
  }
  // Ends the walk when there are enough.
  Status Full() const {
    return misfits_.size() < misfits_max_ ? Status::OK() : Status::Cancelled("enough");
  }

  const std::string_view text_;
  search::TokenCursor cursor_;
  std::shared_ptr<arrow::DataType> root_;
  std::map<std::string, char>* const kinds_;
  JsonKindCounts* counts_ = nullptr;
  const size_t misfits_max_;
  std::string column_;
  std::vector<JsonMisfit> misfits_;
};

std::vector<JsonMisfit> JsonValues::Misfits(std::string_view text, const arrow::Schema& schema,
                                            size_t misfits_max) {
  if (!index_.Build(text).ok()) return {};
  return Walk(text, index_, &schema, nullptr, misfits_max).Run();
}

std::vector<JsonMisfit> JsonValues::OtherKinds(std::string_view text, size_t misfits_max) {
  if (!index_.Build(text).ok()) return {};
  return Walk(text, index_, nullptr, &kinds_, misfits_max).Run();
}

void JsonValues::TakeUsualKinds(std::string_view text) {
  JsonKindCounts counts;
  while (!text.empty()) {
    const auto line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    text.remove_prefix(line.size());
    if (index_.Build(line).ok()) Walk(line, index_, nullptr, nullptr, 1).Count(&counts);
  }
  for (const auto& [path, kinds] : counts) {
    const auto most =
        std::max_element(kinds.begin(), kinds.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    kinds_.try_emplace(path, most->first);
  }
}

bool JsonValues::FindInvalidUtf8(std::string_view line, std::string* column,
                                 std::string_view* raw) {
  // With the same bytes at the same places where they matter to JSON.
  std::string ascii(line);
  for (char& c : ascii) {
    if (static_cast<unsigned char>(c) >= 0x80) c = 'x';
  }
  if (!index_.Build(ascii).ok()) return false;
  search::TokenCursor cursor(ascii, index_);
  const auto original = [&](std::string_view part) {
    return line.substr(static_cast<size_t>(part.data() - ascii.data()), part.size());
  };
  bool found = false;
  (void)cursor.ForEachMember([&](std::string_view key) -> Status {
    std::string_view value;
    ARROW_RETURN_NOT_OK(cursor.TakeRaw(&value));
    *raw = original(value);
    *column = ReplaceInvalidUtf8(original(key));
    found = !IsValidUtf8(*raw) || !IsValidUtf8(original(key));
    return found ? Status::Cancelled("found") : Status::OK();
  });
  return found;
}

std::string JsonValues::WithNulls(std::string_view text, const std::vector<JsonMisfit>& misfits) {
  std::string out;
  out.reserve(text.size());
  size_t at = 0;
  for (const auto& misfit : misfits) {
    out.append(text.substr(at, misfit.offset - at)).append("null");
    at = misfit.offset + misfit.bytes;
  }
  return out.append(text.substr(at));
}

bool JsonValues::Textify(std::string_view text, const JsonCasts& casts, std::string* out) {
  out->clear();
  if (!casts.any_as_text() || !index_.Build(text).ok()) return false;
  search::TokenCursor cursor(text, index_);
  enum class Taken { kAsItIs, kScalars, kAll };
  std::map<std::string, Taken, std::less<>> as_text;
  size_t at = 0;
  while (!cursor.at_end()) {
    const Status row = cursor.ForEachMember([&](std::string_view key) -> Status {
      auto known = as_text.find(key);
      if (known == as_text.end()) {
        const std::string column = KeyText(key);
        known = as_text
                    .emplace(key, casts.AsText(column)          ? Taken::kAll
                                  : casts.ScalarsAsText(column) ? Taken::kScalars
                                                                : Taken::kAsItIs)
                    .first;
      }
      const char kind = KindOfValue(cursor.peek());
      const bool scalar = kind == '0' || kind == 't';
      if (known->second == Taken::kAsItIs || kind == '"' || kind == '\0') return cursor.Skip();
      if (known->second == Taken::kScalars && !scalar) return cursor.Skip();
      std::string_view raw;
      ARROW_RETURN_NOT_OK(cursor.TakeRaw(&raw));
      const auto offset = static_cast<size_t>(raw.data() - text.data());
      out->append(text.substr(at, offset - at));
      AppendQuoted(raw, out);
      at = offset + raw.size();
      return Status::OK();
    });
    if (!row.ok()) break;  // the parser says what is wrong
  }
  if (at == 0) return false;
  out->append(text.substr(at));
  return true;
}

size_t JsonValues::OffsetOfRow(std::string_view text, int64_t row) {
  if (!index_.Build(text).ok()) return text.size();
  search::TokenCursor cursor(text, index_);
  for (; row > 0 && !cursor.at_end(); --row) {
    if (!cursor.Skip().ok()) return text.size();
  }
  return cursor.position();
}

}  // namespace bulkhaul::files
