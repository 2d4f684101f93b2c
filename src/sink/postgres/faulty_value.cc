#include "sink/postgres/faulty_value.h"

#include <string>

#include <fmt/format.h>

#include "client/postgres/sql_text.h"
#include "sink/postgres/load_ledger.h"

namespace bulkhaul::postgres {
namespace {

constexpr char kWhat[] = "look for the value at fault";

class FaultSearch {
 public:
  FaultSearch(Connection& connection, const LoadPlan& plan, const WaitLimit& limit)
      : connection_(connection), plan_(plan), limit_(limit) {}

  Result<std::optional<FaultyValue>> Run() {
    for (const auto& column : plan_.columns) {
      if (column.cast.empty()) continue;
      ARROW_ASSIGN_OR_RAISE(const bool casts, Casts(column, ""));
      if (!casts) return Find(column);
    }
    return std::optional<FaultyValue>();
  }

 private:
  // Whether the server casts the column in all rows that meet the condition.
  Result<bool> Casts(const LoadColumn& column, const std::string& condition) {
    ARROW_RETURN_NOT_OK(connection_.Execute("SAVEPOINT fault", limit_, kWhat));
    const auto counted = connection_.QueryOne(
        fmt::format("SELECT pg_catalog.count({}) FROM {}{}", column.cast, plan_.side.quoted(),
                    condition.empty() ? "" : " WHERE " + condition),
        limit_, kWhat);
    if (counted.ok()) return true;
    if (!connection_.ok()) return counted.status();
    ARROW_RETURN_NOT_OK(connection_.Execute("ROLLBACK TO SAVEPOINT fault", limit_, kWhat));
    return false;
  }

  // The first of [begin, end) for which `casts` says no, where it says no for all of them together.
  template <typename CastsRange>
  Result<int64_t> First(int64_t begin, int64_t end, const CastsRange& casts) {
    while (end - begin > 1) {
      const int64_t middle = begin + (end - begin) / 2;
      ARROW_ASSIGN_OR_RAISE(const bool whole, casts(begin, middle));
      (whole ? begin : end) = middle;
    }
    return begin;
  }

  Result<std::optional<FaultyValue>> Find(const LoadColumn& column) {
    const std::string side = QuoteLiteral(plan_.side.quoted());
    ARROW_ASSIGN_OR_RAISE(
        const auto size,
        connection_.QueryOne(fmt::format("SELECT pg_catalog.pg_relation_size({}) /"
                                         " pg_catalog.current_setting('block_size')::int8",
                                         side),
                             limit_, kWhat));
    const auto in_pages = [&](int64_t begin, int64_t end) {
      return Casts(column, fmt::format("ctid >= '({},0)' AND ctid < '({},0)'", begin, end));
    };
    ARROW_ASSIGN_OR_RAISE(const int64_t page, First(0, size.integer(0, 0), in_pages));
    // A line pointer takes four bytes of the page, so that a page has fewer rows than this.
    constexpr int64_t kRowsMax = 8192;
    const auto in_rows = [&](int64_t begin, int64_t end) {
      return Casts(column,
                   fmt::format("ctid >= '({0},{1})' AND ctid < '({0},{2})'", page, begin, end));
    };
    ARROW_ASSIGN_OR_RAISE(const int64_t row, First(0, kRowsMax, in_rows));
    ARROW_ASSIGN_OR_RAISE(
        const auto found,
        connection_.QueryOne(
            fmt::format(
                "SELECT {0}::pg_catalog.text, (SELECT pg_catalog.substr(key, {1}) FROM {2}"
                " AS ledger WHERE ledger.xid = side.xmin::pg_catalog.text AND"
                " pg_catalog.left(key, {3}) = {4}) FROM {5} AS side WHERE ctid = '({6},{7})'",
                QuoteIdentifier(column.name), plan_.side.name.size() + 2,
                LedgerName(plan_.target.schema), plan_.side.name.size() + 1,
                QuoteLiteral(plan_.side.name + "/"), plan_.side.quoted(), page, row),
            limit_, kWhat));
    FaultyValue fault;
    fault.column = column.name;
    fault.field = column.source;
    if (found.rows() == 1) {
      fault.value = found.text(0, 0);
      if (!found.is_null(0, 1)) fault.ordinal = std::stoll(std::string(found.text(0, 1)));
    }
    return std::optional(std::move(fault));
  }

  Connection& connection_;
  const LoadPlan& plan_;
  const WaitLimit& limit_;
};

}  // namespace

Result<std::optional<FaultyValue>> FindFaultyValue(Connection& connection, const LoadPlan& plan,
                                                   const WaitLimit& limit) {
  const bool inside = connection.in_transaction();
  ARROW_RETURN_NOT_OK(connection.Execute(inside ? "SAVEPOINT search" : "BEGIN", limit, kWhat));
  auto found = FaultSearch(connection, plan, limit).Run();
  if (connection.ok()) {
    ARROW_RETURN_NOT_OK(
        connection.Execute(inside ? "ROLLBACK TO SAVEPOINT search" : "ROLLBACK", limit, kWhat));
  }
  return found;
}

}  // namespace bulkhaul::postgres
