#include "plan/job_file.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/secret.h"
#include "base/text.h"
#include "plan/grouping.h"
#include "plan/option_table.h"
#include "plan/query_template.h"

namespace bulkhaul {
namespace {

using Kind = DocumentNode::Kind;
using Scalar = DocumentNode::Scalar;

constexpr JobKey kJobKeys[] = {
    {"source",
     "Where to read: postgres://user@host/db, sqlite:///path, path.db, "
     "opensearch://host:9200/logs-*, files (./data/*.parquet), duckdb:, generator:…"},
    {"destination", "Where to write: a folder, one file, or postgres://user@host/db."},
    {"all",
     "Every table; `tables` then only overrides settings. Also meant when nothing is named."},
    {"schemas", "Schemas whose tables are all taken; globs are allowed."},
    {"tables",
     "Tables to take and what is special about them: names or globs, each with settings."},
    {"exclude", "Tables to leave out: names or globs."},
    {"queries",
     "Queries that become tables of their own: name, sql (or template and parameters) and "
     "settings."},
    {"templates",
     "Queries with places for values, by name: query DSL (text or map), {q: Lucene text} or {sql: "
     "…}; {{name}} stands for a parameter."},
    {"$schema", "For editors; ignored."},
};
constexpr JobKey kTableKeys[] = {
    {"pattern", "Name or glob of the table: name, schema.name, schema.*"},
};
constexpr JobKey kQueryKeys[] = {
    {"name", "Name of the result, as a table's."},
    {"sql", "The query; or file:path."},
    {"template", "Instead of sql: one of the job's templates."},
    {"parameters", "Values for the template's {{names}}: text, numbers, true, false, lists."},
};

bool IsOneOf(std::span<const JobKey> keys, std::string_view name) {
  return std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return name == key.name; });
}

class JobReader {
 public:
  explicit JobReader(const JobFileContext& context) : context_(context) {}

  Result<JobSpec> Read(const DocumentNode& root) {
    if (root.kind != Kind::kMap) return Error(root.mark, "a job file must be a map of settings");
    JobSpec job;
    // Queries may stand before them.
    if (const auto* found = Find(root, "templates")) ARROW_RETURN_NOT_OK(ReadTemplates(*found));
    for (const auto& member : root.members) {
      if (member.key == "$schema" || member.key == "templates") continue;
      if (IsOneOf(kJobKeys, member.key)) {
        ARROW_RETURN_NOT_OK(ReadJobKey(member, &job));
      } else {
        ARROW_RETURN_NOT_OK(ReadOption(member, kJobScope, kJobKeys, &job.options));
      }
    }
    return job;
  }

 private:
  Status Error(DocumentMark mark, const std::string& message) const {
    return ErrorAt(context_.file_name, mark, message);
  }

  Status ReadJobKey(const DocumentNode::Member& member, JobSpec* job) {
    const auto& key = member.key;
    if (key == "source") return ReadUri(member, &job->source_uri, &job->source_reference);
    if (key == "destination") {
      return ReadUri(member, &job->destination_uri, &job->destination_reference);
    }
    if (key == "all") {
      Options holder;  // `strict` is as good a truth value as any
      ARROW_RETURN_NOT_OK(SetOption(*FindOption("strict"), member, &holder));
      job->all = holder.GetBool("strict");
      return Status::OK();
    }
    if (key == "schemas") return ReadNames(member, &job->schemas);
    if (key == "exclude") return ReadNames(member, &job->exclude);
    if (key == "tables") return ReadTables(member, job);
    return ReadQueries(member, job);
  }

  // A scalar's text with its references replaced.
  Result<std::string> Text(const DocumentNode& node, const std::string& key) {
    if (node.kind != Kind::kScalar || node.scalar == Scalar::kNumber ||
        node.scalar == Scalar::kBool) {
      return Error(node.mark, fmt::format("{} must be text", key));
    }
    auto text = ExpandEnvironment(node.text, context_.environment);
    if (!text.ok()) return Error(node.mark, fmt::format("{}: {}", key, text.status().message()));
    return text;
  }

