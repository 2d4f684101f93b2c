#include "sink/postgres/attach_partition.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "base/text.h"
#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

constexpr char kCheckViolation[] = "23514";

std::string AttachSql(const LoadPlan& plan, const TableName& partition) {
  return fmt::format("ALTER TABLE {} ATTACH PARTITION {} {}", plan.target.quoted(),
                     partition.quoted(), plan.options.partition_for);
}

Status CheckTarget(const LoadPlan& plan) {
  const TargetTable& table = *plan.existing;
  const std::string name = plan.target.ToString();
  if (table.kind != 'p') {
    return UserError(fmt::format("{} is not partitioned, so that no partition can be attached to "
                                 "it; leave partition out",
                                 name),
                     "42809");
  }
  if (!table.is_owner) {
    return UserError(
        fmt::format("only the owner of {} attaches partitions to it; load as that role, or leave "
                    "partition out",
                    name),
        "42501");
  }
  for (const auto& column : table.columns) {
    const bool loaded = std::any_of(plan.columns.begin(), plan.columns.end(),
                                    [&](const auto& one) { return one.name == column.spec.name; });
    if (column.identity == 0 || loaded) continue;
    return UserError(fmt::format("the rows have no column \"{}\", which {} counts by itself: a "
                                 "partition that is attached cannot; leave partition out",
                                 column.spec.name, name),
                     "428C9");
  }
  return Status::OK();
}

}  // namespace

Status CheckAttachable(Connection& connection, LoadPlan* plan, const WaitLimit& limit) {
  ARROW_RETURN_NOT_OK(CheckTarget(*plan));
  const std::string name = plan->target.ToString();
  const TableName partition = plan->partition();
  ARROW_ASSIGN_OR_RAISE(const auto taken,
                        connection.QueryOne(fmt::format("SELECT pg_catalog.to_regclass({})",
                                                        QuoteLiteral(partition.quoted())),
                                            limit, "look for " + partition.ToString()));
  if (!taken.is_null(0, 0)) {
    return UserError(fmt::format("{} is there already; give the partition another name, or detach "
                                 "and drop that one",
                                 partition.ToString()),
                     "partition_exists");
  }
  const auto with_advice = [&](const Status& status) {
    return MakeError(KindOf(status),
                     fmt::format("{}; partition_for is what comes behind FOR VALUES, as in "
                                 "\"FROM ('2024-03-01') TO ('2024-04-01')\"",
                                 MessageOf(status)),
                     CodeOf(status));
  };
  const std::string what = fmt::format("{} as a partition of {}", partition.ToString(), name);
  // One statement, whatever the text says.
  const auto described = connection.Describe(AttachSql(*plan, partition), limit, what);
  if (!described.ok()) return with_advice(described.status());
  ARROW_RETURN_NOT_OK(connection.Execute("BEGIN", limit, what));
  const Status tried = connection.Execute(
      fmt::format("CREATE TABLE {} (LIKE {} INCLUDING CONSTRAINTS INCLUDING GENERATED); {}",
                  partition.quoted(), plan->target.quoted(), AttachSql(*plan, partition)),
      limit, what);
  if (connection.ok()) ARROW_RETURN_NOT_OK(connection.Execute("ROLLBACK", limit, what));
  if (!tried.ok()) return KindOf(tried) == ErrorKind::kUser ? with_advice(tried) : tried;
  plan->notes.push_back(fmt::format("{}: the rows become its partition {} {}", name,
                                    partition.ToString(), plan->options.partition_for));
  if (!plan->existing->triggers.empty()) {
    plan->notes.push_back(fmt::format("{}: its triggers {} do not fire for rows that are attached",
                                      name, fmt::join(plan->existing->triggers, ", ")));
  }
  return Status::OK();
}

Status AttachPartition(Connection& connection, const LoadPlan& plan, const WaitLimit& limit) {
  const TableName partition = plan.partition();
  const std::string what = "attach " + partition.ToString();
  ARROW_RETURN_NOT_OK(
      connection.Execute(fmt::format("ALTER TABLE {} RENAME TO {}", plan.side.quoted(),
                                     QuoteIdentifier(partition.name)),
                         limit, what));
  ARROW_ASSIGN_OR_RAISE(
      const auto owner,
      connection.QueryOne(
          fmt::format("SELECT pg_catalog.format('ALTER TABLE %s OWNER TO %s', {},"
                      " relowner::pg_catalog.regrole) FROM pg_catalog.pg_class WHERE oid = {}"
                      " AND pg_catalog.pg_get_userbyid(relowner) <> current_user",
                      QuoteLiteral(partition.quoted()), plan.existing->oid),
          limit, what));
  if (owner.rows() > 0) {
    ARROW_RETURN_NOT_OK(connection.Execute(std::string(owner.text(0, 0)), limit, what));
  }
  const Status attached = connection.Execute(AttachSql(plan, partition), limit, what);
  if (CodeOf(attached) != kCheckViolation) return attached;
  return UserError(fmt::format("rows are outside of partition_for \"{}\", or the default partition "
                               "has rows inside of it; nothing was published: {}",
                               plan.options.partition_for, MessageOf(attached)),
                   kCheckViolation);
}

}  // namespace bulkhaul::postgres
