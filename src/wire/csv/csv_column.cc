#include "wire/csv/csv_column.h"

#include <cmath>
#include <vector>

#include <arrow/array/array_dict.h>
#include <arrow/array/array_nested.h>
#include <arrow/extension_type.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>
#include <fmt/format.h>

#include "wire/csv/csv_text.h"

namespace bulkhaul::csv {
namespace {

using arrow::internal::checked_cast;

// A column that reads its values off one array.
template <typename ArrayType>
class ArrayColumn : public Column {
 protected:
  using Column::Column;
  void BindValues(const arrow::Array& array) override {
    array_ = &checked_cast<const ArrayType&>(array);
  }
  const ArrayType& array() const { return *array_; }

 private:
  const ArrayType* array_ = nullptr;
};

// A column whose values `append(array, row, out)` writes.
template <typename ArrayType, typename Append>
class PlainColumn : public ArrayColumn<ArrayType> {
 public:
  PlainColumn(Append append, bool json_number)
      : ArrayColumn<ArrayType>(Column::Kind::kPlain),
        append_(std::move(append)),
        json_number_(json_number) {}
  void Text(int64_t row, CsvBuffer* out) const override { append_(this->array(), row, out); }
  void Json(int64_t row, CsvBuffer* out) const override {
    if (json_number_) {
      append_(this->array(), row, out);
    } else {
      Column::Json(row, out);
    }
  }

 private:
  const Append append_;
  const bool json_number_;
};

template <typename ArrayType, typename Append>
std::unique_ptr<Column> Plain(Append append, bool json_number = false) {
  return std::make_unique<PlainColumn<ArrayType, Append>>(std::move(append), json_number);
}

template <typename ArrayType>
std::unique_ptr<Column> Integers() {
  return Plain<ArrayType>(
      [](const ArrayType& array, int64_t row, CsvBuffer* out) {
        if constexpr (std::is_unsigned_v<typename ArrayType::value_type>) {
          AppendUnsigned(array.Value(row), out);
        } else {
          AppendInteger(array.Value(row), out);
        }
      },
      true);
}

// JSON has no NaN and no infinities: those become text there.
template <typename ArrayType, typename Get>
class FloatColumn : public ArrayColumn<ArrayType> {
 public:
  explicit FloatColumn(Get get)
      : ArrayColumn<ArrayType>(Column::Kind::kPlain), get_(std::move(get)) {}
  void Text(int64_t row, CsvBuffer* out) const override {
    const auto value = get_(this->array(), row);
    if constexpr (std::is_same_v<decltype(value), const double>) {
      AppendDouble(value, out);
    } else {
      AppendFloat(value, out);
    }
  }
  void Json(int64_t row, CsvBuffer* out) const override {
    if (std::isfinite(get_(this->array(), row))) {
      Text(row, out);
    } else {
      Column::Json(row, out);
    }
  }

 private:
  const Get get_;
};

template <typename ArrayType, typename Get>
std::unique_ptr<Column> Floats(Get get) {
  return std::make_unique<FloatColumn<ArrayType, Get>>(std::move(get));
}

template <typename ArrayType, typename Decimal>
std::unique_ptr<Column> Decimals(int scale) {
  return Plain<ArrayType>(
      [scale](const ArrayType& array, int64_t row, CsvBuffer* out) {
        const Decimal value(array.GetValue(row));
        if constexpr (Decimal::kByteWidth <= 8) {
          AppendSmallDecimal(static_cast<int64_t>(value.value()), scale, out);
        } else if constexpr (Decimal::kByteWidth == 16) {
          const auto low = static_cast<int64_t>(value.low_bits());
          if (value.high_bits() == (low < 0 ? -1 : 0)) return AppendSmallDecimal(low, scale, out);
          AppendDecimal(value.ToIntegerString(), scale, out);
        } else {
          AppendDecimal(value.ToIntegerString(), scale, out);
        }
      },
      true);
}

template <typename ArrayType>
class TextColumn : public ArrayColumn<ArrayType> {
 public:
  TextColumn() : ArrayColumn<ArrayType>(Column::Kind::kText) {}
  void Text(int64_t row, CsvBuffer* out) const override { out->Append(View(row)); }
  std::string_view View(int64_t row) const override {
    return std::string_view(this->array().GetView(row));
  }
};

template <typename ArrayType>
std::unique_ptr<Column> Binary() {
  return Plain<ArrayType>([](const ArrayType& array, int64_t row, CsvBuffer* out) {
    AppendHex(std::string_view(array.GetView(row)), out);
  });
}

class DictionaryColumn : public Column {
 public:
  explicit DictionaryColumn(std::unique_ptr<Column> values)
      : Column(values->kind()), values_(std::move(values)) {}
  void Text(int64_t row, CsvBuffer* out) const override {
    const int64_t index = array_->GetValueIndex(row);
    if (!values_->IsNull(index)) values_->Text(index, out);
  }
  void Json(int64_t row, CsvBuffer* out) const override {
    values_->Json(array_->GetValueIndex(row), out);
  }
  std::string_view View(int64_t row) const override {
    return values_->View(array_->GetValueIndex(row));
  }

