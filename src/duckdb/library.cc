#include "duckdb/library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include <fmt/format.h>

namespace bulkhaul::duckdb {
namespace {

constexpr char kFileName[] = "libduckdb.so";
constexpr char kHowToGetIt[] =
    "get it with: npm pack @duckdb/node-bindings-linux-x64@1.5.5-r.5 && tar xzf "
    "duckdb-node-bindings-linux-x64-1.5.5-r.5.tgz && install -D package/libduckdb.so "
    "~/.local/lib/bulkhaul/libduckdb.so";

std::vector<std::string> Places() {
  namespace fs = std::filesystem;
  if (const char* named = std::getenv("BULKHAUL_LIBDUCKDB")) return {named};
  std::vector<std::string> places;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    places.push_back(program.parent_path() / kFileName);
    places.push_back(program.parent_path().parent_path() / "lib" / kFileName);
  }
  if (const char* home = std::getenv("HOME")) {
    places.push_back(fs::path(home) / ".local/lib/bulkhaul" / kFileName);
  }
  std::erase_if(places, [](const std::string& place) { return !fs::exists(place); });
  places.emplace_back(kFileName);
  return places;
}

// Binds functions until one is missing.
class Binder {
 public:
  explicit Binder(void* handle) : handle_(handle) {}
  template <typename Function>
  void operator()(Function** function, const char* name) {
    *function = reinterpret_cast<Function*>(dlsym(handle_, name));
    if (*function == nullptr && missing_.empty()) missing_ = name;
  }
  const std::string& missing() const { return missing_; }

 private:
  void* const handle_;
  std::string missing_;
};

std::string BindAll(void* handle, Library* library) {
  Binder bind(handle);
  bind(&library->library_version, "duckdb_library_version");
  bind(&library->create_config, "duckdb_create_config");
  bind(&library->set_config, "duckdb_set_config");
  bind(&library->destroy_config, "duckdb_destroy_config");
  bind(&library->open_ext, "duckdb_open_ext");
  bind(&library->close, "duckdb_close");
  bind(&library->connect, "duckdb_connect");
  bind(&library->disconnect, "duckdb_disconnect");
  bind(&library->interrupt, "duckdb_interrupt");
  bind(&library->free, "duckdb_free");
  bind(&library->query, "duckdb_query");
  bind(&library->prepare, "duckdb_prepare");
  bind(&library->prepare_error, "duckdb_prepare_error");
  bind(&library->destroy_prepare, "duckdb_destroy_prepare");
  bind(&library->prepared_statement_column_count, "duckdb_prepared_statement_column_count");
  bind(&library->prepared_statement_column_name, "duckdb_prepared_statement_column_name");
  bind(&library->prepared_statement_column_logical_type,
       "duckdb_prepared_statement_column_logical_type");
  bind(&library->pending_prepared_streaming, "duckdb_pending_prepared_streaming");
  bind(&library->pending_error, "duckdb_pending_error");
  bind(&library->execute_pending, "duckdb_execute_pending");
  bind(&library->destroy_pending, "duckdb_destroy_pending");
  bind(&library->result_error, "duckdb_result_error");
  bind(&library->destroy_result, "duckdb_destroy_result");
  bind(&library->get_type_id, "duckdb_get_type_id");
  bind(&library->destroy_logical_type, "duckdb_destroy_logical_type");
  bind(&library->connection_get_arrow_options, "duckdb_connection_get_arrow_options");
  bind(&library->destroy_arrow_options, "duckdb_destroy_arrow_options");
  bind(&library->to_arrow_schema, "duckdb_to_arrow_schema");
  bind(&library->data_chunk_to_arrow, "duckdb_data_chunk_to_arrow");
  bind(&library->fetch_chunk, "duckdb_fetch_chunk");
  bind(&library->data_chunk_get_size, "duckdb_data_chunk_get_size");
  bind(&library->destroy_data_chunk, "duckdb_destroy_data_chunk");
  bind(&library->error_data_has_error, "duckdb_error_data_has_error");
  bind(&library->error_data_message, "duckdb_error_data_message");
  bind(&library->destroy_error_data, "duckdb_destroy_error_data");
  return bind.missing();
}

Result<const Library*> Open() {
  std::string why;
  for (const std::string& place : Places()) {
    // Deep: what Arrow brings along under the same names must not be taken for its own.
    void* const handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (handle == nullptr) {
      why = dlerror();
      continue;
    }
    auto* const library = new Library();
    const std::string missing = BindAll(handle, library);
    if (!missing.empty()) {
      const std::string version =
          library->library_version != nullptr ? library->library_version() : "unknown version";
      delete library;
      dlclose(handle);
      return UserError(
          fmt::format("{} is DuckDB {} and lacks {}; queries need DuckDB 1.5 or newer; {}", place,
                      version, missing, kHowToGetIt),
          "duckdb_too_old");
    }
    library->folder = std::filesystem::path(place).parent_path();
    return library;
  }
  return UserError(
      fmt::format("queries need {}, which was not found ({}); {}", kFileName, why, kHowToGetIt),
      "duckdb_missing");
}

}  // namespace

Result<const Library*> LoadLibrary() {
  static std::mutex mutex;
  static const Library* loaded = nullptr;  // guarded by mutex
  std::lock_guard lock(mutex);
  if (loaded == nullptr) {
    ARROW_ASSIGN_OR_RAISE(loaded, Open());
  }
  return loaded;
}

}  // namespace bulkhaul::duckdb
