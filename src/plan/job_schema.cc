#include "plan/job_schema.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plan/job_file.h"
#include "plan/option_table.h"

namespace bulkhaul {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* kBytesPattern = R"(^\s*[0-9][0-9_ ]*(\.[0-9]+)?\s*([kKMGTPE]i?B?|B)?\s*$)";
constexpr const char* kDurationPattern =
    R"(^\s*(none|[0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)\s*)+)\s*$)";
constexpr const char* kReferencePattern = R"(\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\})";

OrderedJson Reference() { return {{"type", "string"}, {"pattern", kReferencePattern}}; }

std::vector<std::string> Choices(const OptionSpec& spec) {
  std::vector<std::string> choices;
  std::string_view rest = spec.choices;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('|'), rest.size());
    choices.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  return choices;
}

OrderedJson Number(const char* type, const OptionSpec& spec) {
  OrderedJson node = {{"type", type}, {"minimum", spec.minimum}};
  if (spec.maximum != INT64_MAX) node["maximum"] = spec.maximum;
  return node;
}

OrderedJson TypeSchema(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kBool: {
      OrderedJson any = OrderedJson::array({OrderedJson{{"type", "boolean"}}, Reference()});
      OrderedJson inner = OrderedJson::object();
      for (const auto& name : NestedOptions(spec.name)) {
        inner[name.substr(std::string_view(spec.name).size() + 1)] = TypeSchema(*FindOption(name));
      }
      if (!inner.empty()) {
        inner["enabled"] = {{"type", "boolean"}};
        any.push_back({{"type", "object"}, {"properties", inner}, {"additionalProperties", false}});
      }
      return {{"anyOf", any}};
    }
    case OptionType::kInt: {
      OrderedJson any =
          OrderedJson::array({Number("integer", spec),
                              {{"type", "string"}, {"pattern", R"(^\s*[0-9][0-9_ ]*[kMG]?\s*$)"}},
                              Reference()});
      for (const auto& word : Choices(spec)) any.push_back({{"const", word}});
      return {{"anyOf", any}};
    }
    case OptionType::kDouble:
      return {{"anyOf", OrderedJson::array({Number("number", spec), Reference()})}};
    case OptionType::kBytes:
      return {{"anyOf", OrderedJson::array({Number("integer", spec),
                                            {{"type", "string"}, {"pattern", kBytesPattern}},
                                            Reference()})}};
    case OptionType::kDurationMs:
      // A bare number is seconds; the bounds are kept in milliseconds.
      return {
          {"anyOf", OrderedJson::array({{{"type", "number"}, {"minimum", spec.minimum / 1000.0}},
                                        {{"type", "string"}, {"pattern", kDurationPattern}},
                                        Reference()})}};
    case OptionType::kString:
      if (std::string_view(spec.name) == "query") {
        return {{"type", OrderedJson::array({"string", "object"})}};
      }
      return {{"type", "string"}};
    case OptionType::kEnum: {
      OrderedJson values = OrderedJson::array();
      for (const auto& choice : Choices(spec)) {
        values.push_back(choice);
        if (choice == "null") values.push_back(nullptr);
      }
      return {{"anyOf", OrderedJson::array({{{"enum", values}}, Reference()})}};
    }
    case OptionType::kList:
      return {{"anyOf", OrderedJson::array({{{"type", "array"}, {"items", {{"type", "string"}}}},
                                            {{"type", "string"}}})}};
    case OptionType::kPairs:
      return {{"type", "object"},
              {"additionalProperties",
               {{"type", OrderedJson::array({"string", "number", "boolean"})}}}};
  }
  return {};
}

OrderedJson OptionSchema(const OptionSpec& spec) {
  OrderedJson node = {{"description", spec.help}};
  node.update(TypeSchema(spec));
  if (*spec.default_text != '\0') node["default"] = spec.default_text;
  return node;
}

OrderedJson Settings(OptionScope scope) {
  OrderedJson properties = OrderedJson::object();
  for (const auto& option : OptionTable()) {
    if (option.scope & scope) properties[option.name] = OptionSchema(option);
  }
  return properties;
}

OrderedJson Described(std::span<const JobKey> keys, std::string_view name, OrderedJson schema) {
  for (const auto& key : keys) {
    if (name == key.name) schema["description"] = key.help;
  }
  return schema;
}

