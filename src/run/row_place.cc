#include "run/row_place.h"

#include <memory>
#include <string_view>

#include <arrow/scalar.h>

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

Result<int64_t> FindText(Session& session, const WorkUnit& unit, TransformChain& transforms,
                         const FaultyValue& fault, UnitContext& context) {
  int64_t before = 0, found = -1;
  const auto look = [&](const std::shared_ptr<arrow::RecordBatch>& batch) -> Status {
    if (fault.field < 0 || fault.field >= batch->num_columns()) return Status::OK();
    const auto& array = *batch->column(fault.field);
    for (int64_t row = 0; found < 0 && row < array.length(); ++row) {
      ARROW_ASSIGN_OR_RAISE(auto scalar, array.GetScalar(row));
      if (scalar->type->id() == arrow::Type::DICTIONARY) {
        const auto& coded = static_cast<const arrow::DictionaryScalar&>(*scalar);
        ARROW_ASSIGN_OR_RAISE(scalar, coded.GetEncodedValue());
      }
      const auto* text = dynamic_cast<const arrow::BaseBinaryScalar*>(scalar.get());
      if (text == nullptr || !text->is_valid || text->view() != fault.value) continue;
      found = transforms.RowBefore(before + row);
    }
    before += array.length();
    return Status::OK();
  };
  ARROW_ASSIGN_OR_RAISE(const auto reader, session.Read(unit, context));
  while (found < 0 && !context.stop.stop_requested()) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (!batch) break;
    (void)reader->TakeRefused();
    ARROW_RETURN_NOT_OK(transforms.Apply(std::move(batch), context.pool, look));
  }
  return found;
}

}  // namespace bulkhaul
