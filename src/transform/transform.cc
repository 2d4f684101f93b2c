#include "transform/transform.h"

#include "plan/grouping.h"
#include "transform/cast.h"
#include "transform/contract.h"
#include "transform/drop.h"
#include "transform/group_by.h"
#include "transform/naming.h"
#include "transform/rename.h"
#include "transform/select.h"
#include "transform/shrink.h"

namespace bulkhaul {

namespace {

// Those that make other columns of a row, and none that need more than the row.
// `misfits`: takes the values that `cast` refuses; nullptr: they are errors.
std::vector<std::unique_ptr<Transform>> MakeColumnTransforms(
    const Dataset& dataset, const std::shared_ptr<CastMisfits>& misfits = nullptr) {
  const Options& options = dataset.options;
  std::vector<std::unique_ptr<Transform>> transforms;
  const StringList& columns = options.GetList("columns");
  // Most sources read no other columns in the first place.
  if (!columns.empty() && dataset.schema != nullptr && dataset.schema->field_names() != columns) {
    transforms.push_back(std::make_unique<SelectTransform>(columns));
  }
  if (!options.GetList("drop").empty()) {
    transforms.push_back(std::make_unique<DropTransform>(options.GetList("drop")));
  }
  std::vector<std::string> given_names;
  if (!options.GetPairs("rename").empty()) {
    for (const auto& pair : options.GetPairs("rename")) given_names.push_back(pair.second);
    transforms.push_back(std::make_unique<RenameTransform>(options.GetPairs("rename")));
  }
  if (options.GetString("column_naming") != "keep") {
    transforms.push_back(std::make_unique<NamingTransform>(options.GetString("column_naming"),
                                                           std::move(given_names)));
  }
  if (!options.GetPairs("cast").empty()) {
    transforms.push_back(std::make_unique<CastTransform>(
        options.GetPairs("cast"), options.GetString("type_mismatch") == "null", misfits));
  }
  return transforms;
}

}  // namespace

Result<std::shared_ptr<arrow::Schema>> SchemaForContract(const Dataset& dataset) {
  auto schema = dataset.schema;
  for (const auto& transform : MakeColumnTransforms(dataset)) {
    ARROW_ASSIGN_OR_RAISE(schema, transform->Bind(schema));
  }
  return schema;
}

Result<std::vector<std::unique_ptr<Transform>>> MakeTransforms(const Dataset& dataset) {
  const Options& options = dataset.options;
  std::shared_ptr<CastMisfits> misfits;
  if (dataset.judges_rows() && options.GetString("reject") == "quarantine") {
    misfits = std::make_shared<CastMisfits>();
  }
  auto transforms = MakeColumnTransforms(dataset, misfits);
  if (dataset.judges_rows()) {
    ARROW_ASSIGN_OR_RAISE(auto contract, ContractTransform::Make(dataset, misfits));
    transforms.push_back(std::move(contract));
  }
  ARROW_ASSIGN_OR_RAISE(auto grouping, GroupingOf(options));
  if (grouping) transforms.push_back(std::make_unique<GroupByTransform>(*std::move(grouping)));
  const double tolerance = options.GetDouble("shrink_float_tolerance");
  if (tolerance < 0 || tolerance >= 1) {
    return UserError("shrink_float_tolerance is a relative error: 0 or more, below 1");
  }
  if (options.GetBool("shrink")) {
    transforms.push_back(std::make_unique<ShrinkTransform>(tolerance));
  } else if (tolerance > 0) {
    return UserError("shrink_float_tolerance does nothing without shrink: true");
  }
  return transforms;
}

}  // namespace bulkhaul