 protected:
  void BindValues(const arrow::Array& array) override {
    array_ = &checked_cast<const arrow::DictionaryArray&>(array);
    values_->Bind(*array_->dictionary());
  }

 private:
  const std::unique_ptr<Column> values_;
  const arrow::DictionaryArray* array_ = nullptr;
};

// An extension type as its storage.
class StorageColumn : public Column {
 public:
  explicit StorageColumn(std::unique_ptr<Column> storage)
      : Column(storage->kind()), storage_(std::move(storage)) {}
  void Text(int64_t row, CsvBuffer* out) const override { storage_->Text(row, out); }
  void Json(int64_t row, CsvBuffer* out) const override { storage_->Json(row, out); }
  std::string_view View(int64_t row) const override { return storage_->View(row); }

 protected:
  void BindValues(const arrow::Array& array) override {
    array_ = checked_cast<const arrow::ExtensionArray&>(array).storage();
    storage_->Bind(*array_);
  }

 private:
  const std::unique_ptr<Column> storage_;
  std::shared_ptr<arrow::Array> array_;
};

void JsonOrNull(const Column& column, int64_t row, CsvBuffer* out) {
  if (column.IsNull(row)) {
    out->Append("null");
  } else {
    column.Json(row, out);
  }
}

class NestedColumn : public Column {
 public:
  NestedColumn() : Column(Kind::kNested) {}
  void Text(int64_t row, CsvBuffer* out) const override { Json(row, out); }
};

template <typename ArrayType>
class ListColumn : public NestedColumn {
 public:
  explicit ListColumn(std::unique_ptr<Column> values) : values_(std::move(values)) {}
  void Json(int64_t row, CsvBuffer* out) const override {
    out->Append('[');
    const int64_t begin = array_->value_offset(row);
    const int64_t end = begin + array_->value_length(row);
    for (int64_t i = begin; i < end; ++i) {
      if (i > begin) out->Append(',');
      JsonOrNull(*values_, i, out);
    }
    out->Append(']');
  }

 protected:
  void BindValues(const arrow::Array& array) override {
    array_ = &checked_cast<const ArrayType&>(array);
    values_->Bind(*array_->values());
  }

 private:
  const std::unique_ptr<Column> values_;
  const ArrayType* array_ = nullptr;
};

class StructColumn : public NestedColumn {
 public:
  StructColumn(std::vector<std::string> names, std::vector<std::unique_ptr<Column>> fields)
      : names_(std::move(names)), fields_(std::move(fields)) {}
  void Json(int64_t row, CsvBuffer* out) const override {
    out->Append('{');
    for (size_t i = 0; i < fields_.size(); ++i) {
      if (i > 0) out->Append(',');
      AppendJsonString(names_[i], out);
      out->Append(':');
      JsonOrNull(*fields_[i], row, out);
    }
    out->Append('}');
  }

 protected:
  void BindValues(const arrow::Array& array) override {
    const auto& typed = checked_cast<const arrow::StructArray&>(array);
    children_.clear();
    for (size_t i = 0; i < fields_.size(); ++i) {
      children_.push_back(typed.field(static_cast<int>(i)));  // sliced as the struct is
      fields_[i]->Bind(*children_.back());
    }
  }

 private:
  const std::vector<std::string> names_;
  const std::vector<std::unique_ptr<Column>> fields_;
  arrow::ArrayVector children_;
};

// A JSON object when the keys are text, else a list of pairs.
class MapColumn : public NestedColumn {
 public:
  MapColumn(std::unique_ptr<Column> keys, std::unique_ptr<Column> items)
      : keys_(std::move(keys)), items_(std::move(items)) {}
  void Json(int64_t row, CsvBuffer* out) const override {
    const bool object = keys_->kind() == Kind::kText;
    out->Append(object ? '{' : '[');
    const int64_t begin = array_->value_offset(row);
    const int64_t end = begin + array_->value_length(row);
    for (int64_t i = begin; i < end; ++i) {
      if (i > begin) out->Append(',');
      if (!object) out->Append('[');
      keys_->Json(i, out);
      out->Append(object ? ':' : ',');
      JsonOrNull(*items_, i, out);
      if (!object) out->Append(']');
    }
    out->Append(object ? '}' : ']');
  }

