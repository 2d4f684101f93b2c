#include "plan/contract.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <set>
#include <span>

#include <arrow/compute/api_scalar.h>
#include <arrow/compute/exec.h>
#include <arrow/compute/initialize.h>
#include <arrow/datum.h>
#include <arrow/type_traits.h>
#include <arrow/util/decimal.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/text.h"
#include "base/units.h"
#include "plan/document.h"
#include "plan/job_spec.h"
#include "plan/type_name.h"

namespace bulkhaul {
namespace {

using Kind = DocumentNode::Kind;
using Member = DocumentNode::Member;

constexpr const char* kTopKeys[] = {"columns", "rows", "freshness", "tables"};
constexpr const char* kContractTableKeys[] = {"columns", "rows", "freshness"};
constexpr const char* kColumnKeys[] = {"type",       "nullable",   "unique",  "min",    "max",
                                       "min_length", "max_length", "pattern", "allowed"};

// Types that have no name to write in a cast are compared as Arrow writes them.
bool IsWrittenByArrow(std::string_view type) {
  if (type.find_first_of("<[") != std::string_view::npos || type.starts_with("dictionary of ")) {
    return true;
  }
  static const std::set<std::string_view> kPlain = {
      "null",     "halffloat", "month_interval", "day_time_interval", "month_day_nano_interval",
      "interval", "utf8_view", "string_view",    "binary_view"};
  return kPlain.contains(type);
}

class ContractReader {
 public:
  explicit ContractReader(std::string_view file_name) : file_name_(file_name) {}

  Result<ContractFile> Read(const DocumentNode& root) const {
    if (root.kind != Kind::kMap) {
      return Error(root.mark, "a contract must be a map with columns, or with tables");
    }
    ContractFile file;
    for (const auto& member : root.members) {
      ARROW_RETURN_NOT_OK(CheckKey(member, kTopKeys, "a contract"));
      if (member.key != "tables") continue;
      if (root.members.size() > 1) {
        return Error(member.mark, "tables stands alone: columns, rows and freshness go below it");
      }
      ARROW_RETURN_NOT_OK(IsMap(member));
      for (const auto& table : member.value.members) {
        ARROW_RETURN_NOT_OK(IsMap(table));
        for (const auto& key : table.value.members) {
          ARROW_RETURN_NOT_OK(CheckKey(key, kContractTableKeys, table.key));
        }
        ARROW_ASSIGN_OR_RAISE(auto contract, ReadTable(table.value));
        file.tables.emplace_back(table.key, std::move(contract));
      }
      if (file.tables.empty()) return Error(member.mark, "tables names no table");
      return file;
    }
    ARROW_ASSIGN_OR_RAISE(auto contract, ReadTable(root));
    file.tables.emplace_back("", std::move(contract));
    return file;
  }

 private:
  Status Error(DocumentMark mark, const std::string& message) const {
    return ErrorAt(file_name_, mark, message);
  }

  Status IsMap(const Member& member) const {
    if (member.value.kind == Kind::kMap) return Status::OK();
    return Error(member.value.mark, fmt::format("{} must be a map", member.key));
  }

  Status CheckKey(const Member& member, std::span<const char* const> keys,
                  const std::string& where) const {
    const std::vector<std::string> names(keys.begin(), keys.end());
    if (std::find(names.begin(), names.end(), member.key) != names.end()) return Status::OK();
    const auto nearest = NearestName(member.key, names);
    return Error(member.mark,
                 fmt::format("unknown key '{}' of {}{}", member.key, where,
                             nearest ? fmt::format("; did you mean '{}'?", *nearest)
                                     : fmt::format("; the keys are {}", fmt::join(names, ", "))));
  }

  Result<std::string> Text(const Member& member) const {
    if (member.value.kind == Kind::kScalar) return member.value.text;
    return Error(member.value.mark, fmt::format("{} must be one value", member.key));
  }