  // The same where a whole value may also lie in a file.
  Result<std::string> TextOrFile(const DocumentNode& node, const std::string& key) {
    ARROW_ASSIGN_OR_RAISE(auto text, Text(node, key));
    if (!IsFileReference(text)) return text;
    auto read = ReadFileReference(text, context_.folder);
    if (!read.ok()) return Error(node.mark, fmt::format("{}: {}", key, read.status().message()));
    return read;
  }

  Status ReadUri(const DocumentNode::Member& member, std::string* uri, std::string* reference) {
    ARROW_ASSIGN_OR_RAISE(*uri, TextOrFile(member.value, member.key));
    if (uri->empty()) return Error(member.value.mark, member.key + " is empty");
    const auto& written = member.value.text;
    if (IsFileReference(written) && !HasReference(written)) {
      *reference = AbsoluteFileReference(written, context_.folder);
    } else if (HasReference(written)) {
      *reference = written;
    }
    return Status::OK();
  }

  Status ReadNames(const DocumentNode::Member& member, std::vector<std::string>* names) {
    if (member.value.kind != Kind::kList) {
      return Error(member.value.mark, member.key + " must be a list of names");
    }
    for (const auto& item : member.value.items) {
      ARROW_ASSIGN_OR_RAISE(auto name, Text(item, member.key));
      if (name.empty()) return Error(item.mark, member.key + ": a name is empty");
      names->push_back(std::move(name));
    }
    return Status::OK();
  }

  Status ReadTables(const DocumentNode::Member& member, JobSpec* job) {
    const auto& node = member.value;
    if (node.kind == Kind::kList && !node.items.empty()) {
      for (const auto& item : node.items) ARROW_RETURN_NOT_OK(ReadTable(item, job));
      return Status::OK();
    }
    if (node.kind == Kind::kMap && !node.members.empty()) {
      for (const auto& entry : node.members) {
        TableSpec table{entry.key, {}};
        if (entry.key.empty()) return Error(entry.mark, "tables: a name is empty");
        // "public.orders:" alone takes the table as it is.
        if (entry.value.kind != Kind::kNull || !entry.value.text.empty()) {
          ARROW_RETURN_NOT_OK(ReadSettings(entry.value, {}, "tables", &table.options));
        }
        job->tables.push_back(std::move(table));
      }
      return Status::OK();
    }
    return Error(node.mark,
                 "tables must be a list or a map of names; write all: true for every table");
  }

  Status ReadTable(const DocumentNode& item, JobSpec* job) {
    TableSpec table;
    if (item.kind == Kind::kMap) {
      const auto* pattern = Find(item, "pattern");
      if (pattern == nullptr) return Error(item.mark, "an entry of tables needs the key pattern");
      ARROW_ASSIGN_OR_RAISE(table.pattern, Text(pattern->value, "pattern"));
      ARROW_RETURN_NOT_OK(ReadSettings(item, kTableKeys, "tables", &table.options));
    } else {
      ARROW_ASSIGN_OR_RAISE(table.pattern, Text(item, "tables"));
    }
    if (table.pattern.empty()) return Error(item.mark, "tables: a name is empty");
    job->tables.push_back(std::move(table));
    return Status::OK();
  }

  Status ReadQueries(const DocumentNode::Member& member, JobSpec* job) {
    const auto& node = member.value;
    if (node.kind != Kind::kList || node.items.empty()) {
      return Error(node.mark, "queries must be a list of maps with name and sql");
    }
    for (const auto& item : node.items) {
      if (item.kind != Kind::kMap)
        return Error(item.mark, "a query must be a map with name and sql");
      QuerySpec query;
      const auto* name = Find(item, "name");
      if (name == nullptr) return Error(item.mark, "a query needs the key name");
      ARROW_ASSIGN_OR_RAISE(query.name, Text(name->value, "name"));
      ARROW_ASSIGN_OR_RAISE(query.sql, QueryText(item));
      if (query.name.empty()) return Error(name->value.mark, "name is empty");
      ARROW_RETURN_NOT_OK(ReadSettings(item, kQueryKeys, "queries", &query.options));
      job->queries.push_back(std::move(query));
    }
    return Status::OK();
  }

