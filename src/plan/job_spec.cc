#include "plan/job_spec.h"

#include <algorithm>
#include <optional>
#include <regex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/secret.h"
#include "base/text.h"
#include "plan/grouping.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

// One side of a pattern.
struct PatternPart {
  std::string text;
  bool literal = false;  // was in quotes

  bool Matches(std::string_view name) const {
    return literal ? text == name : GlobMatch(text, name);
  }
  bool has_glob() const { return !literal && HasGlob(text); }
};

struct Pattern {
  std::optional<PatternPart> schema;
  PatternPart name;

  bool has_glob() const { return name.has_glob() || (schema && schema->has_glob()); }
};

// Reads one side from `*text` and takes it off. An unquoted schema side ends at the first dot; an
// unquoted name side takes the rest, dots included.
PatternPart TakePart(std::string_view* text, bool until_dot) {
  PatternPart part;
  if (text->starts_with('"')) {
    std::string literal;
    for (size_t i = 1; i < text->size(); ++i) {
      if ((*text)[i] != '"') {
        literal += (*text)[i];
      } else if (i + 1 < text->size() && (*text)[i + 1] == '"') {
        literal += '"';
        ++i;
      } else if (i + 1 == text->size() || (*text)[i + 1] == '.') {
        text->remove_prefix(i + 1);
        return {std::move(literal), true};
      } else {
        break;  // text goes on after the quote: the quotes are part of a plain name
      }
    }
  }
  const size_t end = until_dot ? std::min(text->find('.'), text->size()) : text->size();
  part.text = text->substr(0, end);
  text->remove_prefix(end);
  return part;
}

Pattern ParsePattern(std::string_view text) {
  Pattern pattern;
  PatternPart first = TakePart(&text, /*until_dot=*/true);
  if (!text.starts_with('.')) {
    pattern.name = std::move(first);
    return pattern;
  }
  text.remove_prefix(1);
  pattern.schema = std::move(first);
  pattern.name = TakePart(&text, /*until_dot=*/false);
  return pattern;
}

bool ListMatches(const std::vector<std::string>& patterns, const DatasetId& id) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const auto& pattern) { return PatternMatches(pattern, id); });
}

// A password may be kept in a reference only when it is one itself, whole: ${NAME}.
std::string SafeReference(const std::string& reference) {
  static const std::regex default_value(R"(\$\{([A-Za-z_][A-Za-z0-9_]*):-[^}]*\})");
  static const std::regex whole(R"(\$\{[A-Za-z_][A-Za-z0-9_]*\}|file:.*)");
  static const std::regex userinfo(
      R"(^([A-Za-z][A-Za-z0-9+.-]*://[^:@/]*):\$\{[A-Za-z_][A-Za-z0-9_]*\}(@.*)$)");
  auto text = std::regex_replace(reference, default_value, "${$1}");
  if (std::regex_match(text, whole)) return text;
  std::smatch match;
  if (!std::regex_match(text, match, userinfo)) return {};
  // Nothing but that one password may look like a secret.
  const std::string rest = match[1].str() + match[2].str();
  return Redact(rest) == rest ? text : std::string();
}

// `uri` in `out[name]`: whole, or as what may be stored of it.
void PutUri(json* out, const char* name, const std::string& uri, const std::string& reference,
            bool redacted) {
  (*out)[name] = redacted ? WithoutSecrets(uri) : uri;
  const auto kept = redacted ? SafeReference(reference) : reference;
  if (!kept.empty()) (*out)[std::string(name) + "_reference"] = kept;
}

Status ReadText(const json& object, const char* name, std::string* out) {
  const auto found = object.find(name);
  if (found == object.end()) return Status::OK();
  if (!found->is_string()) return UserError(fmt::format("job: {} must be text", name));
  *out = found->get<std::string>();
  return Status::OK();
}

Status ReadTexts(const json& object, const char* name, std::vector<std::string>* out) {
  const auto found = object.find(name);
  if (found == object.end()) return Status::OK();
  if (!found->is_array()) return UserError(fmt::format("job: {} must be a list", name));
  for (const auto& entry : *found) {
    if (!entry.is_string()) return UserError(fmt::format("job: {} must hold texts", name));
    out->push_back(entry.get<std::string>());
  }
  return Status::OK();
}