  Result<int64_t> Count(const Member& member) const {
    ARROW_ASSIGN_OR_RAISE(auto text, Text(member));
    std::erase(text, '_');
    int64_t count = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
    if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && count >= 0) {
      return count;
    }
    return Error(member.value.mark,
                 fmt::format("{} must be a whole number, not '{}'", member.key, member.value.text));
  }

  Result<bool> Truth(const Member& member) const {
    ARROW_ASSIGN_OR_RAISE(const auto text, Text(member));
    if (member.value.scalar != DocumentNode::Scalar::kText) {
      if (text == "true" || text == "True") return true;
      if (text == "false" || text == "False") return false;
    }
    return Error(member.value.mark, fmt::format("{} must be true or false", member.key));
  }

  Result<Contract> ReadTable(const DocumentNode& node) const {
    Contract contract;
    for (const auto& member : node.members) {
      ARROW_RETURN_NOT_OK(IsMap(member));
      if (member.key == "columns") ARROW_RETURN_NOT_OK(ReadColumns(member.value, &contract));
    }
    for (const auto& member : node.members) {
      if (member.key == "rows") ARROW_RETURN_NOT_OK(ReadRows(member.value, &contract));
      if (member.key == "freshness") ARROW_RETURN_NOT_OK(ReadFreshness(member, &contract));
    }
    if (contract.columns.empty()) {
      return Error(node.mark, "a contract needs columns: a map of name: rules");
    }
    return contract;
  }

  Status ReadRows(const DocumentNode& node, Contract* contract) const {
    for (const auto& member : node.members) {
      constexpr const char* kKeys[] = {"min", "max"};
      ARROW_RETURN_NOT_OK(CheckKey(member, kKeys, "rows"));
      auto& bound = member.key == "min" ? contract->rows_min : contract->rows_max;
      ARROW_ASSIGN_OR_RAISE(bound, Count(member));
    }
    if (contract->rows_max >= 0 && contract->rows_min > contract->rows_max) {
      return Error(node.mark, "rows: min is above max");
    }
    return Status::OK();
  }

  Status ReadFreshness(const Member& section, Contract* contract) const {
    for (const auto& member : section.value.members) {
      constexpr const char* kKeys[] = {"column", "max_age"};
      ARROW_RETURN_NOT_OK(CheckKey(member, kKeys, "freshness"));
      ARROW_ASSIGN_OR_RAISE(const auto text, Text(member));
      if (member.key == "column") {
        contract->freshness_column = text;
        continue;
      }
      auto age = ParseDurationMs(text);
      if (!age.ok() || *age == 0) {
        return Error(member.value.mark,
                     fmt::format("max_age must be a duration such as 24h, not '{}'", text));
      }
      contract->freshness_ms = *age;
    }
    if (contract->freshness_column.empty() || contract->freshness_ms < 0) {
      return Error(section.mark, "freshness needs column and max_age");
    }
    const auto* column = contract->Find(contract->freshness_column);
    const auto type = column == nullptr ? nullptr : ParseTypeName(column->type).ValueOr(nullptr);
    const bool is_time = type != nullptr && (type->id() == arrow::Type::TIMESTAMP ||
                                             type->id() == arrow::Type::DATE32);
    if (column == nullptr || (type != nullptr && !is_time)) {
      return Error(
          section.mark,
          fmt::format("freshness: '{}' is no column of type timestamp, timestamptz or date "
                      "of this contract",
                      contract->freshness_column));
    }
    return Status::OK();
  }

  Status ReadColumns(const DocumentNode& node, Contract* contract) const {
    for (const auto& member : node.members) {
      ContractColumn column;
      column.name = member.key;
      if (member.value.kind == Kind::kScalar) {  // "id: int64"
        ARROW_RETURN_NOT_OK(ReadType(member, &column));
      } else if (member.value.kind == Kind::kMap) {
        ARROW_RETURN_NOT_OK(ReadColumn(member, &column));
      } else if (member.value.kind != Kind::kNull) {
        return Error(member.value.mark,
                     fmt::format("column {} must be a type or a map of rules", member.key));
      }
      contract->columns.push_back(std::move(column));
    }
    return Status::OK();
  }

