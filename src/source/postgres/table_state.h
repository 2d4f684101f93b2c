// What the PostgreSQL source remembers of a dataset and a unit inside their source_state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "plan/values.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::postgres {

// A table, or one of the tables that make up a partitioned or inherited one.
struct Relation {
  uint32_t oid = 0;
  std::string schema;
  std::string name;
  char kind = 'r';       // pg_class.relkind
  bool heap = true;      // its rows have page addresses: access method heap
  bool readable = true;  // SELECT on the whole relation is granted
  int64_t pages = 0;     // of the main fork, now
  int64_t bytes = 0;     // pg_table_size: with TOAST
  int64_t rows = -1;     // estimated; -1: never analysed
};

struct TableState {
  uint32_t oid = 0;
  char kind = 'r';                      // relkind, or 'q' for a query
  std::vector<Relation> relations;      // the table itself first; then its leaves or children
  std::vector<pg::ColumnSpec> columns;  // the selected ones, in order
  std::string query;                    // kind 'q'
  std::vector<std::string> indexed;     // first columns of usable indexes, primary key first
  bool denied = false;                  // no column may be selected
  bool column_grants = false;           // only columns are granted, not the table
  bool row_security = false;            // a policy hides rows from this role
  bool children = false;                // a plain table with inheritance children
  std::string fingerprint;              // changes when columns or leaves do
  int32_t money_scale = 2;
  int64_t block_bytes = 8192;
  int32_t server_version = 0;
  bool raw_encoding = false;  // SQL_ASCII: bytes come as they are

  std::string ToJson() const;
  static Result<TableState> FromJson(std::string_view json);

  // "schema"."name" of the table itself.
  std::string QualifiedName() const;
  // The relations that hold rows of their own.
  bool partitioned() const { return kind == 'p'; }
};

enum class UnitMode {
  kWhole,  // the table with all that hangs off it, or the query, in one statement
  kScan,   // one relation as a whole; axis: the relation
  kPages,  // pages of one relation
  kKey,    // a range of key values; axis "key"
  kNulls,  // the rows whose key is NULL; axis "null"
  kHash,   // one of n residues; axis "hash/i/n"
};

// The rest of what a unit needs is in its range.
struct UnitState {
  UnitMode mode = UnitMode::kWhole;
  int32_t relation = -1;      // index in TableState::relations; -1: all
  std::string key = {};       // column, for kKey, kNulls
  std::string key_type = {};  // as SQL writes it
  int32_t residue = 0, modulus = 1;

  std::string ToJson() const;
  static Result<UnitState> FromJson(std::string_view json);
};

// Snapshot::source_state.
struct SnapshotState {
  ServerAddress address;      // where the snapshot lives
  std::string holder_socket;  // of the process that keeps it; "" when this process does
  std::string ToJson() const;
  static Result<SnapshotState> FromJson(std::string_view json);
};

}  // namespace bulkhaul::postgres
