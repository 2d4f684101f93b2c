#include "wire/json/field_tree.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace bulkhaul::search {

namespace {

// Keys beyond are looked up each time they come: documents may have any number of unmapped ones.
constexpr size_t kLearnedMax = 4096;
// How far a key may be from the expected one, before it is searched for.
constexpr uint32_t kGuesses = 3;

}  // namespace

FieldNode* FieldNode::Make(std::string_view below) {
  const size_t dot = below.find('.');
  const std::string name(below.substr(0, dot));
  auto& child = children_[name];
  if (child == nullptr) {
    child = std::make_unique<FieldNode>(path.empty() ? name : path + "." + name);
  }
  return dot == below.npos ? child.get() : child->Make(below.substr(dot + 1));
}

void FieldNode::SetNestedBelow() {
  for (const auto& [name, child] : children_) {
    child->nested_in = is_nested_list ? this : nested_in;
    child->SetNestedBelow();
  }
}

bool FieldNode::MarkSkipped(bool extra) {
  bool wanted = column >= 0;
  for (const auto& [name, child] : children_) wanted = child->MarkSkipped(extra) || wanted;
  skipped = !wanted && (left_out || !extra);
  return wanted;
}

FieldNode* FieldNode::Resolve(std::string_view key) {
  if (const auto child = children_.find(key); child != children_.end()) return child->second.get();
  for (size_t dot = key.find('.'); dot != key.npos; dot = key.find('.', dot + 1)) {
    const auto child = children_.find(key.substr(0, dot));
    if (child == children_.end()) continue;
    if (FieldNode* found = child->second->Resolve(key.substr(dot + 1))) return found;
  }
  return nullptr;
}

bool FieldNode::Find(std::string_view raw_key, FieldNode** node) {
  const uint32_t last = std::min<uint32_t>(expected_ + kGuesses, learned_.size());
  for (uint32_t place = expected_; place < last; ++place) {
    if (learned_[place].raw_key() != raw_key) continue;
    expected_ = place + 1;
    *node = learned_[place].node;
    return true;
  }
  if (const auto known = places_.find(raw_key); known != places_.end()) {
    expected_ = known->second + 1;
    *node = learned_[known->second].node;
    return true;
  }
  if (raw_key.find('\\') == raw_key.npos) {
    *node = Resolve(raw_key);
  } else {
    const auto parsed = nlohmann::json::parse("\"" + std::string(raw_key) + "\"", nullptr, false);
    if (!parsed.is_string()) return false;
    *node = Resolve(parsed.get_ref<const std::string&>());
  }
  if (learned_.size() < kLearnedMax) {
    places_.emplace(raw_key, static_cast<uint32_t>(learned_.size()));
    learned_.push_back({"\"" + std::string(raw_key) + "\":", *node});
    expected_ = learned_count_ = static_cast<uint32_t>(learned_.size());
  }
  return true;
}

namespace {

void AddNestedColumn(const ColumnSpec& nested, FieldNode* node) {
  node->is_nested_list = true;
  for (size_t index = 0; index < nested.children.size(); ++index) {
    FieldNode* child = node->Make(nested.children[index].path);
    child->column = static_cast<int>(index);
    if (nested.children[index].kind == ColumnKind::kNested) {
      AddNestedColumn(nested.children[index], child);
    }
  }
}

}  // namespace

std::unique_ptr<FieldNode> MakeFieldTree(const PageLayout& layout, bool from_fields) {
  auto root = std::make_unique<FieldNode>("");
  bool extra = false;
  for (size_t index = 0; index < layout.columns.size(); ++index) {
    const ColumnSpec& column = layout.columns[index];
    extra = extra || column.kind == ColumnKind::kExtra;
    if (column.kind >= ColumnKind::kId) continue;
    FieldNode* node = root->Make(column.path);
    // A column that is read elsewhere is left out here.
    if (column.from_fields == from_fields) {
      node->column = static_cast<int>(index);
      if (column.kind == ColumnKind::kNested) AddNestedColumn(column, node);
    } else {
      node->left_out = true;
    }
  }
  for (const std::string& path : layout.left_out) root->Make(path)->left_out = true;
  root->SetNestedBelow();
  root->MarkSkipped(extra);
  root->skipped = false;
  return root;
}

}  // namespace bulkhaul::search
