#include "sink/compression.h"

#include <charconv>

#include <arrow/util/compression.h>
#include <fmt/format.h>

namespace bulkhaul {

Result<Compression> ParseCompression(const std::string& text, const std::string& allowed) {
  const auto colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const std::string list = ", " + allowed + ",";
  if (name.empty() || name.find(',') != std::string::npos ||
      list.find(", " + name + ",") == std::string::npos) {
    return UserError(fmt::format("compression: '{}' is none of {}", text, allowed));
  }
  Compression compression;
  if (name != "none") {
    ARROW_ASSIGN_OR_RAISE(compression.codec, arrow::util::Codec::GetCompressionType(name));
    if (!arrow::util::Codec::IsAvailable(compression.codec)) {
      return UserError(fmt::format("compression: this build has no '{}'", name));
    }
  }
  if (colon == std::string::npos) return compression;
  if (!arrow::util::Codec::SupportsCompressionLevel(compression.codec)) {
    return UserError(fmt::format("compression: '{}' has no levels", name));
  }
  ARROW_ASSIGN_OR_RAISE(const int lowest,
                        arrow::util::Codec::MinimumCompressionLevel(compression.codec));
  ARROW_ASSIGN_OR_RAISE(const int highest,
                        arrow::util::Codec::MaximumCompressionLevel(compression.codec));
  int level = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, level);
  if (parsed.ec != std::errc() || parsed.ptr != end || level < lowest || level > highest) {
    return UserError(
        fmt::format("compression: '{}' needs a level from {} to {}", text, lowest, highest));
  }
  compression.level = level;
  return compression;
}

}  // namespace bulkhaul
