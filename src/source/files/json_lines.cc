#include "source/files/json_lines.h"

#include <algorithm>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/json/options.h>
#include <arrow/json/reader.h>

#include "base/text.h"

namespace bulkhaul::files {
namespace {

// Whether no object of the text, which is JSON, goes on in the next line: within an object no '{'
// follows a '}' directly, and within a string there is no line end.
bool EndsWithLines(std::string_view text) {
  constexpr const char* kBlank = " \t\r";
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto first = line.find_first_not_of(kBlank);
    if (first == std::string_view::npos) continue;
    if (line[first] != '{' || line[line.find_last_not_of(kBlank)] != '}') return false;
  }
  return true;
}

Status NoUtf8() {
  return PermanentError(
      "the text is not valid UTF-8; set source_encoding (windows-1252, latin1, utf-16le), or "
      "invalid_utf8: replace or null, or reject: quarantine to put such rows aside",
      "invalid_utf8");
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> ParseJsonLines(
    std::string_view text, const std::shared_ptr<arrow::Schema>& schema) {
  auto options = arrow::json::ParseOptions::Defaults();
  options.newlines_in_values = false;
  options.explicit_schema = schema;
  options.unexpected_field_behavior = schema == nullptr
                                          ? arrow::json::UnexpectedFieldBehavior::InferType
                                          : arrow::json::UnexpectedFieldBehavior::Error;
  // Else it would depend on where a file is cut whether it can be read; and Arrow's reader takes
  // the process down where the first value is null.
  if (!EndsWithLines(text)) {
    const auto first = text.find_first_not_of(" \t\r\n");
    return PermanentError(
        first != std::string_view::npos && text[first] == '['
            ? "an array begins here, and rows are JSON lines, an object a line: jq -c '.[]' makes "
              "them"
            : "the line is no whole object, and rows are JSON lines, an object a line: jq -c . "
              "makes them",
        "bad_value");
  }
  auto parsed = arrow::json::ParseOne(options, std::make_shared<arrow::Buffer>(text));
  if (parsed.ok()) return parsed;
  // Rows are counted within the text that was parsed, which nobody sees.
  std::string message = MessageOf(parsed.status());
  message.resize(std::min(message.size(), message.rfind(" in row ")));
  return parsed.status().WithMessage(message);
}

Result<std::string> JsonInUtf8(std::string lines, BadJsonText policy, int64_t* repaired) {
  if (IsValidUtf8(lines)) return lines;
  lines = RepairJsonTexts(lines, policy, repaired);
  if (!IsValidUtf8(lines)) return NoUtf8();
  return lines;
}

std::string WithAdvice(std::string what) {
  if (what.find("reject: quarantine") != std::string::npos) return what;
  return what + "; reject: quarantine puts such rows aside";
}

size_t WholeJsonLines(std::string_view text, bool last) {
  if (last) return text.size();
  const auto end = text.rfind('\n');
  return end == std::string_view::npos ? 0 : end + 1;
}

}  // namespace bulkhaul::files