OrderedJson TextList() {
  return {{"type", "array"}, {"items", {{"type", "string"}, {"minLength", 1}}}};
}

OrderedJson TablesSchema() {
  OrderedJson entry_properties = {
      {"pattern", Described(TableKeys(), "pattern", {{"type", "string"}, {"minLength", 1}})}};
  entry_properties.update(Settings(kTableScope));
  const OrderedJson entry = {{"type", "object"},
                             {"required", OrderedJson::array({"pattern"})},
                             {"properties", entry_properties},
                             {"additionalProperties", false}};
  const OrderedJson list = {
      {"type", "array"},
      {"minItems", 1},
      {"items", {{"anyOf", OrderedJson::array({{{"type", "string"}, {"minLength", 1}}, entry})}}}};
  const OrderedJson settings = {{"type", OrderedJson::array({"object", "null"})},
                                {"properties", Settings(kTableScope)},
                                {"additionalProperties", false}};
  const OrderedJson map = {
      {"type", "object"}, {"minProperties", 1}, {"additionalProperties", settings}};
  return {{"anyOf", OrderedJson::array({list, map})}};
}

OrderedJson QueriesSchema() {
  OrderedJson properties = OrderedJson::object();
  for (const auto& key : QueryKeys()) {
    properties[key.name] = Described(QueryKeys(), key.name, {{"type", "string"}, {"minLength", 1}});
  }
  properties["parameters"] = Described(
      QueryKeys(), "parameters",
      {{"type", "object"},
       {"additionalProperties",
        {{"type", OrderedJson::array({"string", "number", "boolean", "null", "array"})}}}});
  properties.update(Settings(kTableScope));
  const OrderedJson entry = {
      {"type", "object"},
      {"required", OrderedJson::array({"name"})},
      {"oneOf", OrderedJson::array({{{"required", OrderedJson::array({"sql"})}},
                                    {{"required", OrderedJson::array({"template"})}}})},
      {"properties", properties},
      {"additionalProperties", false}};
  return {{"type", "array"}, {"minItems", 1}, {"items", entry}};
}

OrderedJson JobKeySchema(std::string_view name) {
  if (name == "tables") return TablesSchema();
  if (name == "queries") return QueriesSchema();
  if (name == "templates") {
    return {{"type", "object"},
            {"additionalProperties", {{"type", OrderedJson::array({"string", "object"})}}}};
  }
  if (name == "schemas" || name == "exclude") return TextList();
  if (name == "all") return {{"anyOf", OrderedJson::array({{{"type", "boolean"}}, Reference()})}};
  return {{"type", "string"}, {"minLength", 1}};
}

std::string TypeText(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kBool:
      return NestedOptions(spec.name).empty() ? "true, false" : "true, false, or a map (see below)";
    case OptionType::kInt:
      return (*spec.choices == '\0' ? std::string() : fmt::format("`{}` or ", spec.choices)) +
             (spec.maximum == INT64_MAX
                  ? fmt::format("count from {}", spec.minimum)
                  : fmt::format("count, {} to {}", spec.minimum, spec.maximum));
    case OptionType::kDouble:
      return "number";
    case OptionType::kBytes:
      return "size";
    case OptionType::kDurationMs:
      return "duration";
    case OptionType::kString:
      return "text";
    case OptionType::kEnum: {
      std::string text;
      for (const auto& choice : Choices(spec)) {
        text += (text.empty() ? "`" : ", `") + choice + "`";
      }
      return text;
    }
    case OptionType::kList:
      return "list of names";
    case OptionType::kPairs:
      return "map of name to text";
  }
  return {};
}

std::string ScopeText(const OptionSpec& spec) {
  if (spec.scope == kJobScope) return "job";
  return spec.scope == kTableScope ? "table" : "job, table";
}

std::string EscapeCell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.insert(at, "\\");
  return text;
}

constexpr const char* kReferenceHead = R"(# Job file reference

This page is generated from the table of options (`src/plan/option_table.cc`); a test keeps it equal. The same
table makes the validator, the flags, the environment variables and the JSON Schema
([schemas/job.schema.json](schemas/job.schema.json), also printed by `bulkhaul schema job`).