 protected:
  void BindValues(const arrow::Array& array) override {
    array_ = &checked_cast<const arrow::MapArray&>(array);
    keys_->Bind(*array_->keys());
    items_->Bind(*array_->items());
  }

 private:
  const std::unique_ptr<Column> keys_;
  const std::unique_ptr<Column> items_;
  const arrow::MapArray* array_ = nullptr;
};

template <typename ArrayType>
std::unique_ptr<Column> Times(arrow::TimeUnit::type unit) {
  return Plain<ArrayType>([unit](const ArrayType& array, int64_t row, CsvBuffer* out) {
    AppendTime(array.Value(row), unit, out);
  });
}

std::unique_ptr<Column> Truths() {
  return Plain<arrow::BooleanArray>(
      [](const arrow::BooleanArray& array, int64_t row, CsvBuffer* out) {
        out->Append(array.Value(row) ? "true" : "false");
      },
      true);
}

std::unique_ptr<Column> Uuids() {
  return Plain<arrow::ExtensionArray>(
      [](const arrow::ExtensionArray& array, int64_t row, CsvBuffer* out) {
        AppendUuid(checked_cast<const arrow::FixedSizeBinaryArray&>(*array.storage()).GetValue(row),
                   out);
      });
}

Result<std::unique_ptr<Column>> MakeStruct(const arrow::DataType& type) {
  std::vector<std::string> names;
  std::vector<std::unique_ptr<Column>> fields;
  for (const auto& field : type.fields()) {
    names.push_back(field->name());
    ARROW_ASSIGN_OR_RAISE(auto column, MakeColumn(*field->type()));
    fields.push_back(std::move(column));
  }
  return std::make_unique<StructColumn>(std::move(names), std::move(fields));
}

// Dates, times and intervals; nullptr for other types.
std::unique_ptr<Column> MakeTemporal(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::DATE32:
      return Plain<arrow::Date32Array>([](const arrow::Date32Array& array, int64_t row,
                                          CsvBuffer* out) { AppendDate(array.Value(row), out); });
    case arrow::Type::TIME32:
      return Times<arrow::Time32Array>(checked_cast<const arrow::Time32Type&>(type).unit());
    case arrow::Type::TIME64:
      return Times<arrow::Time64Array>(checked_cast<const arrow::Time64Type&>(type).unit());
    case arrow::Type::TIMESTAMP: {
      const auto& timestamp = checked_cast<const arrow::TimestampType&>(type);
      return Plain<arrow::TimestampArray>(
          [unit = timestamp.unit(), utc = !timestamp.timezone().empty()](
              const arrow::TimestampArray& array, int64_t row, CsvBuffer* out) {
            AppendTimestamp(array.Value(row), unit, utc, out);
          });
    }
    case arrow::Type::DURATION:
      return Plain<arrow::DurationArray>(
          [unit = checked_cast<const arrow::DurationType&>(type).unit()](
              const arrow::DurationArray& array, int64_t row, CsvBuffer* out) {
            AppendDuration(array.Value(row), unit, out);
          });
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return Plain<arrow::MonthDayNanoIntervalArray>(
          [](const arrow::MonthDayNanoIntervalArray& array, int64_t row, CsvBuffer* out) {
            const auto value = array.GetValue(row);
            AppendInterval(value.months, value.days, value.nanoseconds, out);
          });
    default:
      return nullptr;
  }
}

// Numbers and truth values; nullptr for other types.
std::unique_ptr<Column> MakeNumber(const arrow::DataType& type) {
  const auto scale = [&] { return checked_cast<const arrow::DecimalType&>(type).scale(); };
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Truths();
    case arrow::Type::INT8:
      return Integers<arrow::Int8Array>();
    case arrow::Type::INT16:
      return Integers<arrow::Int16Array>();
    case arrow::Type::INT32:
      return Integers<arrow::Int32Array>();
    case arrow::Type::INT64:
      return Integers<arrow::Int64Array>();
    case arrow::Type::UINT8:
      return Integers<arrow::UInt8Array>();
    case arrow::Type::UINT16:
      return Integers<arrow::UInt16Array>();
    case arrow::Type::UINT32:
      return Integers<arrow::UInt32Array>();
    case arrow::Type::UINT64:
      return Integers<arrow::UInt64Array>();
    case arrow::Type::HALF_FLOAT:
      return Floats<arrow::HalfFloatArray>([](const arrow::HalfFloatArray& array, int64_t row) {
        return arrow::util::Float16::FromBits(array.Value(row)).ToFloat();
      });
    case arrow::Type::FLOAT:
      return Floats<arrow::FloatArray>(
          [](const arrow::FloatArray& array, int64_t row) { return array.Value(row); });
    case arrow::Type::DOUBLE:
      return Floats<arrow::DoubleArray>(
          [](const arrow::DoubleArray& array, int64_t row) { return array.Value(row); });
    case arrow::Type::DECIMAL32:
      return Decimals<arrow::Decimal32Array, arrow::Decimal32>(scale());
    case arrow::Type::DECIMAL64:
      return Decimals<arrow::Decimal64Array, arrow::Decimal64>(scale());
    case arrow::Type::DECIMAL128:
      return Decimals<arrow::Decimal128Array, arrow::Decimal128>(scale());
    case arrow::Type::DECIMAL256:
      return Decimals<arrow::Decimal256Array, arrow::Decimal256>(scale());
    default:
      return nullptr;
  }
}

