#include "run/row_place.h"

#include <memory>

namespace bulkhaul {

RowPlace FindRow(Session& session, const WorkUnit& unit, int64_t row, UnitContext& context) {
  auto reader = session.Read(unit, context);
  if (!reader.ok()) return {};
  int64_t before = 0;
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (context.stop.stop_requested() || !(*reader)->ReadNext(&batch).ok() || !batch) return {};
    if (row < before + batch->num_rows()) return (*reader)->PlaceOf(row - before);
    before += batch->num_rows();
  }
}

}  // namespace bulkhaul
