#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "plan/document.h"

// toml++ 3.3 asserts what a file may break ("[=]", found by fuzz/job_file_fuzz), and takes it for
// granted when NDEBUG is set. Here a broken assertion is an error like any other.
namespace {
struct TomlAssertion {};
[[noreturn]] void FailTomlAssertion() { throw TomlAssertion(); }
}  // namespace
#undef NDEBUG
#define TOML_ASSERT(expression) ((expression) ? static_cast<void>(0) : FailTomlAssertion())
#include <toml++/toml.h>

namespace bulkhaul {
namespace {

DocumentMark ToMark(const toml::source_region& region) {
  return {std::max(1, static_cast<int>(region.begin.line)),
          std::max(1, static_cast<int>(region.begin.column))};
}

Result<DocumentNode> Convert(const toml::node& node, std::string_view file_name) {
  DocumentNode out;
  out.mark = ToMark(node.source());
  if (const auto* table = node.as_table()) {
    out.kind = DocumentNode::Kind::kMap;
    for (const auto& [key, value] : *table) {
      DocumentNode::Member member;
      member.key = std::string(key.str());
      member.mark = ToMark(key.source());
      ARROW_ASSIGN_OR_RAISE(member.value, Convert(value, file_name));
      out.members.push_back(std::move(member));
    }
    // The table is sorted by key; the order of the file matters to lists of renames.
    std::stable_sort(out.members.begin(), out.members.end(), [](const auto& a, const auto& b) {
      return std::pair(a.mark.line, a.mark.column) < std::pair(b.mark.line, b.mark.column);
    });
    return out;
  }
  if (const auto* array = node.as_array()) {
    out.kind = DocumentNode::Kind::kList;
    for (const auto& item : *array) {
      ARROW_ASSIGN_OR_RAISE(auto value, Convert(item, file_name));
      out.items.push_back(std::move(value));
    }
    return out;
  }
  out.kind = DocumentNode::Kind::kScalar;
  if (const auto* text = node.as_string()) {
    out.scalar = DocumentNode::Scalar::kText;
    out.text = text->get();
  } else if (const auto* boolean = node.as_boolean()) {
    out.scalar = DocumentNode::Scalar::kBool;
    out.text = boolean->get() ? "true" : "false";
  } else if (const auto* integer = node.as_integer()) {
    out.scalar = DocumentNode::Scalar::kNumber;
    out.text = std::to_string(integer->get());
  } else if (const auto* real = node.as_floating_point()) {
    out.scalar = DocumentNode::Scalar::kNumber;
    out.text = fmt::format("{}", real->get());
  } else {
    return ErrorAt(file_name, out.mark, "dates and times must be written as text, in quotes");
  }
  return out;
}

}  // namespace

Result<DocumentNode> ParseTomlDocument(std::string_view text, std::string_view file_name) {
  try {
    const toml::table table = toml::parse(text);
    return Convert(table, file_name);
  } catch (const toml::parse_error& error) {
    return ErrorAt(file_name, ToMark(error.source()), std::string(error.description()));
  } catch (const TomlAssertion&) {
    return ErrorAt(file_name, {},
                   "not valid TOML: a table's name begins with a character that no name has");
  }
}

}  // namespace bulkhaul
