#include "wire/json/page_layout.h"

#include <algorithm>
#include <iterator>

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "base/text.h"
#include "wire/json/date_format.h"
#include "wire/json/field_class.h"

namespace bulkhaul::search {

namespace {

// As plan/values.h has it; this room is below that one.
constexpr char kSourceTypeKey[] = "bulkhaul.source_type";
constexpr char kRequestedDateFormat[] = "strict_date_optional_time_nanos";
constexpr char kExtraName[] = "_extra";

bool IsBelow(std::string_view path, std::string_view object) {
  return path.size() > object.size() && path.starts_with(object) && path[object.size()] == '.';
}

bool IsObjectSomewhere(const MergedField& field) {
  return std::any_of(field.types.begin(), field.types.end(), [](const auto& type) {
    return type.first == "nested" || ClassifyType(type.first).field_class == FieldClass::kObject;
  });
}

// Whether what begins with its name and a dot is no part of it (subobjects: false).
bool IsFieldAlone(const MergedMapping& mapping, std::string_view path) {
  const MergedField* field = mapping.Find(path);
  return field != nullptr && !IsObjectSomewhere(*field);
}

// Whether the pattern names this path or an object that it is in; without a mapping, any name
// that the path begins with is one.
bool Covers(const std::string& pattern, const std::string& path, const MergedMapping* mapping) {
  const auto holds = [&](std::string_view object) {
    return mapping == nullptr || !IsFieldAlone(*mapping, object);
  };
  if (!HasGlob(pattern)) return path == pattern || (IsBelow(path, pattern) && holds(pattern));
  if (GlobMatch(pattern, path)) return true;
  for (size_t dot = path.find('.'); dot != path.npos; dot = path.find('.', dot + 1)) {
    const auto above = std::string_view(path).substr(0, dot);
    if (GlobMatch(pattern, above) && holds(above)) return true;
  }
  return false;
}

bool CoveredByAny(const std::vector<std::string>& patterns, const std::string& path,
                  const MergedMapping& mapping) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return Covers(pattern, path, &mapping); });
}

bool IsNestedList(const MergedField& field, const LayoutOptions& options) {
  return field.conflict.empty() && field.field.type == "nested" &&
         options.nested == NestedForm::kList && !options.doc_values;
}

// Whether the values below this field are part of its own column of text.
bool SwallowsChildren(const MergedField& field, const LayoutOptions& options) {
  return field.conflict.empty() &&
         ClassifyType(field.field.type).field_class == FieldClass::kJson &&
         !IsNestedList(field, options);
}

Status UnknownField(const std::string& pattern, const MergedMapping& mapping,
                    const LayoutOptions& options) {
  std::vector<std::string> names;
  for (const MergedField& field : mapping.fields) {
    names.push_back(field.field.path);
    if (SwallowsChildren(field, options) && IsBelow(pattern, field.field.path)) {
      return OptionError(
          fmt::format("field '{}' is inside '{}' of type {}, which becomes one column "
                      "of JSON text: name '{}'",
                      pattern, field.field.path, field.field.type, field.field.path));
    }
    for (const std::string& multi_field : field.field.multi_fields) {
      if (multi_field == pattern) {
        return OptionError(
            fmt::format("field '{}' is another index of '{}' and holds the same "
                        "values: name '{}'",
                        pattern, field.field.path, field.field.path));
      }
    }
  }
  std::string message =
      fmt::format("no mapping has a field {} '{}'", HasGlob(pattern) ? "like" : "called", pattern);
  if (const auto nearest = NearestName(pattern, names)) {
    message += fmt::format("; did you mean '{}'?", *nearest);
  }
  return OptionError(std::move(message));
}

Status CheckPatterns(const std::vector<std::string>& patterns, const MergedMapping& mapping,
                     const LayoutOptions& options, bool globs_too) {
  for (const std::string& pattern : patterns) {
    if (HasGlob(pattern) && !globs_too) continue;
    const bool known = std::any_of(
        mapping.fields.begin(), mapping.fields.end(),
        [&](const MergedField& field) { return Covers(pattern, field.field.path, &mapping); });
    const bool swallowed =
        std::any_of(mapping.fields.begin(), mapping.fields.end(), [&](const MergedField& field) {
          return SwallowsChildren(field, options) && IsBelow(pattern, field.field.path);
        });
    if (!known || swallowed) return UnknownField(pattern, mapping, options);
  }
  return Status::OK();
}

