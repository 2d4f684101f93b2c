#include "source/files/json_times.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/builder_decimal.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/builder_time.h>
#include <fmt/format.h>

#include "plan/type_name.h"
#include "source/files/json_values.h"
#include "wire/csv/csv_value.h"

namespace bulkhaul::files {
namespace {

// Types whose values Arrow's reader takes as text, and this program from there.
bool IsFromText(const arrow::DataType& type) {
  return type.id() == arrow::Type::TIMESTAMP || type.id() == arrow::Type::DATE32 ||
         type.id() == arrow::Type::TIME64 || type.id() == arrow::Type::DECIMAL128;
}

// The type with other children.
std::shared_ptr<arrow::DataType> WithChildren(const std::shared_ptr<arrow::DataType>& type,
                                              const arrow::FieldVector& fields) {
  if (type->id() == arrow::Type::LIST) return arrow::list(fields[0]);
  return type->id() == arrow::Type::STRUCT ? arrow::struct_(fields) : type;
}

std::shared_ptr<arrow::DataType> AsText(const std::shared_ptr<arrow::DataType>& type) {
  if (IsFromText(*type)) return arrow::utf8();
  arrow::FieldVector fields;
  for (const auto& field : type->fields()) fields.push_back(field->WithType(AsText(field->type())));
  return fields.empty() ? type : WithChildren(type, fields);
}

// Seconds of a source are written with at most six digits, or else with nine.
bool ParseAs(const arrow::DataType& type, std::string_view text, arrow::Decimal128* value) {
  const auto& decimal = static_cast<const arrow::Decimal128Type&>(type);
  return csv::ParseDecimal(text, decimal.precision(), decimal.scale(), value);
}

bool ParseAs(const arrow::DataType& type, std::string_view text, int64_t* value) {
  if (type.id() == arrow::Type::DATE32) {
    int32_t days = 0;
    const bool parsed = csv::ParseDate(text, &days);
    *value = days;
    return parsed;
  }
  if (type.id() == arrow::Type::TIME64) return csv::ParseTime(text, value);
  const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
  return csv::ParseTimestamp(text, timestamp.unit(), !timestamp.timezone().empty(), value);
}

std::string AdviceOf(const std::string& larger_sample) {
  if (larger_sample.empty()) return {};
  return fmt::format(
      "Types are those of a sample: a larger {} (0: all) gives those that fit every row; ",
      larger_sample);
}

Status NoValue(std::string_view text, const arrow::DataType& type, const std::string& path,
               const TextReading& reading) {
  const std::string column = path.substr(0, path.find_first_of(".["));
  const bool given = reading.contract.contains(path);
  if (reading.first != nullptr) *reading.first = {path, std::string(text), TypeName(type)};
  return PermanentError(
      fmt::format("column '{}': '{}' is no {}{}. {}cast: {}: string keeps the column as text, "
                  "type_mismatch: null takes NULL, reject: quarantine puts such rows aside",
                  path, text, type.ToString(),
                  given ? ", as the contract or the table there wants it" : "",
                  given ? "" : AdviceOf(reading.larger_sample), reading.casts.NewName(column)),
      "bad_value");
}

template <typename Builder, typename Value>
Result<std::shared_ptr<arrow::Array>> Converted(const arrow::StringArray& texts,
                                                const std::shared_ptr<arrow::DataType>& type,
                                                const std::string& path, const TextReading& reading,
                                                arrow::MemoryPool* pool) {
  Builder builder(type, pool);
  ARROW_RETURN_NOT_OK(builder.Reserve(texts.length()));
  for (int64_t i = 0; i < texts.length(); ++i) {
    if (texts.IsNull(i)) {
      builder.UnsafeAppendNull();
      continue;
    }
    Value value{};
    if (!ParseAs(*type, texts.GetView(i), &value)) {
      if (reading.misfits == nullptr) {
        return NoValue(texts.GetView(i), *type, path, reading);
      }
      ++*reading.misfits;
      builder.UnsafeAppendNull();
      continue;
    }
    if constexpr (std::is_same_v<Value, int64_t>) {
      builder.UnsafeAppend(static_cast<typename Builder::value_type>(value));
    } else {
      builder.UnsafeAppend(value);
    }
  }
  return builder.Finish();
}

Result<std::shared_ptr<arrow::Array>> AsTimes(const std::shared_ptr<arrow::Array>& array,
                                              const std::shared_ptr<arrow::DataType>& type,
                                              const std::string& path, const TextReading& reading,
                                              arrow::MemoryPool* pool) {
  if (array->type()->Equals(*type)) return array;
  if (IsFromText(*type)) {
    const auto& texts = static_cast<const arrow::StringArray&>(*array);
    switch (type->id()) {
      case arrow::Type::DATE32:
        return Converted<arrow::Date32Builder, int64_t>(texts, type, path, reading, pool);
      case arrow::Type::TIME64:
        return Converted<arrow::Time64Builder, int64_t>(texts, type, path, reading, pool);
      case arrow::Type::DECIMAL128:
        return Converted<arrow::Decimal128Builder, arrow::Decimal128>(texts, type, path, reading,
                                                                      pool);
      default:
        return Converted<arrow::TimestampBuilder, int64_t>(texts, type, path, reading, pool);
    }
  }
  auto data = array->data()->Copy();
  data->type = type;
  for (int i = 0; i < type->num_fields(); ++i) {
    const bool list = type->id() == arrow::Type::LIST;
    auto& child = data->child_data[static_cast<size_t>(i)];
    ARROW_ASSIGN_OR_RAISE(
        const auto converted,
        AsTimes(arrow::MakeArray(child), type->field(i)->type(),
                list ? path : path + "." + type->field(i)->name(), reading, pool));
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
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Schema>& schema,
    const TextReading& reading, arrow::MemoryPool* pool) {
  arrow::ArrayVector columns;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const auto& field = schema->field(i);
    ARROW_ASSIGN_OR_RAISE(auto column,
                          AsTimes(batch.column(i), field->type(), field->name(), reading, pool));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(columns));
}

}  // namespace bulkhaul::files