  Status ReadType(const Member& member, ContractColumn* column) const {
    ARROW_ASSIGN_OR_RAISE(const auto text, Text(member));
    if (IsWrittenByArrow(text)) {
      column->type = text;
      return Status::OK();
    }
    const auto type = ParseTypeName(text);
    if (!type.ok()) return Error(member.value.mark, MessageOf(type.status()));
    column->type = TypeName(**type);
    return Status::OK();
  }

  Status ReadColumn(const Member& entry, ContractColumn* column) const {
    std::map<std::string, DocumentMark> marks;
    for (const auto& member : entry.value.members) {
      ARROW_RETURN_NOT_OK(CheckKey(member, kColumnKeys, "column " + entry.key));
      marks[member.key] = member.value.mark;
      ARROW_RETURN_NOT_OK(ReadRule(member, column));
    }
    if (column->min_length > column->max_length && column->max_length >= 0) {
      return Error(entry.mark, fmt::format("column {}: min_length is above max_length", entry.key));
    }
    return CheckRules(*column, marks);
  }

  Status ReadRule(const Member& member, ContractColumn* column) const {
    const auto& key = member.key;
    if (key == "type") return ReadType(member, column);
    if (key == "nullable") return Truth(member).Value(&column->nullable);
    if (key == "unique") return Truth(member).Value(&column->unique);
    if (key == "min_length") return Count(member).Value(&column->min_length);
    if (key == "max_length") return Count(member).Value(&column->max_length);
    if (key == "allowed") {
      if (member.value.kind != Kind::kList || member.value.items.empty()) {
        return Error(member.value.mark, "allowed must be a list of values");
      }
      for (const auto& item : member.value.items) {
        if (item.kind != Kind::kScalar) {
          return Error(item.mark, "allowed must hold single values; NULL is up to nullable");
        }
        column->allowed.push_back(item.text);
      }
      return Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(auto text, Text(member));
    if (text.empty()) return Error(member.value.mark, key + " is empty");
    (key == "min" ? column->min : key == "max" ? column->max : column->pattern) = std::move(text);
    return Status::OK();
  }

  // What can be said without the data.
  Status CheckRules(const ContractColumn& column,
                    const std::map<std::string, DocumentMark>& marks) const {
    const auto at = [&](const char* key) { return marks.at(key); };
    if (!column.pattern.empty()) {
      const arrow::compute::MatchSubstringOptions options(column.pattern);
      ARROW_RETURN_NOT_OK(arrow::compute::Initialize());
      // Of no text at all it would not be looked at.
      const arrow::Datum text(std::make_shared<arrow::StringScalar>(""));
      const auto tried = arrow::compute::CallFunction("match_substring_regex", {text}, &options);
      if (!tried.ok()) {
        return Error(at("pattern"), fmt::format("pattern: {}", MessageOf(tried.status())));
      }
    }
    if (column.type.empty() || IsWrittenByArrow(column.type)) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const auto type, ParseTypeName(column.type));
    const auto refuse = [&](const char* key, const char* what) {
      return Error(at(key), fmt::format("column {} is {}, which has no {}: {} means nothing there",
                                        column.name, column.type, what, key));
    };
    for (const char* key : {"min", "max"}) {
      if (marks.contains(key) && !HasOrder(*type)) return refuse(key, "smallest or largest value");
    }
    for (const char* key : {"min_length", "max_length"}) {
      if (marks.contains(key) && !HasLength(*type)) return refuse(key, "length");
    }
    if (!column.pattern.empty() && type->id() != arrow::Type::STRING) {
      return refuse("pattern", "text");
    }
    for (const auto& [key, text] : {std::pair("min", &column.min), std::pair("max", &column.max)}) {
      if (text->empty()) continue;
      const auto value = ParseContractValue(type, *text);
      if (!value.ok()) return Error(at(key), MessageOf(value.status()));
    }
    for (const auto& text : column.allowed) {
      const auto value = ParseContractValue(type, text);
      if (!value.ok()) return Error(at("allowed"), MessageOf(value.status()));
    }
    return Status::OK();
  }