ColumnKind IntegerKind(const std::string& type) {
  if (type == "byte") return ColumnKind::kInt8;
  if (type == "short") return ColumnKind::kInt16;
  return type == "integer" ? ColumnKind::kInt32 : ColumnKind::kInt64;
}

ColumnKind KindOfField(const std::string& type, const LayoutOptions& options) {
  switch (ClassifyType(type).field_class) {
    case FieldClass::kInteger:
      return IntegerKind(type);
    case FieldClass::kUnsigned:
      return ColumnKind::kUInt64;
    case FieldClass::kMixedIntegers:
      return ColumnKind::kDecimal;
    case FieldClass::kReal:
      return options.floats == FloatForm::kMapped && (type == "float" || type == "half_float")
                 ? ColumnKind::kFloat
                 : ColumnKind::kDouble;
    case FieldClass::kBool:
      return ColumnKind::kBool;
    case FieldClass::kText:
      return ColumnKind::kText;
    case FieldClass::kBinary:
      return ColumnKind::kBinary;
    case FieldClass::kDate:
      return options.dates == DateForm::kText ? ColumnKind::kText : ColumnKind::kTimestamp;
    case FieldClass::kGeoPoint:
      return ColumnKind::kGeoPoint;
    case FieldClass::kVector:
      return ColumnKind::kVector;
    default:
      return ColumnKind::kJson;
  }
}

std::string SourceTypeOf(const MergedField& field) {
  std::string text;
  for (const auto& [type, index] : field.types) text += (text.empty() ? "" : "|") + type;
  return text;
}

bool HasIntegers(const MergedField& field) {
  return std::any_of(field.types.begin(), field.types.end(), [](const auto& type) {
    const FieldClass field_class = ClassifyType(type.first).field_class;
    return field_class == FieldClass::kInteger || field_class == FieldClass::kUnsigned;
  });
}

// Doc values come sorted, and text without those that repeat: of several values that is no array of
// the document.
Status CheckDocValues(const MappedField& field, const LayoutOptions& options) {
  std::string why = field.doc_values_differ;
  if (why.empty() && options.array_fields.contains(field.path)) {
    why = "documents have several values, whose order and number doc values do not keep";
  }
  if (why.empty() && options.dates == DateForm::kText && field.type.starts_with("date")) {
    why = "the server writes dates anew (dates: text)";
  }
  if (why.empty()) return Status::OK();
  return UserError(fmt::format("field '{}': its doc values may be others than those of the "
                               "documents: {}; leave it out, or choose fetch: source",
                               field.path, why),
                   kDocValuesDiffer);
}

