// A worker's connection inside the snapshot.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "client/postgres/connection.h"
#include "plan/context.h"
#include "plan/options.h"
#include "source/postgres/table_state.h"
#include "source/source.h"

namespace bulkhaul::postgres {

// Statements that open a session's transaction: the snapshot and all settings, for the transaction
// only. kUser when a name in session_settings is not a plain setting's name.
Result<std::string> SessionStartSql(const std::string& snapshot_id, const Options& options,
                                    int server_version, bool raw_encoding);

Result<std::unique_ptr<Session>> OpenSession(const ConnectionSettings& settings,
                                             const Snapshot& snapshot,
                                             std::span<const Dataset> datasets,
                                             WorkerContext& context);

}  // namespace bulkhaul::postgres
