// The statements that ask PostgreSQL's catalogue, and their answers as plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "client/postgres/server_catalog.h"
#include "source/postgres/table_state.h"

namespace bulkhaul::postgres {

// Settings that hold for one transaction only, so that transaction poolers work: what makes text
// output exact and keeps the server from ending a long read. `raw_encoding`: the database is
// SQL_ASCII. Statements joined by ';', for a transaction that has begun.
std::string TransactionSettings(int server_version, bool raw_encoding);

// All relations that rows can be read from: oid, schema, name, kind, is system, oid of the topmost
// partitioned table or 0, oids of direct inheritance parents.
std::string ListRelationsSql();
// For these oids: each with all that hangs off it. Columns as RelationColumn.
std::string RelationsSql(const std::string& oids);
enum RelationColumn {
  kRoot,
  kOid,
  kSchema,
  kName,
  kKind,
  kTuples,
  kPagesThen,
  kRelationBytes,
  kTableBytes,
  kReadable,
  kRowSecurity,
  kAccessMethod,
  kComment,
  kFingerprint
};
std::string ColumnsSql(const std::string& oids);
enum ColumnColumn {
  kColumnTable,
  kColumnName,
  kColumnType,
  kColumnTypmod,
  kColumnDimensions,
  kColumnNotNull,
  kColumnComment,
  kColumnReadable
};
std::string IndexesSql(const std::string& oids);
enum IndexColumn { kIndexTable, kIndexPrimary, kIndexColumns };
// md5 over what must not change between planning and reading, as an SQL expression over
// pg_class c: columns by number, name, type.
std::string FingerprintExpression();

}  // namespace bulkhaul::postgres
