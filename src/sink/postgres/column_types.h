// Which PostgreSQL type a column of a new table gets.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <arrow/type.h>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::postgres {

struct ChosenType {
  pg::ColumnSpec spec;     // its source_type is the type as SQL
  bool text_cast = false;  // comes as text, or an array of texts, and is cast by the server
  bool as_json = false;    // nested, and comes as JSON text
};

// Asks the server once for each type text. Not thread-safe.
class TypeChooser {
 public:
  TypeChooser(Connection& connection, WaitLimit limit)
      : connection_(connection), limit_(std::move(limit)) {}

  // The type that the field came from, when its metadata names one that the server has and whose
  // values look like this field's; else the one nearest to the Arrow type. A name counts only when
  // it is spelt as format_type() spells it, so that other systems' types are not taken for it.
  Result<ChosenType> Choose(const arrow::Field& field);
  // A type by its text; nullopt when the server has none of this exact spelling.
  Result<std::optional<pg::ColumnSpec>> Find(const std::string& text);

 private:
  Result<std::optional<pg::ColumnSpec>> Ask(const std::string& text);

  Connection& connection_;
  const WaitLimit limit_;
  std::map<std::string, std::optional<pg::ColumnSpec>> known_;
};

bool IsNested(const arrow::DataType& type);
// text, or text[] with as many dimensions as the list has.
pg::ColumnSpec TextSpec(const std::string& name, const arrow::DataType& type);
// The text or list of texts that such a column holds.
bool IsTextOrTexts(const arrow::DataType& type);

}  // namespace bulkhaul::postgres
