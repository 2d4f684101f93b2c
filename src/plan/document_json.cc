#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plan/document.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

// Gives the place of each value in a text that a JSON parser has accepted: so it only needs to find
// where tokens begin and end.
class JsonReader {
 public:
  JsonReader(std::string_view text, std::string_view file_name)
      : text_(text), file_name_(file_name) {}

  Result<DocumentNode> Value(int depth) {
    SkipSpace();
    DocumentNode out;
    out.mark = Mark();
    if (depth > kDocumentDepthMax) return ErrorAt(file_name_, out.mark, "nested too deeply");
    switch (Peek()) {
      case '{':
        return Object(depth, std::move(out));
      case '[':
        return Array(depth, std::move(out));
      case '"':
        out.kind = DocumentNode::Kind::kScalar;
        out.scalar = DocumentNode::Scalar::kText;
        out.text = Text();
        return out;
      default:
        break;
    }
    const size_t begin = at_;
    while (at_ < text_.size() &&
           std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) {
      Advance();
    }
    out.text = text_.substr(begin, at_ - begin);
    if (out.text == "null") return out;
    out.kind = DocumentNode::Kind::kScalar;
    out.scalar = out.text == "true" || out.text == "false" ? DocumentNode::Scalar::kBool
                                                           : DocumentNode::Scalar::kNumber;
    return out;
  }

 private:
  Result<DocumentNode> Object(int depth, DocumentNode out) {
    out.kind = DocumentNode::Kind::kMap;
    Advance();
    for (SkipSpace(); Peek() != '}'; SkipSpace()) {
      if (Peek() == ',') Advance();
      SkipSpace();
      DocumentNode::Member member;
      member.mark = Mark();
      member.key = Text();
      SkipSpace();
      Advance();  // the colon
      ARROW_ASSIGN_OR_RAISE(member.value, Value(depth + 1));
      out.members.push_back(std::move(member));
    }
    Advance();
    return out;
  }

  Result<DocumentNode> Array(int depth, DocumentNode out) {
    out.kind = DocumentNode::Kind::kList;
    Advance();
    for (SkipSpace(); Peek() != ']'; SkipSpace()) {
      if (Peek() == ',') Advance();
      ARROW_ASSIGN_OR_RAISE(auto value, Value(depth + 1));
      out.items.push_back(std::move(value));
    }
    Advance();
    return out;
  }

  std::string Text() {
    const size_t begin = at_;
    Advance();
    while (Peek() != '"') {
      if (Peek() == '\\') Advance();
      Advance();
    }
    Advance();
    return json::parse(text_.substr(begin, at_ - begin)).get<std::string>();
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '"'; }
  void SkipSpace() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
      Advance();
    }
  }
  void Advance() {
    if (at_ >= text_.size()) return;
    if (text_[at_] == '\n') {
      ++line_;
      line_begin_ = at_ + 1;
    }
    ++at_;
  }
  DocumentMark Mark() const { return {line_, static_cast<int>(at_ - line_begin_) + 1}; }

  const std::string_view text_;
  const std::string_view file_name_;
  size_t at_ = 0;
  size_t line_begin_ = 0;
  int line_ = 1;
};

DocumentMark MarkOfByte(std::string_view text, size_t byte) {
  DocumentMark mark;
  for (size_t i = 0; i < std::min(byte, text.size()); ++i) {
    ++mark.column;
    if (text[i] == '\n') mark = {mark.line + 1, 1};
  }
  return mark;
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error …" → the last
// part.
std::string ShortReason(const std::string& what) {
  const auto at = what.find(": ");
  return "not valid JSON: " + (at == std::string::npos ? what : what.substr(at + 2));
}

}  // namespace

Result<DocumentNode> ParseJsonDocument(std::string_view text, std::string_view file_name) {
  try {
    // Duplicate keys are found later, from the positions.
    const json checked = json::parse(text);
  } catch (const json::parse_error& error) {
    return ErrorAt(file_name, MarkOfByte(text, error.byte == 0 ? 0 : error.byte - 1),
                   ShortReason(error.what()));
  } catch (const json::exception& error) {
    return ErrorAt(file_name, {}, ShortReason(error.what()));
  }
  return JsonReader(text, file_name).Value(0);
}

}  // namespace bulkhaul
