#include <algorithm>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "plan/document.h"

namespace bulkhaul {
namespace {

DocumentMark ToMark(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {mark.line + 1, mark.column + 1};
}

class YamlReader {
 public:
  YamlReader(std::string_view text, std::string_view file_name)
      : text_(text), file_name_(file_name) {}

  Result<DocumentNode> Convert(const YAML::Node& node, int depth) {
    DocumentNode out;
    out.mark = ToMark(node.Mark());
    if (++values_ > kDocumentValuesMax) {
      return ErrorAt(file_name_, out.mark,
                     fmt::format("more than {} values, aliases included", kDocumentValuesMax));
    }
    if (depth > kDocumentDepthMax) return ErrorAt(file_name_, out.mark, "nested too deeply");
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        out.text = NullWord(node.Mark());
        break;
      case YAML::NodeType::Scalar:
        return Scalar(node, std::move(out));
      case YAML::NodeType::Sequence:
        return Sequence(node, depth, std::move(out));
      case YAML::NodeType::Map:
        return Map(node, depth, std::move(out));
    }
    return out;
  }

 private:
  // The parser drops how a null was written, but "infinity: null" means the word.
  std::string NullWord(const YAML::Mark& mark) const {
    if (mark.is_null() || mark.pos < 0) return {};
    for (const std::string_view word : {"null", "Null", "NULL", "~"}) {
      if (text_.substr(std::min<size_t>(mark.pos, text_.size())).starts_with(word)) {
        return std::string(word);
      }
    }
    return {};
  }

  Result<DocumentNode> Scalar(const YAML::Node& node, DocumentNode out) {
    out.kind = DocumentNode::Kind::kScalar;
    out.text = node.Scalar();
    // Source: yaml-cpp gives quoted scalars the non-specific tag "!" and plain ones "?".
    const auto& tag = node.Tag();
    if (tag == "!") {
      out.scalar = DocumentNode::Scalar::kText;
    } else if (tag != "?" && !tag.empty()) {
      return ErrorAt(file_name_, out.mark, fmt::format("the tag '{}' is not known here", tag));
    }
    return out;
  }

  Result<DocumentNode> Sequence(const YAML::Node& node, int depth, DocumentNode out) {
    out.kind = DocumentNode::Kind::kList;
    for (const auto& item : node) {
      ARROW_ASSIGN_OR_RAISE(auto value, Convert(item, depth + 1));
      out.items.push_back(std::move(value));
    }
    return out;
  }

  Result<DocumentNode> Map(const YAML::Node& node, int depth, DocumentNode out) {
    out.kind = DocumentNode::Kind::kMap;
    for (const auto& entry : node) {
      DocumentNode::Member member;
      member.mark = ToMark(entry.first.Mark());
      if (!entry.first.IsScalar()) return ErrorAt(file_name_, member.mark, "a key must be text");
      member.key = entry.first.Scalar();
      ARROW_ASSIGN_OR_RAISE(member.value, Convert(entry.second, depth + 1));
      out.members.push_back(std::move(member));
    }
    return out;
  }

  const std::string_view text_;
  const std::string_view file_name_;
  int64_t values_ = 0;
};

// Where documents begin.
class DocumentCounter : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { last_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
  const YAML::Mark& last() const { return last_; }

 private:
  YAML::Mark last_;
};

// The begin of a second document. Not by YAML::LoadAll: yaml-cpp 0.7 takes nothing from ",~" and
// calls it one document after the other until the memory is gone.
std::optional<DocumentMark> SecondDocument(std::string_view text) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  DocumentCounter counter;
  if (!parser.HandleNextDocument(counter) || !parser.HandleNextDocument(counter)) return {};
  return ToMark(counter.last());
}

// What yaml-cpp calls "illegal map value" and the like.
bool IndentedByTab(std::string_view text, int line) {
  for (; line > 0 && !text.empty(); --line) {
    text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  }
  return text.substr(0, text.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
}

}  // namespace

Result<DocumentNode> ParseYamlDocument(std::string_view text, std::string_view file_name) {
  try {
    if (const auto mark = SecondDocument(text)) {
      return ErrorAt(file_name, *mark,
                     "a job file holds one document, and here another one begins");
    }
    return YamlReader(text, file_name).Convert(YAML::Load(std::string(text)), 0);
  } catch (const YAML::Exception& error) {
    if (!error.mark.is_null() && IndentedByTab(text, error.mark.line)) {
      return ErrorAt(file_name, ToMark(error.mark),
                     "a tab indents this line, and YAML takes blanks only");
    }
    return ErrorAt(file_name, ToMark(error.mark), error.msg);
  }
}

}  // namespace bulkhaul