Result<ColumnSpec> ColumnOf(const MergedField& merged, const LayoutOptions& options) {
  const MappedField& field = merged.field;
  ColumnSpec column;
  column.path = field.path;
  column.source_type = SourceTypeOf(merged);
  column.from_fields = options.doc_values || field.from_fields();
  if (options.doc_values) ARROW_RETURN_NOT_OK(CheckDocValues(field, options));
  if (field.from_fields() && IsObjectSomewhere(merged)) {
    std::string types;
    for (const auto& [type, index] : merged.types) {
      types += fmt::format("{}{} in index '{}'", types.empty() ? "" : ", ", type, index);
    }
    return OptionError(
        fmt::format("field '{}' is {}; where it is an alias or computed, it is not read from the "
                    "documents, and objects are only there: leave it out with exclude_fields, or "
                    "read the indices apart",
                    field.path, types));
  }
  if (!merged.conflict.empty()) {
    if (options.conflicts == OnConflict::kError) {
      return OptionError(merged.conflict +
                         ", and no column holds both; exclude the field or the index, or choose "
                         "type_conflict: json");
    }
    return column;
  }
  column.kind = KindOfField(field.type, options);
  column.exact_integers = column.kind == ColumnKind::kDouble && HasIntegers(merged);
  column.constants = merged.constants;
  if (column.kind == ColumnKind::kTimestamp) {
    column.unit = field.type == "date_nanos" ? DateUnit::kNano : options.date_unit;
    // "fields" come in the format that the request names: one that loses nothing. Derived fields
    // take none, and are of milliseconds.
    column.own_format = !column.from_fields || field.derived;
    if (field.derived && !merged.shortened_in.empty()) {
      return OptionError(
          fmt::format("field '{}' is a derived date in index '{}', for which the server takes no "
                      "format, and in index '{}' one whose own format may show less than its "
                      "documents have: leave it out with exclude_fields, or read the indices apart",
                      field.path, merged.derived_in, merged.shortened_in));
    }
    column.format = !column.own_format     ? kRequestedDateFormat
                    : field.format.empty() ? kDefaultDateFormat
                                           : field.format;
    const auto format = DateFormat::Make(column.format, field.locale);
    if (!format.ok()) {
      return WithContext(format.status(),
                         fmt::format("field '{}' (or choose dates: text)", field.path));
    }
  }
  if (column.kind == ColumnKind::kJson || column.kind == ColumnKind::kVector) return column;
  const bool sampled = options.array_fields.count(field.path) > 0;
  column.list =
      options.arrays == ArrayForm::kList || (options.arrays == ArrayForm::kAuto && sampled);
  if (options.arrays == ArrayForm::kJson && sampled) column.kind = ColumnKind::kJson;
  return column;
}

std::shared_ptr<arrow::DataType> ValueType(const ColumnSpec& column) {
  switch (column.kind) {
    case ColumnKind::kInt8:
      return arrow::int8();
    case ColumnKind::kInt16:
      return arrow::int16();
    case ColumnKind::kInt32:
      return arrow::int32();
    case ColumnKind::kInt64:
    case ColumnKind::kSeqNo:
      return arrow::int64();
    case ColumnKind::kUInt64:
      return arrow::uint64();
    case ColumnKind::kDecimal:
      return arrow::decimal128(20, 0);
    case ColumnKind::kFloat:
      return arrow::float32();
    case ColumnKind::kDouble:
      return arrow::float64();
    case ColumnKind::kBool:
      return arrow::boolean();
    case ColumnKind::kBinary:
      return arrow::binary();
    case ColumnKind::kTimestamp:
      return arrow::timestamp(column.unit == DateUnit::kMilli   ? arrow::TimeUnit::MILLI
                              : column.unit == DateUnit::kMicro ? arrow::TimeUnit::MICRO
                                                                : arrow::TimeUnit::NANO,
                              "UTC");
    case ColumnKind::kGeoPoint:
      return arrow::struct_(
          {arrow::field("lat", arrow::float64()), arrow::field("lon", arrow::float64())});
    case ColumnKind::kVector:
      return arrow::list(arrow::float32());
    default:
      return arrow::utf8();
  }
}

// Objects as structs: groups columns by the first name of their paths.
arrow::FieldVector GroupFields(const std::vector<ColumnSpec>& columns,
                               const arrow::FieldVector& flat, const StructGroup& group) {
  arrow::FieldVector fields;
  for (const StructGroup& child : group.children) {
    if (child.column >= 0) {
      fields.push_back(flat[child.column]->WithName(child.name));
    } else {
      fields.push_back(arrow::field(child.name, arrow::struct_(GroupFields(columns, flat, child))));
    }
  }
  return fields;
}

void Place(const std::vector<ColumnSpec>& columns, int column, std::string_view rest,
           std::string_view path, StructGroup* group) {
  const size_t dot = rest.find('.');
  const size_t taken = path.size() - rest.size();
  const auto is_column = [&](const ColumnSpec& other) {
    return other.path == path.substr(0, taken + dot);
  };
  // Where `a` holds values of its own, `a.b` stays a name with a dot.
  if (dot == rest.npos || std::any_of(columns.begin(), columns.end(), is_column)) {
    group->children.push_back({std::string(rest), column, {}});
    return;
  }
  const std::string name(rest.substr(0, dot));
  auto child = std::find_if(
      group->children.begin(), group->children.end(),
      [&](const StructGroup& other) { return other.column < 0 && other.name == name; });
  if (child == group->children.end()) {
    group->children.push_back({name, -1, {}});
    child = group->children.end() - 1;
  }
  Place(columns, column, rest.substr(dot + 1), path, &*child);
}

