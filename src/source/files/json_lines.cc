#include "source/files/json_lines.h"

#include <utility>

#include <arrow/buffer.h>
#include <arrow/json/options.h>
#include <arrow/json/reader.h>

#include "base/text.h"

namespace bulkhaul::files {

Result<std::shared_ptr<arrow::RecordBatch>> ParseJsonLines(
    std::string_view text, const std::shared_ptr<arrow::Schema>& schema) {
  auto options = arrow::json::ParseOptions::Defaults();
  options.newlines_in_values = false;
  options.explicit_schema = schema;
  options.unexpected_field_behavior = schema == nullptr
                                          ? arrow::json::UnexpectedFieldBehavior::InferType
                                          : arrow::json::UnexpectedFieldBehavior::Error;
  return arrow::json::ParseOne(options, std::make_shared<arrow::Buffer>(text));
}

namespace {

Status NoUtf8() {
  return PermanentError(
      "the text is not valid UTF-8; set source_encoding (windows-1252, latin1, utf-16le), or "
      "invalid_utf8: replace or null, or reject: quarantine to put such rows aside",
      "invalid_utf8");
}

}  // namespace

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
