// A string that does not print itself.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

namespace bulkhaul {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  // The only way to the text; call it where the text leaves the process and nowhere else.
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string value_;
};

inline std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "***"; }

// The text with every secret masked as "***": the password of each URI in it, values of
// password=, sslpassword=, passfile-like keywords of connection strings, and of tokens and keys.
// What logs, ledgers, metadata and error messages show goes through it. Pure.
std::string Redact(std::string_view text);

}  // namespace bulkhaul