arrow::FieldVector FieldsOf(const std::vector<ColumnSpec>& columns, ObjectForm objects) {
  PageLayout layout;
  layout.objects = objects;
  arrow::FieldVector flat;
  for (const ColumnSpec& column : columns) {
    const bool nullable = column.kind != ColumnKind::kId && column.kind != ColumnKind::kIndex;
    flat.push_back(arrow::field(column.path, layout.TypeOf(column), nullable,
                                arrow::key_value_metadata({kSourceTypeKey}, {column.source_type})));
  }
  return GroupFields(columns, flat, GroupColumns(columns, objects));
}

}  // namespace

StructGroup GroupColumns(const std::vector<ColumnSpec>& columns, ObjectForm objects) {
  StructGroup root;
  for (size_t column = 0; column < columns.size(); ++column) {
    const std::string& path = columns[column].path;
    if (objects == ObjectForm::kFlatten) {
      root.children.push_back({path, static_cast<int>(column), {}});
    } else {
      Place(columns, static_cast<int>(column), path, path, &root);
    }
  }
  return root;
}

std::shared_ptr<arrow::DataType> PageLayout::TypeOf(const ColumnSpec& column) const {
  if (column.kind == ColumnKind::kNested) {
    return arrow::list(arrow::struct_(FieldsOf(column.children, objects)));
  }
  const auto type = ValueType(column);
  return column.list ? arrow::list(type) : type;
}

Result<std::shared_ptr<arrow::Schema>> PageLayout::Schema() const {
  return arrow::schema(FieldsOf(columns, objects));
}

std::vector<std::pair<std::string, std::string>> PageLayout::RequestedFields() const {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const ColumnSpec& column : columns) {
    if (!column.from_fields) continue;
    fields.emplace_back(column.path, column.own_format ? "" : column.format);
  }
  return fields;
}

bool PageLayout::needs_seq_no() const {
  return std::any_of(columns.begin(), columns.end(),
                     [](const ColumnSpec& column) { return column.kind == ColumnKind::kSeqNo; });
}

namespace {

bool BearsReprinting(const ColumnSpec& column) {
  switch (column.kind) {
    case ColumnKind::kInt8:
    case ColumnKind::kInt16:
    case ColumnKind::kInt32:
    case ColumnKind::kBool:
    case ColumnKind::kBinary:
    case ColumnKind::kGeoPoint:
    case ColumnKind::kId:
    case ColumnKind::kIndex:
    case ColumnKind::kRouting:
    case ColumnKind::kSeqNo:
      return true;
    case ColumnKind::kDouble:
      return !column.exact_integers;
    case ColumnKind::kTimestamp:  // a number is not for formats of text
      return column.format.find("epoch") == std::string::npos;
    case ColumnKind::kText:
      return column.source_type == "ip";
    default:  // 64 bits may stand as 9007199254740993.0, and text as a number
      return false;
  }
}

}  // namespace

bool PageLayout::bears_source_filter() const {
  return std::all_of(columns.begin(), columns.end(), [](const ColumnSpec& column) {
    return column.from_fields || BearsReprinting(column);
  });
}

std::vector<std::string> PageLayout::ServerExcludes(const std::vector<std::string>& exclude) const {
  std::vector<std::string> harmless;
  std::copy_if(exclude.begin(), exclude.end(), std::back_inserter(harmless),
               [&](const std::string& pattern) {
                 return std::none_of(columns.begin(), columns.end(), [&](const ColumnSpec& column) {
                   return Covers(pattern, column.path, nullptr);
                 });
               });
  return harmless;
}

namespace {

class LayoutMaker {
 public:
  LayoutMaker(const MergedMapping& mapping, const LayoutOptions& options, PageLayout* layout)
      : mapping_(mapping), options_(options), layout_(layout) {}

