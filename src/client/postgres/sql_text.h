// SQL text made safe: identifiers and literals quoted here and nowhere else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhaul::postgres {

// "name" with inner quotes doubled. Any byte but NUL is legal in an identifier.
std::string QuoteIdentifier(std::string_view name);
// "schema"."name".
std::string QuoteQualified(std::string_view schema, std::string_view name);
// 'text', or E'text' when it holds a backslash: right whatever standard_conforming_strings says.
std::string QuoteLiteral(std::string_view text);
// Identifiers and key words of a statement that may be names of functions, views or clauses:
// outside of literals, quoted text and comments; unquoted ones in lower case. Source for the
// lexical rules: PostgreSQL documentation, "Lexical Structure".
struct Word {
  std::string text;
  bool quoted = false;  // was in double quotes
  bool called = false;  // an opening parenthesis follows
};
std::vector<Word> WordsOf(std::string_view sql);
// The statement without the white space, comments and semicolons at its end.
std::string WithoutTerminator(std::string_view sql);

}  // namespace bulkhaul::postgres