A job file is YAML, TOML or JSON; its name's end says which. `bulkhaul run job.yaml` runs it, `bulkhaul plan
job.yaml` shows what would run.

```yaml
# yaml-language-server: $schema=docs/schemas/job.schema.json
source: postgres://reader:${PGPASSWORD_READER}@db.example.org/shop
destination: ./exports
format: parquet
workers: 8
tables:
  - public.customers
  - pattern: public.order*
    where: created_at >= date '2026-01-01'
    unit_rows: 1M
queries:
  - name: daily_totals
    sql: select day, sum(amount) as amount from payments group by day
```

## Rules

- An unknown key, a key in the wrong place, a value of the wrong type and a key given twice are errors with
  file, line and column. Nothing is ignored: an option that is about another kind of source or destination
  (`gte` for files, `row_group_rows` for CSV) is an error too, unless it says what holds by default.
- What wins: flags over `BULKHAUL_*` environment variables over the job file; under `tables`, later entries
  over earlier ones, and all of them over the job. A flag or variable also wins over the same setting of
  single tables. `--table`, `--schema` and `--all` select instead of the file's tables, which keep their
  settings.
- `${NAME}` is replaced by an environment variable, `${NAME:-default}` has a default, `$${` is a literal `${`.
  `file:path` stands for a file's content in `source`, `destination`, `sql` and `where`; the path is relative
  to the job file. What such references put into `source` and `destination` is never stored: `resume`
  looks it up again. Other settings are stored as they are.
- Sizes: `64MiB`, `1.5GiB`, `10MB` (powers of 1000), or bytes as a number. Durations: `500ms`, `30s`, `1h30m`,
  `30d`, or seconds as a number; `0` or `none` for no limit. Counts: `1000000`, `1_000_000`, `1M`.
- Patterns: `name` (any schema) or `schema.name`, with `*`, `?` and `[a-z]`; a side in double quotes is taken
  literally: `sales."odd.[name]"`. A table that is named without a glob must exist.
- An option that is a yes or no with options of its own may be a map: `shrink: {float_tolerance: 1e-3}` is
  `shrink: true` and `shrink_float_tolerance: 1e-3`. `enabled: false` in the map switches it off and keeps its
  options.

)";

}  // namespace

std::string JobFileSchema() {
  OrderedJson properties = OrderedJson::object();
  for (const auto& key : JobKeys()) {
    properties[key.name] = Described(JobKeys(), key.name, JobKeySchema(key.name));
  }
  properties.update(Settings(kJobScope));
  const OrderedJson schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "bulkhaul job file"},
      {"description", "What bulkhaul copies, from where, to where, and how."},
      {"type", "object"},
      {"properties", properties},
      {"additionalProperties", false}};
  return schema.dump(2) + "\n";
}

std::string JobFileReference() {
  std::string text = kReferenceHead;
  text += "## What to copy\n\n| key | meaning |\n|---|---|\n";
  for (const auto& key : JobKeys())
    text += fmt::format("| `{}` | {} |\n", key.name, EscapeCell(key.help));
  for (const auto& key : TableKeys()) {
    text += fmt::format("| `tables[].{}` | {} |\n", key.name, EscapeCell(key.help));
  }
  for (const auto& key : QueryKeys()) {
    text += fmt::format("| `queries[].{}` | {} |\n", key.name, EscapeCell(key.help));
  }
  text +=
      "\n`tables` may also be a map from pattern to settings.\n\n## Settings\n\nEvery setting has "
      "a flag "
      "of the same name with dashes (`unit_bytes`, `--unit-bytes 1MiB`) and, where it is a setting "
      "of "
      "the job, an environment variable (`BULKHAUL_UNIT_BYTES`).\n";
  std::string_view group;
  for (const auto& spec : OptionTable()) {
    if (group != spec.group) {
      group = spec.group;
      text += fmt::format(
          "\n### {}\n\n| key | value | default | for | meaning |\n|---|---|---|---|---|\n", group);
    }
    const std::string shown =
        *spec.default_text == '\0' ? "" : fmt::format("`{}`", spec.default_text);
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", spec.name, TypeText(spec), shown,
                        ScopeText(spec), EscapeCell(spec.help));
  }
  return text;
}

}  // namespace bulkhaul