  // The fields below the nested field `above`, or all with "".
  Status AddFields(const std::string& above, std::vector<ColumnSpec>* columns) {
    std::vector<std::string> taken;  // columns that hold what is below them
    for (const MergedField& merged : mapping_.fields) {
      const MappedField& field = merged.field;
      if (!above.empty() && !IsBelow(field.path, above)) continue;
      if (field.is_object && merged.conflict.empty()) continue;
      if (std::any_of(taken.begin(), taken.end(),
                      [&](const std::string& other) { return IsBelow(field.path, other); })) {
        continue;
      }
      if (IsNestedList(merged, options_) && HasFieldsBelow(field.path)) {
        taken.push_back(field.path);
        ARROW_RETURN_NOT_OK(AddNested(merged, above, columns));
        continue;
      }
      if (!IsWanted(field) || (!above.empty() && field.from_fields())) {
        layout_->left_out.push_back(field.path);
        continue;
      }
      if (options_.extra && field.path == kExtraName) {
        return OptionError(
            "the documents have a field '_extra' of their own: exclude it, or do without "
            "the column of that name");
      }
      ARROW_ASSIGN_OR_RAISE(ColumnSpec column, ColumnOf(merged, options_));
      if (!merged.conflict.empty() || SwallowsChildren(merged, options_) ||
          field.type == "nested") {
        taken.push_back(field.path);
      }
      Add(std::move(column), above, columns);
    }
    return Status::OK();
  }

 private:
  bool IsWanted(const MappedField& field) const {
    return (options_.include.empty() || CoveredByAny(options_.include, field.path, mapping_)) &&
           !CoveredByAny(options_.exclude, field.path, mapping_);
  }

  bool HasFieldsBelow(const std::string& path) const {
    return std::any_of(mapping_.fields.begin(), mapping_.fields.end(), [&](const auto& other) {
      return IsBelow(other.field.path, path) && !other.field.is_object &&
             !other.field.from_fields();
    });
  }

  Status AddNested(const MergedField& merged, const std::string& above,
                   std::vector<ColumnSpec>* columns) {
    ColumnSpec column;
    column.path = merged.field.path;
    column.kind = ColumnKind::kNested;
    column.source_type = SourceTypeOf(merged);
    ARROW_RETURN_NOT_OK(AddFields(merged.field.path, &column.children));
    if (!column.children.empty()) Add(std::move(column), above, columns);
    return Status::OK();
  }

  static void Add(ColumnSpec column, const std::string& above, std::vector<ColumnSpec>* columns) {
    if (!above.empty()) {
      column.path = column.path.substr(above.size() + 1);
      column.constants.clear();
    }
    columns->push_back(std::move(column));
  }

  const MergedMapping& mapping_;
  const LayoutOptions& options_;
  PageLayout* const layout_;
};

}  // namespace

Result<PageLayout> MakeLayout(const MergedMapping& mapping, const LayoutOptions& options) {
  ARROW_RETURN_NOT_OK(CheckPatterns(options.include, mapping, options, true));
  ARROW_RETURN_NOT_OK(CheckPatterns(options.exclude, mapping, options, false));
  PageLayout layout;
  layout.objects = options.objects;
  layout.arrays = options.arrays;
  layout.misfit = options.misfit;
  layout.excess_digits = options.excess_digits;
  layout.doc_values = options.doc_values;
  if (options.doc_values && (options.extra || options.arrays != ArrayForm::kAuto)) {
    return UserError(options.extra ? "extra needs the documents themselves: fetch: source"
                                   : "doc values do not keep arrays as they are: choose arrays: "
                                     "auto, or fetch: source",
                     kDocValuesDiffer);
  }
  const auto add = [&](bool wanted, const char* name, ColumnKind kind) {
    if (!wanted) return;
    ColumnSpec column;
    column.path = column.source_type = name;
    column.kind = kind;
    layout.columns.push_back(std::move(column));
  };
  add(options.id, "_id", ColumnKind::kId);
  add(options.index, "_index", ColumnKind::kIndex);
  add(options.routing, "_routing", ColumnKind::kRouting);
  add(options.seq_no, "_seq_no", ColumnKind::kSeqNo);
  ARROW_RETURN_NOT_OK(LayoutMaker(mapping, options, &layout).AddFields("", &layout.columns));
  add(options.extra, kExtraName, ColumnKind::kExtra);
  return layout;
}

}  // namespace bulkhaul::search
