#include "source/opensearch/column_wishes.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"

namespace bulkhaul::opensearch {
namespace {

constexpr const char* kMetadataNames[] = {"_id", "_index", "_routing", "_seq_no"};
constexpr char kExtraName[] = "_extra";

}  // namespace

Status CheckMetadataNames(const Options& options) {
  const std::vector<std::string> known(std::begin(kMetadataNames), std::end(kMetadataNames));
  for (const auto& name : options.GetList("metadata_columns")) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const auto nearest = NearestName(name, known);
    return OptionError(fmt::format("metadata_columns: '{}' is none of {}{}", name,
                                   fmt::join(known, ", "),
                                   nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
  }
  return Status::OK();
}

search::LayoutOptions LayoutWishes(const Options& options, const search::MergedMapping& merged) {
  search::LayoutOptions wishes;
  wishes.include = options.GetList("fields");
  const auto& columns = options.GetList("columns");
  const auto& metadata = options.GetList("metadata_columns");
  const auto wants = [&](const char* name) {
    return std::find(metadata.begin(), metadata.end(), name) != metadata.end() ||
           std::find(columns.begin(), columns.end(), name) != columns.end();
  };
  wishes.id = wants("_id");
  wishes.index = wants("_index");
  wishes.routing = wants("_routing");
  wishes.seq_no = wants("_seq_no");
  wishes.extra = options.GetBool("extra");
  for (const auto& column : columns) {
    const bool metadata_name = std::find(std::begin(kMetadataNames), std::end(kMetadataNames),
                                         column) != std::end(kMetadataNames);
    if (column == kExtraName && merged.Find(column) == nullptr) {
      wishes.extra = true;
    } else if (!metadata_name) {
      wishes.include.push_back(column);
    }
  }
  wishes.exclude = options.GetList("exclude_fields");
  wishes.objects = options.GetString("objects") == "struct" ? search::ObjectForm::kStruct
                                                            : search::ObjectForm::kFlatten;
  const std::string& arrays = options.GetString("arrays");
  wishes.arrays = arrays == "list"    ? search::ArrayForm::kList
                  : arrays == "first" ? search::ArrayForm::kFirst
                  : arrays == "json"  ? search::ArrayForm::kJson
                                      : search::ArrayForm::kAuto;
  wishes.nested =
      options.GetString("nested") == "json" ? search::NestedForm::kJson : search::NestedForm::kList;
  wishes.floats = options.GetString("floats") == "mapped" ? search::FloatForm::kMapped
                                                          : search::FloatForm::kDouble;
  wishes.dates =
      options.GetString("dates") == "text" ? search::DateForm::kText : search::DateForm::kTimestamp;
  const std::string& unit = options.GetString("date_unit");
  wishes.date_unit = unit == "ms"   ? search::DateUnit::kMilli
                     : unit == "ns" ? search::DateUnit::kNano
                                    : search::DateUnit::kMicro;
  wishes.misfit = options.GetString("type_mismatch") == "null" ? search::OnMisfitValue::kNull
                                                               : search::OnMisfitValue::kError;
  wishes.excess_digits = options.GetString("date_digits") == "truncate"
                             ? search::OnExcessDigits::kTruncate
                             : search::OnExcessDigits::kError;
  wishes.conflicts = options.GetString("type_conflict") == "json" ? search::OnConflict::kJson
                                                                  : search::OnConflict::kError;
  return wishes;
}

}  // namespace bulkhaul::opensearch
