#include "plan/document.h"

#include <cerrno>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

Status CheckDuplicates(const DocumentNode& node, std::string_view file_name) {
  std::set<std::string_view> keys;
  for (const auto& member : node.members) {
    if (!keys.insert(member.key).second) {
      return ErrorAt(file_name, member.mark, fmt::format("'{}' is given twice", member.key));
    }
    ARROW_RETURN_NOT_OK(CheckDuplicates(member.value, file_name));
  }
  for (const auto& item : node.items) ARROW_RETURN_NOT_OK(CheckDuplicates(item, file_name));
  return Status::OK();
}

// None of the formats allows them, and not every parser says so.
Status CheckControlCharacters(std::string_view text, std::string_view file_name) {
  DocumentMark mark;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (control && c != '\t' && c != '\n' && c != '\r') {
      return ErrorAt(file_name, mark,
                     fmt::format("control character 0x{:02x}", static_cast<unsigned char>(c)));
    }
    ++mark.column;
    if (c == '\n') mark = {mark.line + 1, 1};
  }
  return Status::OK();
}

}  // namespace

Result<std::string> ReadDocumentFile(const std::string& path, std::string_view what) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file && errno == ENOENT) {
    return UserError(fmt::format("cannot read the {} '{}': there is no such file", what, path),
                     "no_such_file");
  }
  const std::string action = fmt::format("read the {}", what);
  if (!file) return ErrnoError(errno != 0 ? errno : EIO, action, path);
  std::string text(static_cast<size_t>(kDocumentBytesMax) + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return ErrnoError(errno != 0 ? errno : EIO, action, path);
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

Result<DocumentFormat> DocumentFormatOf(std::string_view file_name) {
  if (file_name.ends_with(".yaml") || file_name.ends_with(".yml")) return DocumentFormat::kYaml;
  if (file_name.ends_with(".toml")) return DocumentFormat::kToml;
  if (file_name.ends_with(".json")) return DocumentFormat::kJson;
  return UserError(
      fmt::format("'{}' is not a job file: its name must end in .yaml, .yml, .toml or "
                  ".json",
                  file_name));
}

Status ErrorAt(std::string_view file_name, DocumentMark mark, const std::string& message) {
  return UserError(fmt::format("{}:{}:{}: {}", file_name, mark.line, mark.column, message));
}

Result<DocumentNode> ParseDocument(std::string_view text, DocumentFormat format,
                                   std::string_view file_name) {
  if (static_cast<int64_t>(text.size()) > kDocumentBytesMax) {
    return UserError(
        fmt::format("{}: a job file has at most {} bytes", file_name, kDocumentBytesMax));
  }
  if (!IsValidUtf8(text)) return UserError(fmt::format("{}: not valid UTF-8", file_name));
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  ARROW_RETURN_NOT_OK(CheckControlCharacters(text, file_name));
  const auto parse = format == DocumentFormat::kYaml   ? ParseYamlDocument
                     : format == DocumentFormat::kToml ? ParseTomlDocument
                                                       : ParseJsonDocument;
  ARROW_ASSIGN_OR_RAISE(auto node, parse(text, file_name));
  ARROW_RETURN_NOT_OK(CheckDuplicates(node, file_name));
  return node;
}

}  // namespace bulkhaul
