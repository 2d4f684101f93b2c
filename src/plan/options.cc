#include "plan/options.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/units.h"
#include "plan/option_table.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

[[noreturn]] void AbortOnMisuse(std::string_view name, const char* why) {
  std::fprintf(stderr, "bulkhaul: bug: option '%.*s' %s\n", static_cast<int>(name.size()),
               name.data(), why);
  std::abort();
}

Status UnknownOption(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& option : OptionTable()) names.emplace_back(option.name);
  const auto nearest = NearestName(name, names);
  return UserError(fmt::format("unknown option '{}'{}", name,
                               nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

std::string AsWritten(const OptionSpec& spec, int64_t value) {
  if (spec.type == OptionType::kBytes) return FormatBytes(value);
  if (spec.type == OptionType::kDurationMs) return FormatDurationMs(value);
  return std::to_string(value);
}

Status CheckRange(const OptionSpec& spec, int64_t value) {
  if (value < spec.minimum) {
    return UserError(fmt::format("{} must be at least {}, but is {}", spec.name,
                                 AsWritten(spec, spec.minimum), AsWritten(spec, value)));
  }
  if (value > spec.maximum) {
    return UserError(fmt::format("{} must be at most {}, but is {}", spec.name,
                                 AsWritten(spec, spec.maximum), AsWritten(spec, value)));
  }
  return Status::OK();
}

std::vector<std::string> SplitAt(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string_view::npos; begin = end + 1) {
    parts.emplace_back(text.substr(begin, end - begin));
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

Status CheckChoice(const OptionSpec& spec, const std::string& value) {
  const auto choices = SplitAt(spec.choices, '|');
  for (const auto& choice : choices) {
    if (choice == value) return Status::OK();
  }
  const auto nearest = NearestName(value, choices);
  return UserError(fmt::format("{} must be one of {}, but is '{}'{}", spec.name,
                               fmt::join(choices, ", "), value,
                               nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

std::string_view Trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

Result<bool> ParseBool(const OptionSpec& spec, std::string_view text) {
  for (const char* word : {"true", "yes", "on", "1"}) {
    if (text == word) return true;
  }
  for (const char* word : {"false", "no", "off", "0"}) {
    if (text == word) return false;
  }
  return UserError(fmt::format("{} must be true or false, but is '{}'", spec.name, text));
}

// "1000000", "1_000_000", "1 000 000", "1M": counts, so k, M and G are powers of 1000.
Result<int64_t> ParseCount(const OptionSpec& spec, std::string_view text) {
  const auto fail = [&] {
    return UserError(fmt::format("{} must be a whole number, but is '{}'", spec.name, text));
  };
  std::string_view digits = text;
  int64_t factor = 1;
  if (!digits.empty()) {
    const char suffix = digits.back();
    if (suffix == 'k') factor = 1'000;
    if (suffix == 'M') factor = 1'000'000;
    if (suffix == 'G') factor = 1'000'000'000;
    if (factor > 1) digits.remove_suffix(1);
  }
  const bool negative = !digits.empty() && digits.front() == '-';
  if (negative) digits.remove_prefix(1);
  int64_t value = 0;
  bool any = false;
  for (const char c : digits) {
    if (any && (c == '_' || c == ' ')) continue;
    if (c < '0' || c > '9') return fail();
    any = true;
    if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
        __builtin_add_overflow(value, int64_t{c - '0'}, &value)) {
      return fail();
    }
  }
  if (!any || __builtin_mul_overflow(value, factor, &value)) return fail();
  return negative ? -value : value;
}

Result<double> ParseDouble(const OptionSpec& spec, std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  if (copy.empty() || end != copy.c_str() + copy.size() || !std::isfinite(value)) {
    return UserError(fmt::format("{} must be a number, but is '{}'", spec.name, text));
  }
  return value;
}

// Fields between commas; a field in double quotes may hold commas, and "" for a quote. With
// `whole_brackets` a comma between round brackets parts nothing.
Result<StringList> ParseList(const OptionSpec& spec, std::string_view text,
                             bool whole_brackets = false) {
  StringList list;
  if (Trim(text).empty()) return list;
  std::string field;
  bool quoted = false;  // the field had quotes
  bool in_quotes = false;
  const auto finish = [&] {
    list.push_back(quoted ? field : std::string(Trim(field)));
    field.clear();
    quoted = false;
  };
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (whole_brackets && !in_quotes) depth = std::max(0, depth + (c == '(') - (c == ')'));
    if (in_quotes) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field += '"';
        ++i;
      } else {
        in_quotes = false;
      }
    } else if (c == '"' && Trim(field).empty()) {
      field.clear();
      quoted = in_quotes = true;
    } else if (c == ',' && depth == 0) {
      finish();
    } else if (!quoted || c != ' ') {
      field += c;
    }
  }
  if (in_quotes) return UserError(fmt::format("{}: a double quote is not closed", spec.name));
  finish();
  for (const auto& name : list) {
    if (name.empty())
      return UserError(fmt::format("{}: an entry is empty in '{}'", spec.name, text));
  }
  return list;
}

// "old=new,other=name,number=decimal(10,2)"; the first '=' (or ':' when there is none) of an entry
// parts it.
Result<StringPairs> ParsePairs(const OptionSpec& spec, std::string_view text) {
  const bool closed =
      std::count(text.begin(), text.end(), '(') == std::count(text.begin(), text.end(), ')');
  ARROW_ASSIGN_OR_RAISE(const auto entries, ParseList(spec, text, closed));
  StringPairs pairs;
  for (const auto& entry : entries) {
    size_t at = entry.find('=');
    if (at == std::string::npos) at = entry.find(':');
    if (at == std::string::npos || Trim(std::string_view(entry).substr(0, at)).empty()) {
      return UserError(fmt::format("{} must be name=value, but is '{}'", spec.name, entry));
    }
    pairs.emplace_back(Trim(std::string_view(entry).substr(0, at)),
                       Trim(std::string_view(entry).substr(at + 1)));
  }
  return pairs;
}

Result<OptionValue> ParseText(const OptionSpec& spec, std::string_view raw) {
  if (spec.type == OptionType::kString) return OptionValue(std::string(raw));
  const auto text = Trim(raw);
  switch (spec.type) {
    case OptionType::kBool: {
      ARROW_ASSIGN_OR_RAISE(const bool value, ParseBool(spec, text));
      return OptionValue(value);
    }
    case OptionType::kInt: {
      if (!text.empty() && text == spec.choices) return OptionValue(int64_t{0});
      ARROW_ASSIGN_OR_RAISE(const int64_t value, ParseCount(spec, text));
      return OptionValue(value);
    }
    case OptionType::kDouble: {
      ARROW_ASSIGN_OR_RAISE(const double value, ParseDouble(spec, text));
      return OptionValue(value);
    }
    case OptionType::kBytes:
    case OptionType::kDurationMs: {
      auto value = spec.type == OptionType::kBytes ? ParseBytes(text) : ParseDurationMs(text);
      if (!value.ok()) return WithContext(value.status(), spec.name);
      return OptionValue(*value);
    }
    case OptionType::kList: {
      ARROW_ASSIGN_OR_RAISE(auto value, ParseList(spec, text));
      return OptionValue(std::move(value));
    }
    case OptionType::kPairs: {
      ARROW_ASSIGN_OR_RAISE(auto value, ParsePairs(spec, text));
      return OptionValue(std::move(value));
    }
    case OptionType::kString:
    case OptionType::kEnum:
      break;
  }
  return OptionValue(std::string(text));
}

using Defaults = std::map<std::string, OptionValue, std::less<>>;

const Defaults& DefaultValues() {
  static const auto* const defaults = [] {
    auto* map = new Defaults;
    for (const auto& spec : OptionTable()) {
      auto value = ParseText(spec, spec.default_text);
      if (!value.ok()) AbortOnMisuse(spec.name, value.status().ToString().c_str());
      map->emplace(spec.name, *std::move(value));
    }
    return map;
  }();
  return *defaults;
}

template <typename T>
const T& Get(const std::map<std::string, OptionValue, std::less<>>& values, std::string_view name) {
  auto found = values.find(name);
  if (found == values.end()) {
    found = DefaultValues().find(name);
    if (found == DefaultValues().end()) AbortOnMisuse(name, "is not in the option table");
  }
  const auto* value = std::get_if<T>(&found->second);
  if (value == nullptr) AbortOnMisuse(name, "has another type in the option table");
  return *value;
}

void RequireType(std::string_view name, OptionType type) {
  const auto* spec = FindOption(name);
  if (spec == nullptr || spec->type != type) AbortOnMisuse(name, "has another type");
}

json ValueToJson(const OptionValue& value) {
  return std::visit([](const auto& v) { return json(v); }, value);
}

Result<StringPairs> PairsFromJson(const OptionSpec& spec, const json& node) {
  StringPairs pairs;
  if (node.is_array()) {
    for (const auto& entry : node) {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() ||
          !entry[1].is_string()) {
        return UserError(fmt::format("{}: every entry must be a pair of texts", spec.name));
      }
      pairs.emplace_back(entry[0].get<std::string>(), entry[1].get<std::string>());
    }
    return pairs;
  }
  if (!node.is_object()) return UserError(fmt::format("{} must be a map of names", spec.name));
  for (const auto& [key, value] : node.items()) {
    if (!value.is_string()) return UserError(fmt::format("{}.{} must be text", spec.name, key));
    pairs.emplace_back(key, value.get<std::string>());
  }
  return pairs;
}

Result<OptionValue> ValueFromJson(const OptionSpec& spec, const json& node) {
  if (spec.type == OptionType::kPairs) {
    ARROW_ASSIGN_OR_RAISE(auto pairs, PairsFromJson(spec, node));
    return OptionValue(std::move(pairs));
  }
  if (node.is_boolean()) return OptionValue(node.get<bool>());
  if (node.is_number_unsigned() && node.get<uint64_t>() > uint64_t{INT64_MAX}) {
    return UserError(fmt::format("{} is too large", spec.name));
  }
  if (node.is_number_integer()) return OptionValue(node.get<int64_t>());
  if (node.is_number_float()) return OptionValue(node.get<double>());
  if (node.is_string()) return OptionValue(node.get<std::string>());
  if (node.is_array()) {
    StringList list;
    for (const auto& entry : node) {
      if (!entry.is_string()) return UserError(fmt::format("{}: an entry is not text", spec.name));
      list.push_back(entry.get<std::string>());
    }
    return OptionValue(std::move(list));
  }
  return UserError(fmt::format("{} has a value of the wrong type", spec.name));
}

bool HoldsValidUtf8(const OptionValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return IsValidUtf8(*text);
  if (const auto* list = std::get_if<StringList>(&value)) {
    return std::all_of(list->begin(), list->end(),
                       [](const auto& text) { return IsValidUtf8(text); });
  }
  if (const auto* pairs = std::get_if<StringPairs>(&value)) {
    return std::all_of(pairs->begin(), pairs->end(), [](const auto& pair) {
      return IsValidUtf8(pair.first) && IsValidUtf8(pair.second);
    });
  }
  return true;
}

}  // namespace

