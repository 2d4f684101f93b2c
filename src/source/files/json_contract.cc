#include "source/files/json_contract.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/type_traits.h>
#include <nlohmann/json.hpp>

#include "source/files/json_times.h"
#include "wire/csv/csv_decoder.h"
#include "wire/csv/csv_inference.h"

namespace bulkhaul::files {

std::string JsonLayout::ToJson() const {
  return nlohmann::json{{"encoding", encoding}, {"contract", contract}, {"as_text", as_text}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

JsonLayout JsonLayout::From(std::string_view text) {
  using Names = std::set<std::string>;
  const auto value = nlohmann::json::parse(text, nullptr, false);
  if (!value.is_object()) return {std::string(text), {}, {}};  // of a job of an older version
  return {value.value("encoding", "utf-8"), value.value("contract", Names()),
          value.value("as_text", Names())};
}

JsonCasts JsonLayout::CastsOf(const Options& options) const {
  JsonCasts casts(options);
  for (const auto& column : as_text) casts.AddScalarsAsText(column);
  return casts;
}

bool HasUnknown(const arrow::DataType& type) {
  if (type.id() == arrow::Type::NA) return true;
  return std::any_of(type.fields().begin(), type.fields().end(),
                     [](const auto& field) { return HasUnknown(*field->type()); });
}

void JsonTrials::Add(const arrow::RecordBatch& batch, const DataFile& file,
                     const SiftedLines& lines, int64_t line, JsonValues* values) {
  for (int i = 0; i < batch.num_columns() && !given_.empty(); ++i) {
    if (batch.column(i)->type_id() != arrow::Type::STRING) continue;
    const auto [place, fresh] = trials_.try_emplace(batch.column_name(i));
    TypeTrial& trial = place->second;
    if (fresh) trial = TypeTrial(TypeFor(batch.column_name(i)));
    if (trial.type() == nullptr) continue;
    const auto& texts = static_cast<const arrow::StringArray&>(*batch.column(i));
    for (int64_t row = 0; row < texts.length(); ++row) {
      if (texts.IsNull(row)) continue;
      const bool first =
          trial.misfit().empty() && !csv::IsValueOf(*trial.type(), texts.GetView(row));
      const size_t offset = first ? values->OffsetOfRow(lines.text(), row) : 0;
      trial.Add(texts.GetView(row), file.path, line + lines.LinesBefore(offset));
    }
  }
}

std::shared_ptr<arrow::DataType> JsonTrials::TypeFor(const std::string& column) const {
  auto type = given_.Of(column);
  return type != nullptr && csv::IsCsvType(*type) ? type : nullptr;
}

bool JsonTrials::Holds(const std::string& column, const arrow::DataType& shown) const {
  const auto wanted = TypeFor(column);
  if (wanted == nullptr) return false;
  switch (shown.id()) {
    case arrow::Type::NA:
      return true;
    case arrow::Type::INT64:
      return arrow::is_integer(wanted->id()) || arrow::is_floating(wanted->id());
    case arrow::Type::DOUBLE:
      return arrow::is_floating(wanted->id());
    case arrow::Type::STRING: {
      const auto written = TimesAsText(*arrow::schema({arrow::field("", wanted)}));
      const auto trial = trials_.find(column);
      return written->field(0)->type()->id() == arrow::Type::STRING &&
             (trial == trials_.end() || trial->second.Holds(given_.Lenient(column)));
    }
    default:
      return shown.Equals(*wanted);
  }
}

std::string JsonTrials::MisfitOf(const std::string& column) const {
  const auto trial = trials_.find(column);
  return trial == trials_.end() ? "" : trial->second.misfit();
}

}  // namespace bulkhaul::files