  // Of an entry of queries: its own text, or a template with its parameters put in.
  Result<std::string> QueryText(const DocumentNode& item) {
    const auto* sql = Find(item, "sql");
    const auto* name = Find(item, "template");
    const auto* parameters = Find(item, "parameters");
    if ((sql == nullptr) == (name == nullptr)) {
      return Error(item.mark, sql == nullptr ? "a query needs the key sql, or template"
                                             : "a query has the key sql or template, not both");
    }
    if (sql != nullptr) {
      if (parameters != nullptr) return Error(parameters->mark, "parameters belong to a template");
      ARROW_ASSIGN_OR_RAISE(auto text, TextOrFile(sql->value, "sql"));
      if (text.empty()) return Error(sql->value.mark, "sql is empty");
      return text;
    }
    ARROW_ASSIGN_OR_RAISE(const auto wanted, Text(name->value, "template"));
    const auto found = templates_.find(wanted);
    if (found == templates_.end()) {
      std::vector<std::string> names;
      for (const auto& [known, ignored] : templates_) names.push_back(known);
      const auto nearest = NearestName(wanted, names);
      return Error(name->value.mark,
                   fmt::format("there is no template '{}'{}", wanted,
                               nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
    }
    std::map<std::string, std::string> values;
    if (parameters != nullptr) {
      if (parameters->value.kind != Kind::kMap) {
        return Error(parameters->value.mark, "parameters must be a map of name: value");
      }
      for (const auto& member : parameters->value.members) {
        ARROW_ASSIGN_OR_RAISE(values[member.key], ParameterText(member));
      }
    }
    auto filled = FillTemplate(found->second, values);
    if (!filled.ok()) {
      return Error(item.mark, fmt::format("template {}: {}", wanted, filled.status().message()));
    }
    return filled;
  }

  Result<std::string> ParameterText(const DocumentNode::Member& member) {
    bool simple = member.value.kind != Kind::kMap;
    for (const auto& item : member.value.items) {
      simple = simple && (item.kind == Kind::kScalar || item.kind == Kind::kNull);
    }
    if (!simple) return Error(member.value.mark, member.key + " must be a value or a list of them");
    ARROW_ASSIGN_OR_RAISE(const auto value, JsonOf(member.value, member.key.c_str()));
    return value.dump();
  }

  Status ReadTemplates(const DocumentNode::Member& section) {
    if (section.value.kind != Kind::kMap) {
      return Error(section.value.mark, "templates must be a map of name: query");
    }
    for (const auto& member : section.value.members) {
      ARROW_ASSIGN_OR_RAISE(templates_[member.key], ReadTemplate(member));
    }
    return Status::OK();
  }

  Result<QueryTemplate> ReadTemplate(const DocumentNode::Member& member) {
    const DocumentNode* node = &member.value;
    QueryTemplate query;
    std::string language = "query";
    if (node->kind == Kind::kMap && node->members.size() == 1 &&
        (node->members[0].key == "q" || node->members[0].key == "sql" ||
         node->members[0].key == "query")) {
      language = node->members[0].key;
      node = &node->members[0].value;
    }
    if (language == "query" && node->kind == Kind::kMap) {
      ARROW_ASSIGN_OR_RAISE(const auto value, JsonOf(*node, member.key.c_str()));
      query.text = value.dump();
      return query;
    }
    ARROW_ASSIGN_OR_RAISE(query.text, TextOrFile(*node, member.key));
    const size_t begin = query.text.find_first_not_of(" \t\r\n");
    const bool is_json = begin != std::string::npos && query.text[begin] == '{';
    if (is_json != (language == "query")) {
      return Error(node->mark,
                   fmt::format("template {}: query DSL is a JSON object; write {{q: …}} for Lucene "
                               "text and {{sql: …}} for SQL",
                               member.key));
    }
    if (language == "q") query.language = TemplateLanguage::kLucene;
    if (language == "sql") query.language = TemplateLanguage::kSql;
    return query;
  }

  static const DocumentNode::Member* Find(const DocumentNode& map, std::string_view key) {
    for (const auto& member : map.members) {
      if (member.key == key) return &member;
    }
    return nullptr;
  }

  // The options of a map, leaving out `own_keys`.
  Status ReadSettings(const DocumentNode& node, std::span<const JobKey> own_keys,
                      const char* section, Options* options) {
    if (node.kind != Kind::kMap) {
      return Error(node.mark, fmt::format("an entry of {} must be a map of settings", section));
    }
    for (const auto& member : node.members) {
      if (IsOneOf(own_keys, member.key)) continue;
      ARROW_RETURN_NOT_OK(ReadOption(member, kTableScope, own_keys, options));
    }
    return Status::OK();
  }

  Status ReadOption(const DocumentNode::Member& member, OptionScope scope,
                    std::span<const JobKey> own_keys, Options* options) {
    const auto* spec = FindOption(member.key);
    if (spec == nullptr) return UnknownKey(member, scope, own_keys);
    if ((spec->scope & scope) == 0) {
      return Error(
          member.mark,
          scope == kTableScope
              ? fmt::format("{} is a setting of the whole job: write it at the top level",
                            member.key)
              : fmt::format("{} is a setting of one table: write it under tables or queries",
                            member.key));
    }
    if (member.value.kind == Kind::kMap && spec->type == OptionType::kBool) {
      return ReadNested(*spec, member, options);
    }
    return SetOption(*spec, member, options);
  }

  Status UnknownKey(const DocumentNode::Member& member, OptionScope scope,
                    std::span<const JobKey> own_keys) {
    std::vector<std::string> candidates;
    for (const auto& key : own_keys) candidates.emplace_back(key.name);
    for (const auto& option : OptionTable()) {
      if (option.scope & scope) candidates.emplace_back(option.name);
    }
    std::string written = member.key;
    std::replace(written.begin(), written.end(), '-', '_');
    const bool dashes_only = FindOption(written) != nullptr;
    const auto nearest = dashes_only ? std::optional(written) : NearestName(written, candidates);
    return Error(member.mark,
                 fmt::format("unknown key '{}'{}", member.key,
                             nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
  }

  Status ReadNested(const OptionSpec& spec, const DocumentNode::Member& member, Options* options) {
    const auto nested = NestedOptions(spec.name);
    if (nested.empty()) return Error(member.value.mark, member.key + " must be true or false");
    ARROW_RETURN_NOT_OK(options->Set(spec.name, true));
    const std::string prefix = std::string(spec.name) + "_";
    for (const auto& inner : member.value.members) {
      if (inner.key == "enabled") {
        ARROW_RETURN_NOT_OK(SetOption(spec, inner, options));
        continue;
      }
      const auto* inner_spec = FindOption(prefix + inner.key);
      if (inner_spec == nullptr) {
        std::vector<std::string> candidates;
        for (const auto& name : nested) candidates.push_back(name.substr(prefix.size()));
        candidates.emplace_back("enabled");
        const auto nearest = NearestName(inner.key, candidates);
        return Error(inner.mark,
                     fmt::format("unknown key '{}' of {}{}", inner.key, spec.name,
                                 nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
      }
      ARROW_RETURN_NOT_OK(SetOption(*inner_spec, inner, options));
    }
    return Status::OK();
  }

  Status SetOption(const OptionSpec& spec, const DocumentNode::Member& member, Options* options) {
    const auto& node = member.value;
    Status status;
    switch (node.kind) {
      case Kind::kNull:
        status = SetNull(spec, node, options);
        break;
      case Kind::kScalar:
        status = SetScalar(spec, node, options);
        break;
      case Kind::kList:
        status = SetList(spec, node, options);
        break;
      case Kind::kMap:
        status = std::string_view(spec.name) == "query" ? SetJson(spec, node, options)
                                                        : SetPairs(spec, node, options);
        break;
    }
    if (status.ok() || status.message().starts_with(context_.file_name + ":")) return status;
    return Error(node.mark, status.message());
  }

  // "infinity: null" means the choice of that name.
  Status SetNull(const OptionSpec& spec, const DocumentNode& node, Options* options) {
    if (spec.type == OptionType::kEnum && node.text == "null") {
      return options->SetFromText(spec.name, node.text);
    }
    return UserError(fmt::format("{} has no value{}", spec.name,
                                 node.text.empty() || spec.type != OptionType::kString
                                     ? ""
                                     : "; write it in quotes if the text is meant"));
  }

  Status SetScalar(const OptionSpec& spec, const DocumentNode& node, Options* options) {
    const bool is_text = spec.type == OptionType::kString || spec.type == OptionType::kEnum;
    if (is_text && (node.scalar == Scalar::kNumber || node.scalar == Scalar::kBool)) {
      return UserError(fmt::format("{} must be text; write it in quotes", spec.name));
    }
    if (spec.type == OptionType::kBool && node.scalar == Scalar::kText &&
        !HasReference(node.text)) {
      return UserError(fmt::format("{} must be true or false, without quotes", spec.name));
    }
    if (spec.type == OptionType::kPairs) {
      return UserError(fmt::format("{} must be a map of name: value", spec.name));
    }
    auto text = ExpandEnvironment(node.text, context_.environment);
    if (!text.ok()) return WithContext(text.status(), spec.name);
    if (std::string_view(spec.name) == "where" && IsFileReference(*text)) {
      text = ReadFileReference(*text, context_.folder);
      if (!text.ok()) return WithContext(text.status(), spec.name);
    }
    if (std::string_view(spec.name) == "contract") {  // a path from the job file on
      text = (std::filesystem::path(context_.folder) / *text).lexically_normal().string();
    }
    return options->SetFromText(spec.name, *text);
  }

  Status SetList(const OptionSpec& spec, const DocumentNode& node, Options* options) {
    if (spec.type != OptionType::kList) {
      return UserError(fmt::format("{} must be one value, not a list", spec.name));
    }
    StringList list;
    for (const auto& item : node.items) {
      ARROW_ASSIGN_OR_RAISE(auto text, ListItem(spec, item));
      list.push_back(std::move(text));
    }
    return options->Set(spec.name, std::move(list));
  }

  // {month: created_at} is month(created_at), where calls are meant.
  Result<std::string> ListItem(const OptionSpec& spec, const DocumentNode& item) {
    if (!GroupingTakesCalls(spec.name) || item.members.size() != 1) return Text(item, spec.name);
    ARROW_ASSIGN_OR_RAISE(auto column, Text(item.members[0].value, spec.name));
    return fmt::format("{}({})", item.members[0].key, column);
  }

  Status SetPairs(const OptionSpec& spec, const DocumentNode& node, Options* options) {
    if (spec.type != OptionType::kPairs) {
      return UserError(fmt::format("{} must be {}, not a map", spec.name,
                                   spec.type == OptionType::kList ? "a list" : "one value"));
    }
    StringPairs pairs;
    for (const auto& entry : node.members) {
      if (entry.value.kind != Kind::kScalar) {
        return Error(entry.value.mark, fmt::format("{}.{} must be text", spec.name, entry.key));
      }
      auto text = ExpandEnvironment(entry.value.text, context_.environment);
      if (!text.ok()) return Error(entry.value.mark, text.status().message());
      pairs.emplace_back(entry.key, *std::move(text));
    }
    return options->Set(spec.name, std::move(pairs));
  }

  // A map that is a query of the source's own language, which is JSON.
  Status SetJson(const OptionSpec& spec, const DocumentNode& node, Options* options) {
    ARROW_ASSIGN_OR_RAISE(const auto value, JsonOf(node, spec.name));
    return options->Set(spec.name, value.dump());
  }

  Result<nlohmann::ordered_json> JsonOf(const DocumentNode& node, const char* key) {
    using Json = nlohmann::ordered_json;
    switch (node.kind) {
      case Kind::kNull:
        return Json();
      case Kind::kList: {
        Json list = Json::array();
        for (const auto& item : node.items) {
          ARROW_ASSIGN_OR_RAISE(auto value, JsonOf(item, key));
          list.push_back(std::move(value));
        }
        return list;
      }
      case Kind::kMap: {
        Json map = Json::object();
        for (const auto& member : node.members) {
          ARROW_ASSIGN_OR_RAISE(map[member.key], JsonOf(member.value, key));
        }
        return map;
      }
      case Kind::kScalar:
        break;
    }
    auto text = ExpandEnvironment(node.text, context_.environment);
    if (!text.ok()) return Error(node.mark, fmt::format("{}: {}", key, text.status().message()));
    if (node.scalar != Scalar::kText) {
      // YAML's plain scalars are what JSON makes of them; others are text.
      Json value = Json::parse(*text, nullptr, false);
      if (value.is_number() || value.is_boolean()) return value;
    }
    return Json(*std::move(text));
  }

  const JobFileContext& context_;
  std::map<std::string, QueryTemplate> templates_;
};

}  // namespace

std::span<const JobKey> JobKeys() { return kJobKeys; }
std::span<const JobKey> TableKeys() { return kTableKeys; }
std::span<const JobKey> QueryKeys() { return kQueryKeys; }

std::vector<std::string> NestedOptions(std::string_view option) {
  std::vector<std::string> nested;
  const auto* outer = FindOption(option);
  if (outer == nullptr || outer->type != OptionType::kBool) return nested;
  const std::string prefix = std::string(option) + "_";
  for (const auto& spec : OptionTable()) {
    if (std::string_view(spec.name).starts_with(prefix)) nested.emplace_back(spec.name);
  }
  return nested;
}

Result<JobSpec> ParseJobFile(std::string_view text, DocumentFormat format,
                             const JobFileContext& context) {
  ARROW_ASSIGN_OR_RAISE(const auto root, ParseDocument(text, format, context.file_name));
  return JobReader(context).Read(root);
}

Result<JobSpec> LoadJobFile(const std::string& path, const EnvironmentLookup& environment) {
  ARROW_ASSIGN_OR_RAISE(const auto format, DocumentFormatOf(path));
  ARROW_ASSIGN_OR_RAISE(const auto text, ReadDocumentFile(path, "job file"));
  const auto parent = std::filesystem::path(path).parent_path();
  return ParseJobFile(text, format, {path, parent.empty() ? "." : parent.string(), environment});
}

std::string EnvironmentNameOf(std::string_view option) {
  std::string name = "BULKHAUL_";
  for (const char c : option) {
    name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string FlagNameOf(std::string_view option) {
  std::string name = "--" + std::string(option);
  std::replace(name.begin() + 2, name.end(), '_', '-');
  return name;
}

Status ApplyEnvironment(const EnvironmentLookup& environment, JobSpec* job) {
  if (auto value = environment("BULKHAUL_SOURCE")) {
    job->source_uri = *value;
    job->source_reference = "${BULKHAUL_SOURCE}";
  }
  if (auto value = environment("BULKHAUL_DESTINATION")) {
    job->destination_uri = *value;
    job->destination_reference.clear();
  }
  for (const auto& option : OptionTable()) {
    const auto name = EnvironmentNameOf(option.name);
    const auto value = environment(name);
    if (!value) continue;
    const Status status = job->options.SetFromText(option.name, *value);
    if (!status.ok()) return WithContext(status, "environment variable " + name);
  }
  return Status::OK();
}

Status CheckJob(const JobSpec& job) {
  if (job.source_uri.empty()) {
    return UserError(
        "the job has no source; give it as the first argument or as source: in the job "
        "file");
  }
  if (job.destination_uri.empty()) {
    return UserError(
        "the job has no destination; give it as the second argument or as destination: "
        "in the job file");
  }
  std::set<std::string> names;
  for (const auto& query : job.queries) {
    if (!names.insert(query.name).second) {
      return UserError(
          fmt::format("two queries are named '{}'; give each a name of its own", query.name));
    }
  }
  return Status::OK();
}

}  // namespace bulkhaul