bool Options::Has(std::string_view name) const {
  if (FindOption(name) == nullptr) AbortOnMisuse(name, "is not in the option table");
  return values_.find(name) != values_.end();
}

bool Options::GetBool(std::string_view name) const { return Get<bool>(values_, name); }

int64_t Options::GetInt(std::string_view name) const {
  RequireType(name, OptionType::kInt);
  return Get<int64_t>(values_, name);
}

int64_t Options::GetBytes(std::string_view name) const {
  RequireType(name, OptionType::kBytes);
  return Get<int64_t>(values_, name);
}

int64_t Options::GetDurationMs(std::string_view name) const {
  RequireType(name, OptionType::kDurationMs);
  return Get<int64_t>(values_, name);
}

double Options::GetDouble(std::string_view name) const { return Get<double>(values_, name); }

const std::string& Options::GetString(std::string_view name) const {
  return Get<std::string>(values_, name);
}

const StringList& Options::GetList(std::string_view name) const {
  return Get<StringList>(values_, name);
}

const StringPairs& Options::GetPairs(std::string_view name) const {
  return Get<StringPairs>(values_, name);
}

Status Options::Set(std::string_view name, OptionValue value) {
  const auto* spec = FindOption(name);
  if (spec == nullptr) return UnknownOption(name);
  const auto& expected = DefaultValues().find(name)->second;
  if (spec->type == OptionType::kDouble && std::holds_alternative<int64_t>(value)) {
    value = static_cast<double>(std::get<int64_t>(value));
  }
  if (value.index() != expected.index()) {
    static constexpr const char* kTypeNames[] = {"true or false", "a whole number", "a number",
                                                 "text",          "a list",         "a map"};
    return UserError(fmt::format("{} must be {}, but is {}", spec->name,
                                 kTypeNames[expected.index()], kTypeNames[value.index()]));
  }
  if (const auto* number = std::get_if<int64_t>(&value)) {
    ARROW_RETURN_NOT_OK(CheckRange(*spec, *number));
  }
  if (const auto* number = std::get_if<double>(&value)) {
    if (!std::isfinite(*number) || *number < static_cast<double>(spec->minimum)) {
      return UserError(
          fmt::format("{} must be at least {}, but is {}", spec->name, spec->minimum, *number));
    }
    if (*number > static_cast<double>(spec->maximum)) {
      return UserError(
          fmt::format("{} must be at most {}, but is {}", spec->name, spec->maximum, *number));
    }
  }
  if (!HoldsValidUtf8(value)) {
    return UserError(fmt::format("{} is not valid UTF-8", spec->name));
  }
  if (spec->type == OptionType::kEnum) {
    ARROW_RETURN_NOT_OK(CheckChoice(*spec, std::get<std::string>(value)));
  }
  values_.insert_or_assign(std::string(name), std::move(value));
  return Status::OK();
}

Status Options::SetFromText(std::string_view name, std::string_view text) {
  const auto* spec = FindOption(name);
  if (spec == nullptr) return UnknownOption(name);
  ARROW_ASSIGN_OR_RAISE(auto value, ParseText(*spec, text));
  return Set(name, std::move(value));
}

Options Options::With(const Options& over) const {
  Options result = *this;
  for (const auto& [name, value] : over.values_) result.values_.insert_or_assign(name, value);
  return result;
}

std::string Options::ToJson() const {
  json object = json::object();
  for (const auto& [name, value] : values_) object[name] = ValueToJson(value);
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Options> Options::FromJson(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return UserError("options are not a JSON object");
  Options options;
  for (const auto& [name, node] : object.items()) {
    const auto* spec = FindOption(name);
    if (spec == nullptr) return UnknownOption(name);
    ARROW_ASSIGN_OR_RAISE(auto value, ValueFromJson(*spec, node));
    if (spec->type == OptionType::kList && std::holds_alternative<std::string>(value)) {
      value = StringList{std::get<std::string>(value)};
    }
    ARROW_RETURN_NOT_OK(options.Set(name, std::move(value)));
  }
  return options;
}

}  // namespace bulkhaul
