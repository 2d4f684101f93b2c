#include "run/transforms.h"

#include <nlohmann/json.hpp>

#include "plan/drift.h"

namespace bulkhaul {

Status TransformChain::Bind(const std::shared_ptr<arrow::Schema>& schema) {
  schema_ = schema;
  for (auto& transform : transforms_) {
    ARROW_ASSIGN_OR_RAISE(schema_, transform->Bind(schema_));
  }
  return Status::OK();
}

Result<TransformChain> TransformChain::ForReading(const Dataset& dataset,
                                                  const TransformResources& resources) {
  TransformChain chain;
  ARROW_ASSIGN_OR_RAISE(chain.transforms_, MakeTransforms(dataset));
  for (auto& transform : chain.transforms_) transform->Use(resources);
  ARROW_RETURN_NOT_OK(chain.Bind(WithoutFindings(dataset.schema)));
  return chain;
}

Result<TransformChain> TransformChain::ForAssembling(const Dataset& dataset,
                                                     const std::string& decision,
                                                     const std::shared_ptr<arrow::Schema>& schema,
                                                     const TransformResources& resources) {
  // Bound as in the read stage first: a transform may need to know what its rows were made from.
  ARROW_ASSIGN_OR_RAISE(TransformChain chain, ForReading(dataset, resources));
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
                                           const std::vector<StagedResult>& units) {
  ARROW_ASSIGN_OR_RAISE(TransformChain chain, ForReading(dataset));
  auto decisions = nlohmann::json::object();
  for (auto& transform : chain.transforms_) {
    if (transform->scope() != Transform::Scope::kJob) continue;
    std::vector<std::string> states;
    for (const auto& unit : units) {
      const auto state = unit.transform_states.find(transform->name());
      if (state != unit.transform_states.end()) states.push_back(state->second);
    }
    ARROW_ASSIGN_OR_RAISE(decisions[transform->name()], transform->Merge(states));
  }
  return decisions.dump();
}

Status TransformChain::Conclude(const Dataset& dataset, const TransformResources& resources,
                                const std::vector<StagedResult>& units) {
  ARROW_ASSIGN_OR_RAISE(TransformChain chain, ForReading(dataset, resources));
  for (auto& transform : chain.transforms_) ARROW_RETURN_NOT_OK(transform->Conclude(units));
  return Status::OK();
}

Result<TransformChain::Outlook> TransformChain::Foresee(const Dataset& dataset) {
  ARROW_ASSIGN_OR_RAISE(const TransformChain chain, ForReading(dataset));
  Outlook outlook;
  outlook.planned_schema = chain.schema_;
  for (const auto& transform : chain.transforms_) {
    outlook.holds_rows = outlook.holds_rows || transform->holds_rows();
    const bool known = dataset.estimated_rows >= 0 || !transform->holds_rows();
    const int64_t held = known ? transform->HeldBytes(dataset.estimated_rows) : -1;
    outlook.held_bytes = outlook.held_bytes < 0 || held < 0 ? -1 : outlook.held_bytes + held;
    if (transform->scope() != Transform::Scope::kJob) continue;
    outlook.intermediate = true;
    outlook.one_assembly = outlook.one_assembly || transform->one_assembly();
    if (auto schema = transform->PlannedSchema()) outlook.planned_schema = std::move(schema);
  }
  return outlook;
}

void HeldRows::Add(const Dataset& dataset) {
  const auto outlook = TransformChain::Foresee(dataset);
  if (!outlook.ok() || !outlook->holds_rows) return;
  any_ = true;
  bytes_ = bytes_ < 0 || outlook->held_bytes < 0 ? -1 : bytes_ + outlook->held_bytes;
}

void HeldRows::Wish(MemoryWishes* wishes) const {
  if (!any_) return;
  wishes->transform_bytes_min = kTransformBytesMin;
  wishes->transform_bytes_max = kTransformBytesMax;
  wishes->transform_need_bytes = bytes_;
}

void TransformChain::Locate(const RowLocator& locator) {
  for (auto& transform : transforms_) transform->Locate(locator);
}

int64_t TransformChain::RowBefore(size_t transform, int64_t row) const {
  while (transform > 0 && row >= 0) row = transforms_[--transform]->RowBefore(row);
  return row;
}

int64_t TransformChain::RowBefore(int64_t row) const { return RowBefore(transforms_.size(), row); }

int64_t TransformChain::row_at_fault() const {
  for (size_t i = 0; i < transforms_.size(); ++i) {
    const int64_t row = transforms_[i]->row_at_fault();
    if (row >= 0) return RowBefore(i, row);
  }
  return -1;
}

std::map<std::string, int64_t> TransformChain::counters() const {
  std::map<std::string, int64_t> sums;
  for (const auto& transform : transforms_) {
    for (const auto& [name, count] : transform->counters()) sums[name] += count;
  }
  return sums;
}

int64_t TransformChain::rows_rejected() const {
  int64_t rows = 0;
  for (const auto& transform : transforms_) rows += transform->rows_rejected();
  return rows;
}

Status TransformChain::Refused(std::span<const RefusedRow> rows, arrow::MemoryPool* pool) {
  for (auto& transform : transforms_) {
    ARROW_ASSIGN_OR_RAISE(const bool taken, transform->Refused(rows, pool));
    if (taken) return Status::OK();
  }
  return BugError("the source set rows aside that nobody takes");
}

Status TransformChain::Pass(size_t first, std::shared_ptr<arrow::RecordBatch> batch,
                            arrow::MemoryPool* pool, const Taker& take) {
  if (batch == nullptr || batch->num_rows() == 0) return Status::OK();
  if (first == transforms_.size()) return take(std::move(batch));
  Transform& transform = *transforms_[first];
  ARROW_ASSIGN_OR_RAISE(batch, transform.Apply(batch, pool));
  do {
    ARROW_RETURN_NOT_OK(Pass(first + 1, std::move(batch), pool, take));
    ARROW_ASSIGN_OR_RAISE(batch, transform.Next(pool));
  } while (batch != nullptr);
  return Status::OK();
}

Status TransformChain::Apply(std::shared_ptr<arrow::RecordBatch> batch, arrow::MemoryPool* pool,
                             const Taker& take) {
  return Pass(0, std::move(batch), pool, take);
}

Status TransformChain::End(arrow::MemoryPool* pool, const Taker& take) {
  for (size_t i = 0; i < transforms_.size(); ++i) {
    ARROW_RETURN_NOT_OK(transforms_[i]->End(pool));
    for (;;) {
      ARROW_ASSIGN_OR_RAISE(auto batch, transforms_[i]->Next(pool));
      if (batch == nullptr) break;
      ARROW_RETURN_NOT_OK(Pass(i + 1, std::move(batch), pool, take));
    }
  }
  return Status::OK();
}

int64_t TransformChain::rows_merged() const {
  int64_t rows = 0;
  for (const auto& transform : transforms_) rows += transform->rows_merged();
  return rows;
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
