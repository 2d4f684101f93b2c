// libduckdb, opened when a query first needs it: the program neither links nor carries it.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

struct ArrowSchema;
struct ArrowArray;

namespace bulkhaul::duckdb {

// Handles and the one struct that DuckDB's C API passes by value. Source of the names, the layout
// and the meaning of the functions below: duckdb.h of DuckDB 1.5.
using DatabaseFile = struct DatabaseHandle*;
using Connection = struct ConnectionHandle*;
using Config = struct ConfigHandle*;
using Prepared = struct PreparedHandle*;
using Pending = struct PendingHandle*;
using Chunk = struct ChunkHandle*;
using LogicalType = struct LogicalTypeHandle*;
using ArrowOptions = struct ArrowOptionsHandle*;
using ErrorData = struct ErrorDataHandle*;
struct QueryResult {
  uint64_t column_count_unused = 0, row_count_unused = 0, rows_changed_unused = 0;
  void* columns_unused = nullptr;
  char* error_unused = nullptr;
  void* internal = nullptr;
};
inline constexpr int kSuccess = 0;

// The functions in use. Constant once loaded; DuckDB's own functions are thread-safe for different
// connections, and Interrupt for any.
struct Library {
  const char* (*library_version)();
  int (*create_config)(Config*);
  int (*set_config)(Config, const char* name, const char* value);
  void (*destroy_config)(Config*);
  int (*open_ext)(const char* path, DatabaseFile*, Config, char** error);
  void (*close)(DatabaseFile*);
  int (*connect)(DatabaseFile, Connection*);
  void (*disconnect)(Connection*);
  void (*interrupt)(Connection);
  void (*free)(void*);
  int (*query)(Connection, const char* sql, QueryResult*);
  int (*prepare)(Connection, const char* sql, Prepared*);
  const char* (*prepare_error)(Prepared);
  void (*destroy_prepare)(Prepared*);
  uint64_t (*prepared_statement_column_count)(Prepared);
  const char* (*prepared_statement_column_name)(Prepared, uint64_t column);
  LogicalType (*prepared_statement_column_logical_type)(Prepared, uint64_t column);
  int (*pending_prepared_streaming)(Prepared, Pending*);
  const char* (*pending_error)(Pending);
  int (*execute_pending)(Pending, QueryResult*);
  void (*destroy_pending)(Pending*);
  const char* (*result_error)(QueryResult*);
  void (*destroy_result)(QueryResult*);
  int (*get_type_id)(LogicalType);
  void (*destroy_logical_type)(LogicalType*);
  void (*connection_get_arrow_options)(Connection, ArrowOptions*);
  void (*destroy_arrow_options)(ArrowOptions*);
  ErrorData (*to_arrow_schema)(ArrowOptions, LogicalType*, const char** names, uint64_t columns,
                               ArrowSchema*);
  ErrorData (*data_chunk_to_arrow)(ArrowOptions, Chunk, ArrowArray*);
  Chunk (*fetch_chunk)(QueryResult);
  uint64_t (*data_chunk_get_size)(Chunk);
  void (*destroy_data_chunk)(Chunk*);
  bool (*error_data_has_error)(ErrorData);
  const char* (*error_data_message)(ErrorData);
  void (*destroy_error_data)(ErrorData*);

  std::string folder;  // that the library lies in; "" when the system's search found it
};

// Opens the library once: $BULKHAUL_LIBDUCKDB, beside the program (or in ../lib), in
// ~/.local/lib/bulkhaul, or where the system's loader looks. kUser, with how to get it, when it is
// nowhere or too old. Thread-safe; the object lives as long as the program.
Result<const Library*> LoadLibrary();

}  // namespace bulkhaul::duckdb