Status ReadBool(const json& object, const char* name, bool* out) {
  const auto found = object.find(name);
  if (found == object.end()) return Status::OK();
  if (!found->is_boolean()) return UserError(fmt::format("job: {} must be true or false", name));
  *out = found->get<bool>();
  return Status::OK();
}

Status ReadOptions(const json& object, Options* out) {
  const auto found = object.find("options");
  if (found == object.end()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(*out, Options::FromJson(found->dump()));
  return Status::OK();
}

json OptionsToJson(const Options& options) { return json::parse(options.ToJson()); }

}  // namespace

std::string WithoutSecrets(std::string_view uri) {
  // Each made once: two threads that make a std::regex write to the same tables of the locale.
  static const std::regex masked_userinfo(R"(:\*\*\*@)");
  static const std::regex masked_parameter(R"(([?&])[A-Za-z_-]+=\*\*\*(?=&|$))");
  static const std::regex masked_keyword(R"(\s*[A-Za-z_-]+\s*=\s*\*\*\*)");
  static const std::regex first_separators(R"(\?&+)"), separators("&&+");
  std::string text = std::regex_replace(Redact(uri), masked_userinfo, "@");
  text = std::regex_replace(text, masked_parameter, "$1");
  // What is left between the removed ones: "?&a=1&&b=2&" is "?a=1&b=2".
  text = std::regex_replace(text, first_separators, "?");
  if (text.find('?') != std::string::npos) text = std::regex_replace(text, separators, "&");
  if (text != uri) {
    while (!text.empty() && (text.back() == '&' || text.back() == '?')) text.pop_back();
  }
  return std::regex_replace(text, masked_keyword, "");
}

