#include "run/transforms.h"

#include <nlohmann/json.hpp>

namespace bulkhaul {

Status TransformChain::Bind(const std::shared_ptr<arrow::Schema>& schema) {
  schema_ = schema;
  for (auto& transform : transforms_) {
    ARROW_ASSIGN_OR_RAISE(schema_, transform->Bind(schema_));
  }
  return Status::OK();
}

Result<TransformChain> TransformChain::ForReading(const Dataset& dataset) {
  TransformChain chain;
  ARROW_ASSIGN_OR_RAISE(chain.transforms_, MakeTransforms(dataset));
  ARROW_RETURN_NOT_OK(chain.Bind(dataset.schema));
  return chain;
}

Result<TransformChain> TransformChain::ForAssembling(const Dataset& dataset,
                                                     const std::string& decision,
                                                     const std::shared_ptr<arrow::Schema>& schema) {
  TransformChain chain;
  ARROW_ASSIGN_OR_RAISE(chain.transforms_, MakeTransforms(dataset));
  std::erase_if(chain.transforms_, [](const std::unique_ptr<Transform>& transform) {
    return transform->scope() != Transform::Scope::kJob;
  });
  const auto decisions = nlohmann::json::parse(decision, nullptr, false);
  for (auto& transform : chain.transforms_) {
    if (!decisions.is_object() || !decisions.contains(transform->name())) {
      return BugError("there is no decision for transform " + transform->name());
    }
    ARROW_RETURN_NOT_OK(transform->Decide(decisions[transform->name()].get<std::string>()));
  }
  ARROW_RETURN_NOT_OK(chain.Bind(schema));
  return chain;
}

Result<std::string> TransformChain::Decide(const Dataset& dataset,
                                           const std::shared_ptr<arrow::Schema>& schema,
                                           const std::vector<StagedResult>& units) {
  ARROW_ASSIGN_OR_RAISE(auto transforms, MakeTransforms(dataset));
  auto decisions = nlohmann::json::object();
  for (auto& transform : transforms) {
    if (transform->scope() != Transform::Scope::kJob) continue;
    ARROW_RETURN_NOT_OK(transform->Bind(schema).status());
    std::vector<std::string> states;
    for (const auto& unit : units) {
      const auto state = unit.transform_states.find(transform->name());
      if (state != unit.transform_states.end()) states.push_back(state->second);
    }
    ARROW_ASSIGN_OR_RAISE(decisions[transform->name()], transform->Merge(states));
  }
  return decisions.dump();
}

Result<bool> TransformChain::NeedsAssembly(const Dataset& dataset) {
  ARROW_ASSIGN_OR_RAISE(const auto transforms, MakeTransforms(dataset));
  for (const auto& transform : transforms) {
    if (transform->scope() == Transform::Scope::kJob) return true;
  }
  return false;
}

Result<std::shared_ptr<arrow::RecordBatch>> TransformChain::Apply(
    std::shared_ptr<arrow::RecordBatch> batch, arrow::MemoryPool* pool) {
  for (auto& transform : transforms_) {
    ARROW_ASSIGN_OR_RAISE(batch, transform->Apply(batch, pool));
  }
  return batch;
}

Result<std::map<std::string, std::string>> TransformChain::FinishUnit() {
  std::map<std::string, std::string> states;
  for (auto& transform : transforms_) {
    ARROW_ASSIGN_OR_RAISE(auto state, transform->FinishUnit());
    if (!state.empty()) states[transform->name()] = std::move(state);
  }
  return states;
}

std::vector<std::string> TransformChain::Explain() const {
  std::vector<std::string> lines;
  for (const auto& transform : transforms_) {
    auto own = transform->Explain();
    lines.insert(lines.end(), own.begin(), own.end());
  }
  return lines;
}

}  // namespace bulkhaul