  const std::string_view file_name_;
};

// yaml-cpp writes a carriage return as it is unless in double quotes, and reads it as a line's end.
void EmitText(YAML::Emitter& out, const std::string& text) {
  if (text.find('\r') != std::string::npos) out << YAML::DoubleQuoted;
  out << text;
}

// Numbers and plain words stay plain; everything else is quoted, so that it is read back as text.
void EmitValue(YAML::Emitter& out, const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
  if (!plain) out << YAML::SingleQuoted;
  EmitText(out, text);
}

void EmitColumn(YAML::Emitter& out, const ContractColumn& column) {
  out << YAML::Key;
  EmitText(out, column.name);
  out << YAML::Value << YAML::BeginMap;
  if (!column.type.empty()) {
    out << YAML::Key << "type" << YAML::Value;
    EmitText(out, column.type);
  }
  if (!column.note.empty()) out << YAML::Comment(column.note);
  if (!column.nullable) out << YAML::Key << "nullable" << YAML::Value << false;
  if (column.unique) out << YAML::Key << "unique" << YAML::Value << true;
  for (const auto& [key, text] : {std::pair("min", &column.min), std::pair("max", &column.max),
                                  std::pair("pattern", &column.pattern)}) {
    if (text->empty()) continue;
    out << YAML::Key << key << YAML::Value;
    EmitValue(out, *text);
  }
  if (column.min_length >= 0) out << YAML::Key << "min_length" << YAML::Value << column.min_length;
  if (column.max_length >= 0) out << YAML::Key << "max_length" << YAML::Value << column.max_length;
  if (!column.allowed.empty()) {
    out << YAML::Key << "allowed" << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const auto& value : column.allowed) EmitValue(out, value);
    out << YAML::EndSeq;
  }
  out << YAML::EndMap;
}

void EmitTable(YAML::Emitter& out, const Contract& contract) {
  out << YAML::BeginMap << YAML::Key << "columns" << YAML::Value << YAML::BeginMap;
  for (const auto& column : contract.columns) EmitColumn(out, column);
  out << YAML::EndMap;
  if (contract.rows_min >= 0 || contract.rows_max >= 0) {
    out << YAML::Key << "rows" << YAML::Value << YAML::BeginMap;
    if (contract.rows_min >= 0) out << YAML::Key << "min" << YAML::Value << contract.rows_min;
    if (contract.rows_max >= 0) out << YAML::Key << "max" << YAML::Value << contract.rows_max;
    out << YAML::EndMap;
  }
  if (contract.freshness_ms >= 0) {
    out << YAML::Key << "freshness" << YAML::Value << YAML::BeginMap << YAML::Key << "column"
        << YAML::Value << contract.freshness_column << YAML::Key << "max_age" << YAML::Value
        << fmt::format("{}ms", contract.freshness_ms) << YAML::EndMap;
  }
  out << YAML::EndMap;
}

}  // namespace

const ContractColumn* Contract::Find(std::string_view column) const {
  for (const auto& candidate : columns) {
    if (candidate.name == column) return &candidate;
  }
  return nullptr;
}

bool Contract::JudgesTable() const {
  return rows_min >= 0 || rows_max >= 0 || freshness_ms >= 0 ||
         std::any_of(columns.begin(), columns.end(), [](const auto& one) { return one.unique; });
}

bool Contract::JudgesRows() const {
  return std::any_of(columns.begin(), columns.end(), [](const ContractColumn& one) {
    return !one.nullable || !one.min.empty() || !one.max.empty() || one.min_length >= 0 ||
           one.max_length >= 0 || !one.pattern.empty() || !one.allowed.empty();
  });
}

std::string Contract::ToYaml() const {
  YAML::Emitter out;
  EmitTable(out, *this);
  return std::string(out.c_str()) + "\n";
}

