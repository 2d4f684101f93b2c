#include "plan/query_template.h"

#include <cctype>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace bulkhaul {
namespace {

using OrderedJson = nlohmann::ordered_json;

bool IsNameCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// "{{name}}" at the begin of `text`: the name and how long it all is; kUser when it is something
// else.
struct Placeholder {
  std::string name;
  size_t length = 0;
};
Result<Placeholder> ReadPlaceholder(std::string_view text) {
  const size_t end = text.find("}}");
  if (end != std::string_view::npos) {
    std::string_view name = text.substr(2, end - 2);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    bool fits = !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0]));
    for (const char c : name) fits = fits && IsNameCharacter(c);
    if (fits) return Placeholder{std::string(name), end + 2};
  }
  return UserError(
      fmt::format("'{}' is no placeholder: write {{{{name}}}}, name of letters, digits "
                  "and underscores",
                  text.substr(0, 20)));
}

Status NoForm(const std::string& name, const std::string& why) {
  return UserError(fmt::format("parameter '{}': {}", name, why));
}

// Which parameters a template asked for.
class Values {
 public:
  explicit Values(const std::map<std::string, std::string>& parameters) {
    for (const auto& [name, text] : parameters) {
      values_[name] = OrderedJson::parse(text, nullptr, false);
      names_.push_back(name);
    }
  }
  Result<const OrderedJson*> Get(const std::string& name) {
    const auto found = values_.find(name);
    asked_.insert(name);
    if (found != values_.end()) return &found->second;
    const auto nearest = NearestName(name, names_);
    return UserError(fmt::format("the template's parameter '{}' is not given{}", name,
                                 nearest ? fmt::format("; is '{}' meant?", *nearest) : ""));
  }
  Status CheckAllAsked() const {
    const std::vector<std::string> asked(asked_.begin(), asked_.end());
    for (const auto& name : names_) {
      if (asked_.contains(name)) continue;
      const auto nearest = NearestName(name, asked);
      return UserError(fmt::format("the template has no parameter '{}'{}", name,
                                   nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
    }
    return Status::OK();
  }

 private:
  std::map<std::string, OrderedJson> values_;
  std::vector<std::string> names_;
  std::set<std::string> asked_;
};

std::string TextOf(const OrderedJson& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// --- Query DSL

Result<OrderedJson> FillText(const std::string& text, Values& values) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (!std::string_view(text).substr(at).starts_with("{{")) {
      out += text[at++];
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(const auto place, ReadPlaceholder(std::string_view(text).substr(at)));
    ARROW_ASSIGN_OR_RAISE(const auto* value, values.Get(place.name));
    if (at == 0 && place.length == text.size()) return *value;
    if (value->is_array() || value->is_null()) {
      return NoForm(place.name, "a list or null cannot stand inside of a text");
    }
    out += TextOf(*value);
    at += place.length;
  }
  return OrderedJson(out);
}

Result<OrderedJson> FillJson(const OrderedJson& node, Values& values) {
  if (node.is_string()) return FillText(node.get<std::string>(), values);
  if (node.is_array()) {
    OrderedJson out = OrderedJson::array();
    for (const auto& item : node) {
      ARROW_ASSIGN_OR_RAISE(auto filled, FillJson(item, values));
      out.push_back(std::move(filled));
    }
    return out;
  }
  if (!node.is_object()) return node;
  OrderedJson out = OrderedJson::object();
  for (const auto& [key, item] : node.items()) {
    ARROW_ASSIGN_OR_RAISE(const OrderedJson name, FillText(key, values));
    if (!name.is_string()) return NoForm(key, "only a text can be a key");
    if (out.contains(name.get<std::string>())) {
      return NoForm(key, "the key is there twice with this value");
    }
    ARROW_ASSIGN_OR_RAISE(out[name.get<std::string>()], FillJson(item, values));
  }
  return out;
}

Result<std::string> FillDsl(const std::string& text, Values& values) {
  const OrderedJson parsed = OrderedJson::parse(text, nullptr, false);
  if (!parsed.is_object()) {
    return UserError("the template is not JSON; placeholders stand in quotes there: \"{{name}}\"");
  }
  ARROW_ASSIGN_OR_RAISE(const OrderedJson filled, FillJson(parsed, values));
  return filled.dump();
}

// --- Lucene text

std::string EscapedPhrase(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

Result<std::string> LuceneValue(const std::string& name, const OrderedJson& value) {
  if (value.is_array()) {
    if (value.empty()) return NoForm(name, "an empty list finds nothing");
    std::string out;
    for (const auto& item : value) {
      ARROW_ASSIGN_OR_RAISE(const auto one, LuceneValue(name, item));
      out += (out.empty() ? "(" : " OR ") + one;
    }
    return out + ")";
  }
  if (value.is_null()) return NoForm(name, "null is no value in Lucene text");
  if (value.is_number_unsigned() || value.is_boolean()) return value.dump();
  return "\"" + EscapedPhrase(TextOf(value)) + "\"";
}

Result<std::string> FillLucene(const std::string& text, Values& values) {
  std::string out;
  char inside = 0;  // '"' or '/'
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (std::string_view(text).substr(at).starts_with("{{")) {
      ARROW_ASSIGN_OR_RAISE(const auto place, ReadPlaceholder(std::string_view(text).substr(at)));
      ARROW_ASSIGN_OR_RAISE(const auto* value, values.Get(place.name));
      if (inside == '/') return NoForm(place.name, "no value can stand in a regular expression");
      if (inside == '"' && (value->is_array() || value->is_null())) {
        return NoForm(place.name, "a list or null cannot stand inside of quotes");
      }
      if (inside == '"') {
        out += EscapedPhrase(TextOf(*value));
      } else {
        ARROW_ASSIGN_OR_RAISE(const auto written, LuceneValue(place.name, *value));
        out += written;
      }
      at += place.length;
      continue;
    }
    if (c == '\\' && at + 1 < text.size()) {
      out += c;
      out += text[at + 1];
      at += 2;
      continue;
    }
    if (inside == c) {
      inside = 0;
    } else if (inside == 0 && (c == '"' || c == '/')) {
      inside = c;
    }
    out += c;
    ++at;
  }
  return out;
}

// --- SQL

Result<std::string> SqlValue(const std::string& name, const OrderedJson& value) {
  if (value.is_array()) {
    if (value.empty()) return NoForm(name, "an empty list has no form in SQL");
    std::string out;
    for (const auto& item : value) {
      ARROW_ASSIGN_OR_RAISE(const auto one, SqlValue(name, item));
      out += (out.empty() ? "" : ", ") + one;
    }
    return out;
  }
  if (value.is_null()) return std::string("NULL");
  if (value.is_boolean()) return std::string(value.get<bool>() ? "TRUE" : "FALSE");
  if (value.is_number()) {
    const auto text = value.dump();
    // Two minus signs in a row would begin a comment.
    return text.starts_with('-') ? "(" + text + ")" : text;
  }
  std::string out = "'";
  for (const char c : value.get<std::string>()) {
    if (c == '\\' || c == '\0') {
      return NoForm(name,
                    "a text with a backslash or a NUL is not the same in every SQL: write "
                    "the query out");
    }
    if (c == '\'') out += c;
    out += c;
  }
  return out + "'";
}

// How long the quoted text or comment is that begins here; 0: none does.
size_t QuotedLength(std::string_view text, size_t at) {
  const auto rest = text.substr(at);
  const auto until = [&](std::string_view end, size_t from) {
    const size_t found = rest.find(end, from);
    return found == std::string_view::npos ? rest.size() : found + end.size();
  };
  if (rest.starts_with("--")) return until("\n", 2);
  if (rest.starts_with("/*")) return until("*/", 2);
  if (rest[0] == '"' || rest[0] == '`') return until(rest.substr(0, 1), 1);
  if (rest[0] == '\'') {
    const bool escapes = at > 0 && (text[at - 1] == 'e' || text[at - 1] == 'E') &&
                         (at == 1 || !IsNameCharacter(text[at - 2]));
    for (size_t i = 1; i < rest.size(); ++i) {
      if (escapes && rest[i] == '\\') {
        ++i;
      } else if (rest[i] == '\'') {
        return i + 1;
      }
    }
    return rest.size();
  }
  if (rest[0] == '$' && (at == 0 || !IsNameCharacter(text[at - 1]))) {
    size_t end = 1;
    while (end < rest.size() && IsNameCharacter(rest[end])) ++end;
    if (end < rest.size() && rest[end] == '$') return until(rest.substr(0, end + 1), end + 1);
  }
  return 0;
}

Result<std::string> FillSql(const std::string& text, Values& values) {
  std::string out;
  const std::string_view view = text;
  for (size_t at = 0; at < text.size();) {
    if (view.substr(at).starts_with("{{")) {
      ARROW_ASSIGN_OR_RAISE(const auto place, ReadPlaceholder(view.substr(at)));
      ARROW_ASSIGN_OR_RAISE(const auto* value, values.Get(place.name));
      const char before = at > 0 ? text[at - 1] : ' ';
      const char after = at + place.length < text.size() ? text[at + place.length] : ' ';
      const auto touches = [](char c) {
        return IsNameCharacter(c) || c == '\'' || c == '"' || c == '`' || c == '$' || c == '&' ||
               c == '{' || c == '}' || (c & 0x80) != 0;
      };
      if (touches(before) || touches(after)) {
        return NoForm(place.name, "a value stands alone in SQL, with a space around it");
      }
      ARROW_ASSIGN_OR_RAISE(const auto written, SqlValue(place.name, *value));
      out += written;
      at += place.length;
      continue;
    }
    const size_t quoted = QuotedLength(view, at);
    const auto piece = view.substr(at, quoted == 0 ? 1 : quoted);
    if (quoted > 0 && piece.find("{{") != std::string_view::npos) {
      return UserError(fmt::format("a placeholder cannot stand inside of quotes or a comment: {}",
                                   piece.substr(0, 60)));
    }
    out += piece;
    at += piece.size();
  }
  return out;
}

}  // namespace

Result<std::string> FillTemplate(const QueryTemplate& query,
                                 const std::map<std::string, std::string>& parameters) {
  Values values(parameters);
  Result<std::string> filled = std::string();
  switch (query.language) {
    case TemplateLanguage::kJson:
      filled = FillDsl(query.text, values);
      break;
    case TemplateLanguage::kLucene:
      filled = FillLucene(query.text, values);
      break;
    case TemplateLanguage::kSql:
      filled = FillSql(query.text, values);
      break;
  }
  ARROW_RETURN_NOT_OK(filled);
  ARROW_RETURN_NOT_OK(values.CheckAllAsked());
  return filled;
}

}  // namespace bulkhaul
