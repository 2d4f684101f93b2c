// The table that rows go into, as the server's catalogue has it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::postgres {

struct TableName {
  std::string schema, name;
  std::string quoted() const;    // "schema"."name"
  std::string ToString() const;  // schema.name
  bool operator==(const TableName&) const = default;
  auto operator<=>(const TableName&) const = default;
};

struct TargetColumn {
  pg::ColumnSpec spec;
  bool has_default = false;
  char identity = 0;  // 'a' always, 'd' by default
  bool generated = false;
};

// That rows are checked against: enforced, of the table or of its partitions.
struct ForeignKey {
  std::string name;
  std::vector<std::string> columns;  // of the table
  // What it refers to, schema.name: a table, its partitions, what it is a partition of.
  std::vector<std::string> places;
};

struct TargetTable {
  TableName name;
  uint32_t oid = 0;
  char kind = 'r';  // pg_class.relkind
  bool unlogged = false;
  std::vector<TargetColumn> columns;
  std::vector<std::string> primary_key;
  std::vector<std::vector<std::string>> unique_keys;  // usable by ON CONFLICT, primary key included
  bool row_security = false;                          // policies would apply to this role
  std::vector<ForeignKey> foreign_keys;               // by name
  std::vector<std::string> referenced_by;             // "orders.orders_customer_fkey"
  std::vector<std::string> triggers;  // that fire for each row or statement of an insert
  bool may_insert = true, may_truncate = true, is_owner = true;

  const TargetColumn* Find(std::string_view column) const;
  // Changes when columns do.
  std::string Fingerprint() const;
};

// nullptr when there is none. kUser when it is something that rows cannot be loaded into.
Result<std::unique_ptr<TargetTable>> FindTarget(Connection& connection, const TableName& name,
                                                const WaitLimit& limit);
// Columns of any relation by its oid, with their types.
Result<std::vector<TargetColumn>> ReadColumns(Connection& connection, const std::string& oid_sql,
                                              const WaitLimit& limit);

}  // namespace bulkhaul::postgres
