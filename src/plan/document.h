// A YAML, TOML or JSON text as one tree that remembers where everything stands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace bulkhaul {

// From 1; columns count bytes.
struct DocumentMark {
  int line = 1;
  int column = 1;
};

struct DocumentNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  // What a scalar was written as. kPlain: YAML without quotes, which may mean anything.
  enum class Scalar { kPlain, kText, kNumber, kBool };
  struct Member;

  Kind kind = Kind::kNull;
  Scalar scalar = Scalar::kPlain;
  std::string text;  // of scalars, and of null: as it was written ("null", "~", "")
  DocumentMark mark;
  std::vector<DocumentNode> items;
  std::vector<Member> members;  // in the order written
};

struct DocumentNode::Member {
  std::string key;
  DocumentMark mark;
  DocumentNode value;
};

enum class DocumentFormat { kYaml, kToml, kJson };

// By the file name's end: .yaml, .yml, .toml, .json. kUser otherwise.
Result<DocumentFormat> DocumentFormatOf(std::string_view file_name);

// The text of a file that people wrote, of which errors say that it is a `what` ("job file"); of
// one that is longer than documents may be, enough to show it.
Result<std::string> ReadDocumentFile(const std::string& path, std::string_view what);

// "job.yaml:3:5: <message>" as kUser.
Status ErrorAt(std::string_view file_name, DocumentMark mark, const std::string& message);

// Strict: duplicate keys, text after the end, a second YAML document, more than 1 MiB, or more than
// 100,000 values (YAML aliases counted each time) are kUser with file, line and column. Pure.
Result<DocumentNode> ParseDocument(std::string_view text, DocumentFormat format,
                                   std::string_view file_name);

// The three readers behind it.
Result<DocumentNode> ParseYamlDocument(std::string_view text, std::string_view file_name);
Result<DocumentNode> ParseTomlDocument(std::string_view text, std::string_view file_name);
Result<DocumentNode> ParseJsonDocument(std::string_view text, std::string_view file_name);

inline constexpr int64_t kDocumentBytesMax = 1 << 20;
inline constexpr int64_t kDocumentValuesMax = 100'000;
inline constexpr int kDocumentDepthMax = 64;

}  // namespace bulkhaul
