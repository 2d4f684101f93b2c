#include "plan/column_naming.h"

#include "base/text.h"

namespace bulkhaul {
namespace {

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsWord(char c) {
  return IsUpper(c) || IsLowerOrDigit(c) || static_cast<unsigned char>(c) >= 0x80;
}
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::string Snake(std::string_view name) {
  std::string snake;
  for (size_t i = 0; i < name.size(); ++i) {
    if (!IsWord(name[i])) {
      if (!snake.empty() && snake.back() != '_') snake += '_';
      continue;
    }
    // A word begins where small letters end ("orderId") and where capitals do ("HTTPServer").
    const bool begins =
        IsUpper(name[i]) && i > 0 &&
        (IsLowerOrDigit(name[i - 1]) ||
         (IsUpper(name[i - 1]) && i + 1 < name.size() && name[i + 1] >= 'a' && name[i + 1] <= 'z'));
    if (begins && !snake.empty() && snake.back() != '_') snake += '_';
    snake += AsciiLower(name[i]);
  }
  while (!snake.empty() && snake.back() == '_') snake.pop_back();
  return snake.empty() ? std::string(name) : snake;
}

}  // namespace

std::string NameInStyle(std::string_view name, std::string_view style) {
  if (style == "snake") return Snake(name);
  std::string styled(name);
  if (style == "keep") return styled;
  for (char& c : styled) c = style == "upper" ? Upper(c) : AsciiLower(c);
  if (style == "capitalize" && !styled.empty()) styled[0] = Upper(styled[0]);
  return styled;
}

NewNames::NewNames(const Options& options) : style_(options.GetString("column_naming")) {
  for (const auto& [old_name, new_name] : options.GetPairs("rename")) {
    renamed_[old_name] = new_name;
  }
}

std::string NewNames::Of(const std::string& column) const {
  const auto renamed = renamed_.find(column);
  return renamed != renamed_.end() ? renamed->second : NameInStyle(column, style_);
}

}  // namespace bulkhaul