const Contract* ContractFile::For(const DatasetId& id) const {
  for (const auto& [pattern, contract] : tables) {
    if (pattern.empty() || PatternMatches(pattern, id)) return &contract;
  }
  return nullptr;
}

std::string ContractFile::ToYaml() const {
  if (tables.size() == 1 && tables[0].first.empty()) return tables[0].second.ToYaml();
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "tables" << YAML::Value << YAML::BeginMap;
  for (const auto& [pattern, contract] : tables) {
    out << YAML::Key << pattern << YAML::Value;
    EmitTable(out, contract);
  }
  out << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

Result<ContractFile> ParseContract(std::string_view text, std::string_view file_name) {
  ARROW_ASSIGN_OR_RAISE(const auto root, ParseDocument(text, DocumentFormat::kYaml, file_name));
  return ContractReader(file_name).Read(root);
}

Result<ContractFile> LoadContract(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const auto text, ReadDocumentFile(path, "contract"));
  return ParseContract(text, path);
}

Result<const Contract*> Contracts::For(const Options& options, const DatasetId& id) {
  const std::string& path = options.GetString("contract");
  if (path.empty()) return nullptr;
  auto known = files_.find(path);
  if (known == files_.end()) {
    auto file = LoadContract(path);
    if (!file.ok()) {
      const bool located = MessageOf(file.status()).starts_with("/");
      return located ? file.status() : WithContext(file.status(), id.ToString());
    }
    known = files_.emplace(path, *std::move(file)).first;
  }
  const Contract* contract = known->second.For(id);
  if (contract != nullptr) return contract;
  return UserError(fmt::format("{}: the contract '{}' says nothing of {}: add it under tables",
                               id.ToString(), path, id.ToString()),
                   "contract");
}

bool HasOrder(const arrow::DataType& type) {
  return arrow::is_integer(type.id()) || type.id() == arrow::Type::FLOAT ||
         type.id() == arrow::Type::DOUBLE || arrow::is_decimal(type.id()) ||
         arrow::is_date(type.id()) || arrow::is_time(type.id()) ||
         type.id() == arrow::Type::TIMESTAMP;
}

bool HasLength(const arrow::DataType& type) { return arrow::is_base_binary_like(type.id()); }

Result<std::shared_ptr<arrow::Scalar>> ParseContractValue(
    const std::shared_ptr<arrow::DataType>& type, std::string_view text) {
  const auto refuse = [&] {
    return UserError(fmt::format("'{}' is no value of type {}", text, TypeName(*type)));
  };
  if (arrow::is_decimal(type->id())) {
    const auto& decimal = static_cast<const arrow::DecimalType&>(*type);
    arrow::Decimal256 value;
    int32_t precision = 0, scale = 0;
    if (!arrow::Decimal256::FromString(text, &value, &precision, &scale).ok()) return refuse();
    const auto scaled = value.Rescale(scale, decimal.scale());
    if (!scaled.ok() || !scaled->FitsInPrecision(decimal.precision())) return refuse();
    if (type->id() == arrow::Type::DECIMAL256) {
      return std::make_shared<arrow::Decimal256Scalar>(*scaled, type);
    }
    const auto words = scaled->little_endian_array();
    return std::make_shared<arrow::Decimal128Scalar>(
        arrow::Decimal128(static_cast<int64_t>(words[1]), words[0]), type);
  }
  if (type->id() == arrow::Type::TIMESTAMP) {
    // Times of a zone are written in UTC, with or without a Z.
    const auto& timestamp = static_cast<const arrow::TimestampType&>(*type);
    if (text.ends_with('Z')) text.remove_suffix(1);
    auto parsed = arrow::Scalar::Parse(arrow::timestamp(timestamp.unit()), text);
    if (!parsed.ok()) return refuse();
    const auto value = static_cast<const arrow::TimestampScalar&>(**parsed).value;
    return std::make_shared<arrow::TimestampScalar>(value, type);
  }
  auto parsed = arrow::Scalar::Parse(type, text);
  if (!parsed.ok()) return refuse();
  return *parsed;
}

}  // namespace bulkhaul