std::string JobSpec::ToJson(bool redacted) const {
  json out = json::object();
  PutUri(&out, "source", source_uri, source_reference, redacted);
  PutUri(&out, "destination", destination_uri, destination_reference, redacted);
  json table_list = json::array(), query_list = json::array();
  for (const auto& table : tables) {
    table_list.push_back({{"pattern", table.pattern},
                          {"options", OptionsToJson(table.options)},
                          {"selects", table.selects}});
  }
  for (const auto& query : queries) {
    query_list.push_back(
        {{"name", query.name}, {"sql", query.sql}, {"options", OptionsToJson(query.options)}});
  }
  out["tables"] = std::move(table_list);
  out["schemas"] = schemas;
  out["exclude"] = exclude;
  out["all"] = all;
  out["queries"] = std::move(query_list);
  out["options"] = OptionsToJson(options);
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<JobSpec> JobSpec::FromJson(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return UserError("job: not a JSON object");
  JobSpec job;
  ARROW_RETURN_NOT_OK(ReadText(object, "source", &job.source_uri));
  ARROW_RETURN_NOT_OK(ReadText(object, "destination", &job.destination_uri));
  ARROW_RETURN_NOT_OK(ReadText(object, "source_reference", &job.source_reference));
  ARROW_RETURN_NOT_OK(ReadText(object, "destination_reference", &job.destination_reference));
  ARROW_RETURN_NOT_OK(ReadTexts(object, "schemas", &job.schemas));
  ARROW_RETURN_NOT_OK(ReadTexts(object, "exclude", &job.exclude));
  ARROW_RETURN_NOT_OK(ReadBool(object, "all", &job.all));
  for (const auto& node : object.value("tables", json::array())) {
    TableSpec table;
    if (!node.is_object()) return UserError("job: tables must hold objects");
    ARROW_RETURN_NOT_OK(ReadText(node, "pattern", &table.pattern));
    ARROW_RETURN_NOT_OK(ReadOptions(node, &table.options));
    ARROW_RETURN_NOT_OK(ReadBool(node, "selects", &table.selects));
    job.tables.push_back(std::move(table));
  }
  for (const auto& node : object.value("queries", json::array())) {
    QuerySpec query;
    if (!node.is_object()) return UserError("job: queries must hold objects");
    ARROW_RETURN_NOT_OK(ReadText(node, "name", &query.name));
    ARROW_RETURN_NOT_OK(ReadText(node, "sql", &query.sql));
    ARROW_RETURN_NOT_OK(ReadOptions(node, &query.options));
    job.queries.push_back(std::move(query));
  }
  ARROW_RETURN_NOT_OK(ReadOptions(object, &job.options));
  return job;
}

bool PatternMatches(std::string_view text, const DatasetId& id) {
  const auto pattern = ParsePattern(text);
  if (pattern.schema) {
    if (pattern.schema->Matches(id.schema) && pattern.name.Matches(id.name)) return true;
    // A source without schemas may have dots in names.
    return id.schema.empty() && GlobMatch(text, id.name);
  }
  return pattern.name.Matches(id.name);
}

std::string ExactPattern(const DatasetId& id) {
  const auto part = [](const std::string& text, bool dots) {
    if (!HasGlob(text) && text.find_first_of(dots ? "\".\\" : "\"\\") == std::string::npos)
      return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
  };
  if (id.schema.empty()) return part(id.name, true);
  return part(id.schema, true) + "." + part(id.name, false);
}

bool DestinationAppears(const Options& options) {
  const std::string& layout = options.GetString("layout");
  return layout == "direct" || layout == "file" || options.GetString("commit") == "job";
}

Selector Selector::FromJob(const JobSpec& job) {
  Selector selector;
  selector.tables = job.tables;
  selector.schemas = job.schemas;
  selector.exclude = job.exclude;
  selector.queries = job.queries;
  selector.options = job.options;
  // A grouping reads only its columns. One that cannot be read as one is refused where it is bound.
  const auto narrow = [&](Options* options, const Options& effective) {
    const auto columns = ColumnsForGrouping(effective);
    if (columns.ok()) (void)options->Set("columns", *columns);
  };
  const auto groups = [](const Options& options) {
    return options.Has("group_by") || options.Has("aggregates");
  };
  if (!job.options.Has("columns") && groups(job.options)) narrow(&selector.options, job.options);
  const auto narrow_each = [&](auto& selected) {
    for (auto& one : selected) {
      const Options effective = job.options.With(one.options);
      if (!effective.Has("columns") && groups(effective)) narrow(&one.options, effective);
    }
  };
  narrow_each(selector.tables);
  narrow_each(selector.queries);
  const bool names_tables = std::any_of(job.tables.begin(), job.tables.end(),
                                        [](const auto& table) { return table.selects; });
  selector.all = job.all || (!names_tables && job.schemas.empty() && job.queries.empty());
  return selector;
}

bool Selector::Selects(const DatasetId& id) const {
  if (ListMatches(exclude, id)) return false;
  if (all) return true;
  for (const auto& schema : schemas) {
    if (GlobMatch(schema, id.schema)) return true;
  }
  return std::any_of(tables.begin(), tables.end(), [&](const auto& table) {
    return table.selects && PatternMatches(table.pattern, id);
  });
}

std::vector<std::string> Selector::ExactNames() const {
  std::vector<std::string> names;
  for (const auto& table : tables) {
    if (table.selects && !ParsePattern(table.pattern).has_glob()) names.push_back(table.pattern);
  }
  return names;
}

Status Selector::CheckNamed(std::span<const DatasetId> available) const {
  for (const auto& name : ExactNames()) {
    const bool found = std::any_of(available.begin(), available.end(),
                                   [&](const auto& id) { return PatternMatches(name, id); });
    if (found) continue;
    const bool with_schema = ParsePattern(name).schema.has_value();
    std::vector<std::string> candidates;
    for (const auto& id : available) {
      candidates.push_back(with_schema ? ExactPattern(id) : id.name);
    }
    auto nearest = NearestName(name, candidates);
    if (!nearest && with_schema) {
      // The right name in another schema is a likely mistake too.
      const auto bare = ParsePattern(name).name.text;
      for (const auto& id : available) {
        if (id.name == bare) nearest = ExactPattern(id);
      }
    }
    return UserError(fmt::format("the source has no table '{}'{}", name,
                                 nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""),
                     "no_such_table");
  }
  return Status::OK();
}

Options Selector::OptionsFor(const DatasetId& id) const {
  Options result = options;
  for (const auto& table : tables) {
    if (PatternMatches(table.pattern, id)) result = result.With(table.options);
  }
  return result;
}

bool IsConnectionString(std::string_view text) {
  for (const std::string_view keyword : {"host", "hostaddr", "dbname", "service", "user", "port"}) {
    if (text.starts_with(keyword) && text.substr(keyword.size()).starts_with("=")) return true;
  }
  return false;
}

}  // namespace bulkhaul
