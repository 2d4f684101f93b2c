// Where the row that a sink refused comes from. Inside run/ only.
#pragma once

#include <cstdint>

#include "run/transforms.h"
#include "sink/sink.h"
#include "source/source.h"

namespace bulkhaul {

// Where row `row` of the unit, from 0, comes from: the unit is read once more up to it, because a
// server may refuse a row long after its batch was given back. Without a file where the source does
// not know, or does not give the row again.
RowPlace FindRow(Session& session, const WorkUnit& unit, int64_t row, UnitContext& context);
// Which of the unit's rows, from 0, is the first that came out of the transforms with this text;
// -1: none. Of columns of text only.
Result<int64_t> FindText(Session& session, const WorkUnit& unit, TransformChain& transforms,
                         const FaultyValue& fault, UnitContext& context);

}  // namespace bulkhaul
