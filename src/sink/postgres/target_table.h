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

// Usable by ON CONFLICT.
struct UniqueKey {
  std::vector<std::string> columns;
  bool nulls_equal = false;  // NULLS NOT DISTINCT
};

struct TargetTable {
  TableName name;
  uint32_t oid = 0;
  char kind = 'r';  // pg_class.relkind
  bool unlogged = false;
  std::vector<TargetColumn> columns;
  std::vector<std::string> primary_key;
  std::vector<UniqueKey> unique_keys;      // the primary key included
  bool row_security = false;               // policies would apply to this role
  std::vector<ForeignKey> foreign_keys;    // by name
  std::vector<std::string> referenced_by;  // "orders.orders_customer_fkey"
  // That fire for each row or statement: partitions' too.
  std::vector<std::string> triggers;         // of INSERT or TRUNCATE
  std::vector<std::string> update_triggers;  // of UPDATE, which upsert does
  std::vector<std::string> rules;            // ON INSERT, run beside it
  std::vector<std::string> instead_rules;    // run instead of it
  bool may_insert = true, may_truncate = true, is_owner = true;

  bool has_children = false;  // tables that inherit from it; false for a partitioned one

  bool partitioned() const { return kind == 'p'; }
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
