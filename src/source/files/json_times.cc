#include "source/files/json_times.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/builder_time.h>
#include <fmt/format.h>

#include "wire/csv/csv_value.h"

namespace bulkhaul::files {
namespace {

bool IsTime(const arrow::DataType& type) {
  return type.id() == arrow::Type::TIMESTAMP || type.id() == arrow::Type::DATE32;
}

// The type with other children.
std::shared_ptr<arrow::DataType> WithChildren(const std::shared_ptr<arrow::DataType>& type,
                                              const arrow::FieldVector& fields) {
  if (type->id() == arrow::Type::LIST) return arrow::list(fields[0]);
  return type->id() == arrow::Type::STRUCT ? arrow::struct_(fields) : type;
}

std::shared_ptr<arrow::DataType> AsText(const std::shared_ptr<arrow::DataType>& type) {
  if (IsTime(*type)) return arrow::utf8();
  arrow::FieldVector fields;
  for (const auto& field : type->fields()) fields.push_back(field->WithType(AsText(field->type())));
  return fields.empty() ? type : WithChildren(type, fields);
}

// Seconds of a source are written with at most six digits, or else with nine.
bool ParseAs(const arrow::DataType& type, std::string_view text, int64_t* value) {
  if (type.id() == arrow::Type::DATE32) {
    int32_t days = 0;
    const bool parsed = csv::ParseDate(text, &days);
    *value = days;
    return parsed;
  }
  const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
  return csv::ParseTimestamp(text, timestamp.unit(), !timestamp.timezone().empty(), value);
}

std::string AdviceOf(const std::string& larger_sample) {
  if (larger_sample.empty()) return {};
  return fmt::format(
      "Types are those of a sample: a larger {} (0: all) gives those that fit every row; ",
      larger_sample);
}

template <typename Builder>
Result<std::shared_ptr<arrow::Array>> Converted(const arrow::StringArray& texts,
                                                const std::shared_ptr<arrow::DataType>& type,
                                                const std::string& path, int64_t* misfits,
                                                const std::string& larger_sample,
                                                arrow::MemoryPool* pool) {
  Builder builder(type, pool);
  ARROW_RETURN_NOT_OK(builder.Reserve(texts.length()));
  for (int64_t i = 0; i < texts.length(); ++i) {
    if (texts.IsNull(i)) {
      builder.UnsafeAppendNull();
      continue;
    }
    int64_t value = 0;
    if (!ParseAs(*type, texts.GetView(i), &value)) {
      if (misfits == nullptr) {
        return PermanentError(
            fmt::format("column '{}': '{}' is no {}. {}cast: {}: string keeps the column as text, "
                        "type_mismatch: null takes NULL",
                        path, texts.GetView(i), type->ToString(), AdviceOf(larger_sample),
                        path.substr(0, path.find_first_of(".["))),
            "bad_value");
      }
      ++*misfits;
      builder.UnsafeAppendNull();
      continue;
    }
    builder.UnsafeAppend(static_cast<typename Builder::value_type>(value));
  }
  return builder.Finish();
}

Result<std::shared_ptr<arrow::Array>> AsTimes(const std::shared_ptr<arrow::Array>& array,
                                              const std::shared_ptr<arrow::DataType>& type,
                                              const std::string& path, int64_t* misfits,
                                              const std::string& larger_sample,
                                              arrow::MemoryPool* pool) {
  if (array->type()->Equals(*type)) return array;
  if (IsTime(*type)) {
    const auto& texts = static_cast<const arrow::StringArray&>(*array);
    return type->id() == arrow::Type::DATE32
               ? Converted<arrow::Date32Builder>(texts, type, path, misfits, larger_sample, pool)
               : Converted<arrow::TimestampBuilder>(texts, type, path, misfits, larger_sample,
                                                    pool);
  }
  auto data = array->data()->Copy();
  data->type = type;
  for (int i = 0; i < type->num_fields(); ++i) {
    const bool list = type->id() == arrow::Type::LIST;
    auto& child = data->child_data[static_cast<size_t>(i)];
    ARROW_ASSIGN_OR_RAISE(
        const auto converted,
        AsTimes(arrow::MakeArray(child), type->field(i)->type(),
                list ? path : path + "." + type->field(i)->name(), misfits, larger_sample, pool));
    child = converted->data();
  }
  return arrow::MakeArray(data);
}

}  // namespace

std::shared_ptr<arrow::Schema> TimesAsText(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields())
    fields.push_back(field->WithType(AsText(field->type())));
  return arrow::schema(std::move(fields));
}