// Text, binary; nullptr for other types.
std::unique_ptr<Column> MakeBytes(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::STRING:
      return std::make_unique<TextColumn<arrow::StringArray>>();
    case arrow::Type::LARGE_STRING:
      return std::make_unique<TextColumn<arrow::LargeStringArray>>();
    case arrow::Type::STRING_VIEW:
      return std::make_unique<TextColumn<arrow::StringViewArray>>();
    case arrow::Type::BINARY:
      return Binary<arrow::BinaryArray>();
    case arrow::Type::LARGE_BINARY:
      return Binary<arrow::LargeBinaryArray>();
    case arrow::Type::FIXED_SIZE_BINARY:
      return Binary<arrow::FixedSizeBinaryArray>();
    default:
      return nullptr;
  }
}

// The null array has no values to cast to another array type.
class NullColumn : public Column {
 public:
  NullColumn() : Column(Kind::kPlain) {}
  void Text(int64_t, CsvBuffer*) const override {}

 protected:
  void BindValues(const arrow::Array&) override {}
};

}  // namespace

void Column::Json(int64_t row, CsvBuffer* out) const {
  if (kind_ == Kind::kText) return AppendJsonString(View(row), out);
  CsvBuffer text;
  Text(row, &text);
  AppendJsonString(text.view(), out);
}

Result<std::unique_ptr<Column>> MakeColumn(const arrow::DataType& type) {
  if (type.id() == arrow::Type::NA) return std::make_unique<NullColumn>();
  if (auto column = MakeNumber(type)) return column;
  if (auto column = MakeTemporal(type)) return column;
  if (auto column = MakeBytes(type)) return column;
  switch (type.id()) {
    case arrow::Type::DICTIONARY: {
      ARROW_ASSIGN_OR_RAISE(
          auto values, MakeColumn(*checked_cast<const arrow::DictionaryType&>(type).value_type()));
      return std::make_unique<DictionaryColumn>(std::move(values));
    }
    case arrow::Type::EXTENSION: {
      const auto& extension = checked_cast<const arrow::ExtensionType&>(type);
      if (extension.extension_name() == "arrow.uuid") return Uuids();
      ARROW_ASSIGN_OR_RAISE(auto storage, MakeColumn(*extension.storage_type()));
      return std::make_unique<StorageColumn>(std::move(storage));
    }
    case arrow::Type::STRUCT:
      return MakeStruct(type);
    case arrow::Type::MAP: {
      const auto& map = checked_cast<const arrow::MapType&>(type);
      ARROW_ASSIGN_OR_RAISE(auto keys, MakeColumn(*map.key_type()));
      ARROW_ASSIGN_OR_RAISE(auto items, MakeColumn(*map.item_type()));
      return std::make_unique<MapColumn>(std::move(keys), std::move(items));
    }
    case arrow::Type::LIST: {
      ARROW_ASSIGN_OR_RAISE(auto values, MakeColumn(*type.field(0)->type()));
      return std::make_unique<ListColumn<arrow::ListArray>>(std::move(values));
    }
    case arrow::Type::LARGE_LIST: {
      ARROW_ASSIGN_OR_RAISE(auto values, MakeColumn(*type.field(0)->type()));
      return std::make_unique<ListColumn<arrow::LargeListArray>>(std::move(values));
    }
    case arrow::Type::FIXED_SIZE_LIST: {
      ARROW_ASSIGN_OR_RAISE(auto values, MakeColumn(*type.field(0)->type()));
      return std::make_unique<ListColumn<arrow::FixedSizeListArray>>(std::move(values));
    }
    default:
      return UserError(fmt::format("type {} has no text form", type.ToString()));
  }
}

}  // namespace bulkhaul::csv
