#include "plan/references.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace bulkhaul {
namespace {

constexpr std::string_view kFilePrefix = "file:";
constexpr size_t kFileReferenceBytesMax = 64 << 10;

bool IsName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    const bool word =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!word) return false;
  }
  return true;
}

std::string PathOf(std::string_view reference, const std::string& folder) {
  const std::filesystem::path path(reference.substr(kFilePrefix.size()));
  return path.is_absolute() ? path.string() : (std::filesystem::path(folder) / path).string();
}

Status ResolveOne(const std::string& reference, const EnvironmentLookup& environment,
                  std::string* uri) {
  if (reference.empty()) return Status::OK();
  if (IsFileReference(reference)) {
    ARROW_ASSIGN_OR_RAISE(*uri, ReadFileReference(reference, "."));
  } else {
    ARROW_ASSIGN_OR_RAISE(*uri, ExpandEnvironment(reference, environment));
  }
  return Status::OK();
}

}  // namespace

EnvironmentLookup ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Result<std::string> ExpandEnvironment(std::string_view text, const EnvironmentLookup& environment) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i).starts_with("$${")) {
      out += "${";
      i += 3;
      continue;
    }
    if (!text.substr(i).starts_with("${")) {
      out += text[i++];
      continue;
    }
    const size_t end = text.find('}', i);
    if (end == std::string_view::npos) {
      return UserError("a reference ${… is not closed; write $${ where ${ itself is meant");
    }
    std::string_view name = text.substr(i + 2, end - i - 2);
    std::optional<std::string> fallback;
    if (const auto at = name.find(":-"); at != std::string_view::npos) {
      fallback = std::string(name.substr(at + 2));
      name = name.substr(0, at);
    }
    if (!IsName(name)) {
      return UserError(
          "a reference must be ${NAME} or ${NAME:-default}, NAME of letters, digits "
          "and underscores");
    }
    auto value = environment(std::string(name));
    if (value && value->empty() && fallback) value.reset();
    if (!value && !fallback) {
      return UserError(fmt::format("the environment variable {} is not set; set it, or write "
                                   "${{{}:-default}}",
                                   name, name),
                       "environment");
    }
    out += value ? *value : *fallback;
    i = end + 1;
  }
  return out;
}

bool HasReference(std::string_view text) { return text.find("${") != std::string_view::npos; }

bool IsFileReference(std::string_view text) {
  return text.starts_with(kFilePrefix) && text.size() > kFilePrefix.size() &&
         !text.starts_with("file://");
}

Result<std::string> ReadFileReference(std::string_view reference, const std::string& folder) {
  const auto path = PathOf(reference, folder);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoError(errno != 0 ? errno : EIO, "read the referenced file", path);
  std::string text(kFileReferenceBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return ErrnoError(EIO, "read the referenced file", path);
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileReferenceBytesMax) {
    return UserError(fmt::format("the referenced file '{}' has more than {} bytes", path,
                                 kFileReferenceBytesMax));
  }
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) return UserError(fmt::format("the referenced file '{}' is empty", path));
  return text;
}

std::string AbsoluteFileReference(std::string_view reference, const std::string& folder) {
  std::error_code error;
  const auto path = std::filesystem::absolute(PathOf(reference, folder), error);
  return std::string(kFilePrefix) + (error ? PathOf(reference, folder) : path.string());
}

Status ResolveJobReferences(JobSpec* job, const EnvironmentLookup& environment) {
  ARROW_RETURN_NOT_OK(ResolveOne(job->source_reference, environment, &job->source_uri));
  return ResolveOne(job->destination_reference, environment, &job->destination_uri);
}

}  // namespace bulkhaul