void JsonTimes::Add(const arrow::RecordBatch& batch) {
  for (int i = 0; i < batch.num_columns(); ++i) Add(batch.column_name(i), *batch.column(i));
}

void JsonTimes::Add(const std::string& path, const arrow::Array& array) {
  if (array.type_id() == arrow::Type::LIST) {
    return Add(path + "[]", *static_cast<const arrow::ListArray&>(array).values());
  }
  if (array.type_id() == arrow::Type::STRUCT) {
    const auto& fields = static_cast<const arrow::StructArray&>(array);
    for (int i = 0; i < fields.num_fields(); ++i) {
      Add(path + "." + array.type()->field(i)->name(), *fields.field(i));
    }
    return;
  }
  if (array.type_id() != arrow::Type::STRING) return;
  const auto& strings = static_cast<const arrow::StringArray&>(array);
  Texts& texts = texts_[path];
  for (int64_t i = 0; i < strings.length(); ++i) {
    if (strings.IsNull(i)) continue;
    const auto text = strings.GetView(i);
    texts.any = true;
    int64_t value = 0;
    texts.dates = texts.dates && ParseAs(*arrow::date32(), text, &value);
    for (const bool zoned : {false, true}) {
      bool& still = zoned ? texts.zoned : texts.plain;
      if (!still || csv::ParseTimestamp(text, arrow::TimeUnit::MICRO, zoned, &value)) continue;
      still = csv::ParseTimestamp(text, arrow::TimeUnit::NANO, zoned, &value);
      texts.nanoseconds = texts.nanoseconds || still;
    }
    if (!texts.dates && !texts.plain && !texts.zoned) return;
  }
}

std::shared_ptr<arrow::Schema> JsonTimes::Decide(const arrow::Schema& schema,
                                                 const std::set<std::string>& kept) const {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    const bool keep = kept.contains(field->name());
    fields.push_back(keep ? field : field->WithType(Decide(field->name(), field->type())));
  }
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::DataType> JsonTimes::Decide(
    const std::string& path, const std::shared_ptr<arrow::DataType>& type) const {
  if (type->num_fields() > 0) {
    arrow::FieldVector fields;
    for (const auto& field : type->fields()) {
      const bool list = type->id() == arrow::Type::LIST;
      fields.push_back(
          field->WithType(Decide(list ? path + "[]" : path + "." + field->name(), field->type())));
    }
    return WithChildren(type, fields);
  }
  const auto found = texts_.find(path);
  if (type->id() != arrow::Type::STRING || found == texts_.end() || !found->second.any) return type;
  const Texts& texts = found->second;
  if (texts.dates) return arrow::date32();
  const auto unit = texts.nanoseconds ? arrow::TimeUnit::NANO : arrow::TimeUnit::MICRO;
  if (texts.plain) return arrow::timestamp(unit);
  return texts.zoned ? arrow::timestamp(unit, "UTC") : type;
}

Result<std::shared_ptr<arrow::RecordBatch>> TextAsTimes(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Schema>& schema, int64_t* misfits,
    const std::string& larger_sample, arrow::MemoryPool* pool) {
  arrow::ArrayVector columns;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const auto& field = schema->field(i);
    ARROW_ASSIGN_OR_RAISE(auto column, AsTimes(batch.column(i), field->type(), field->name(),
                                               misfits, larger_sample, pool));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(columns));
}

}  // namespace bulkhaul::files
