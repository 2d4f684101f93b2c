#include "wire/pg_copy/copy_decoder.h"

#include <algorithm>
#include <utility>

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/column_node.h"
#include "wire/pg_copy/decode_functions.h"

namespace bulkhaul::pg {
namespace {

constexpr uint8_t kSignature[] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0};
// Signature, flags, size of the header's extension.
constexpr int64_t kHeaderBytes = sizeof(kSignature) + 8;
constexpr uint32_t kCriticalFlags = 0xffff0000;
constexpr int kBetweenTuples = -1;
// PostgreSQL's own limit of a value (MaxAllocSize); what is longer is no length at all.
constexpr int32_t kValueBytesMax = 0x3fffffff;
// A text that does not end in its chunk and has this many bytes goes straight into the column.
constexpr int32_t kStreamedBytesMin = 64 << 10;
// However little Arrow data a batch makes of its bytes, 32-bit offsets must reach all of it.
constexpr int64_t kBatchStreamBytesMax = int64_t{1} << 30;

constexpr const char* kCounterNames[kCounterCount] = {
    "infinity_clamped",      "infinity_nulled",     "numeric_nan_nulled",
    "invalid_utf8_replaced", "invalid_utf8_nulled", "array_lower_bounds_dropped"};

bool IsStreamable(DecodeKind kind) {
  return kind == DecodeKind::kText || kind == DecodeKind::kVersioned || kind == DecodeKind::kBinary;
}

}  // namespace

class CopyDecoder::Impl {
 public:
  Impl(std::vector<ColumnMapping> columns, DecodeLimits limits, arrow::MemoryPool* pool)
      : columns_(std::move(columns)), limits_(limits), pool_(pool) {
    arrow::FieldVector fields;
    for (const ColumnMapping& column : columns_) {
      fields.push_back(column.field);
      nodes_.push_back(MakeColumnNode(*column.plan, pool));
    }
    schema_ = arrow::schema(std::move(fields));
    Reset();
  }

  Result<size_t> Feed(std::span<const uint8_t> bytes);
  Result<std::shared_ptr<arrow::RecordBatch>> TakeBatch();
  Status Finish();
  void Reset();

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  bool batch_ready() const { return ready_; }
  bool finished() const { return state_ == State::kFinished; }
  int64_t rows() const { return rows_; }
  int64_t bytes_fed() const { return bytes_fed_; }
  int64_t buffered_bytes() const;
  const std::array<int64_t, kCounterCount>& counters() const { return context_.counters; }

 private:
  enum class State { kHeader, kHeaderExtension, kTuples, kStreamedValue, kFinished };

  // Each takes some bytes of [place, end) and gives where it stopped; nullptr after an error.
  const uint8_t* Step(const uint8_t* place, const uint8_t* end);
  const uint8_t* DecodeTuples(const uint8_t* place, const uint8_t* end);
  const uint8_t* FillPartial(const uint8_t* place, const uint8_t* end);
  const uint8_t* ContinueStream(const uint8_t* place, const uint8_t* end);
  const uint8_t* StopInValue(const uint8_t* place, const uint8_t* end, int32_t size);
  const uint8_t* Stash(const uint8_t* place, const uint8_t* end, int64_t needed);

  bool UsePartial(int64_t position);
  bool ParseHeader(const uint8_t* bytes);
  bool BeginTuple(int32_t fields);
  bool DecodeField(const uint8_t* bytes, int32_t size);
  bool NullField();
  bool StartStream(int32_t size);
  bool CheckSize(int32_t size);
  bool GrowRows();
  void FinishRow(int64_t position);
  void CheckBatch(int64_t position);
  void ClearBatch();
  int64_t BytesKeptMax() const { return std::max<int64_t>(2 * limits_.batch_bytes_max, 64 << 10); }

  bool Fail(const Status& status);
  bool FailField(const Status& status);
  int column_count() const { return static_cast<int>(nodes_.size()); }
  // Place in the stream, given that `end` is where the current chunk ends.
  int64_t PositionOf(const uint8_t* place, const uint8_t* end) const {
    return chunk_end_position_ - (end - place);
  }

  const std::vector<ColumnMapping> columns_;
  const DecodeLimits limits_;
  arrow::MemoryPool* const pool_;
  std::shared_ptr<arrow::Schema> schema_;

  std::vector<ColumnNode> nodes_;
  DecodeContext context_;
  Status failure_;
  State state_ = State::kHeader;
  int field_ = kBetweenTuples;  // the next one to decode
  bool ready_ = false;
  bool must_clear_ = false;  // the nodes' values were given out
  int64_t rows_ = 0;
  int64_t batch_rows_ = 0;
  int64_t row_capacity_ = 0;
  int64_t row_capacity_hint_ = 0;
  int64_t bytes_fed_ = 0;
  int64_t chunk_end_position_ = 0;
  int64_t batch_begin_position_ = 0;
  int64_t check_position_ = 0;  // the batch's Arrow bytes are counted when the stream gets here
  int64_t skip_bytes_ = 0;      // of the header's extension

  // A header, tuple head, length word or value that the chunks cut in two.
  std::shared_ptr<arrow::ResizableBuffer> partial_;
  int64_t partial_size_ = 0;
  int64_t partial_needed_ = 0;

  // A long text on its way into nodes_[field_], behind data_size.
  int64_t streamed_size_ = 0;
  int64_t streamed_left_ = 0;
  bool version_pending_ = false;
};

bool CopyDecoder::Impl::Fail(const Status& status) {
  failure_ = status;
  return false;
}

bool CopyDecoder::Impl::FailField(const Status& status) {
  const ColumnMapping& column = columns_[field_];
  const auto metadata = column.field->metadata();
  const std::string type = metadata ? metadata->value(0) : column.field->type()->ToString();
  return Fail(WithContext(
      status, fmt::format("column \"{}\" ({}), row {}", column.field->name(), type, rows_ + 1)));
}

Result<size_t> CopyDecoder::Impl::Feed(std::span<const uint8_t> bytes) {
  ARROW_RETURN_NOT_OK(failure_);
  if (ready_) return 0;
  if (must_clear_) ClearBatch();
  const uint8_t* const begin = bytes.data();
  const uint8_t* const end = begin + bytes.size();
  const uint8_t* place = begin;
  chunk_end_position_ = bytes_fed_ + static_cast<int64_t>(bytes.size());
  context_.input_end = end;
  while (place != end && !ready_) {
    place = Step(place, end);
    if (place == nullptr) return failure_;
  }
  bytes_fed_ += place - begin;
  return place - begin;
}

const uint8_t* CopyDecoder::Impl::Step(const uint8_t* place, const uint8_t* end) {
  if (state_ == State::kStreamedValue) return ContinueStream(place, end);
  if (partial_size_ > 0) return FillPartial(place, end);
  switch (state_) {
    case State::kTuples:
      return DecodeTuples(place, end);
    case State::kHeader:
      if (end - place < kHeaderBytes) return Stash(place, end, kHeaderBytes);
      return ParseHeader(place) ? place + kHeaderBytes : nullptr;
    case State::kHeaderExtension: {
      const int64_t skipped = std::min<int64_t>(skip_bytes_, end - place);
      skip_bytes_ -= skipped;
      if (skip_bytes_ == 0) state_ = State::kTuples;
      return place + skipped;
    }
    default:
      Fail(PermanentError(fmt::format(
          "malformed binary COPY data: bytes behind the trailer, after row {}", rows_)));
      return nullptr;
  }
}

bool CopyDecoder::Impl::ParseHeader(const uint8_t* bytes) {
  if (std::memcmp(bytes, kSignature, sizeof(kSignature)) != 0) {
    return Fail(PermanentError("malformed binary COPY data: it does not begin with PGCOPY"));
  }
  const uint32_t flags = LoadU32(bytes + sizeof(kSignature));
  const int32_t extension = LoadI32(bytes + sizeof(kSignature) + 4);
  if ((flags & kCriticalFlags) != 0 || extension < 0) {
    return Fail(PermanentError(
        fmt::format("malformed binary COPY data: unknown header flags {:#x} or extension size {}",
                    flags, extension)));
  }
  skip_bytes_ = extension;
  state_ = extension > 0 ? State::kHeaderExtension : State::kTuples;
  return true;
}

const uint8_t* CopyDecoder::Impl::DecodeTuples(const uint8_t* place, const uint8_t* end) {
  const int columns = column_count();
  ColumnNode* const nodes = nodes_.data();
  int field = field_;
  for (;;) {
    if (field == kBetweenTuples) {
      if (end - place < 2) break;
      const int32_t fields = LoadI16(place);
      if (fields != columns || batch_rows_ == row_capacity_) [[unlikely]] {
        field_ = field;
        if (!BeginTuple(fields)) return nullptr;
        if (state_ == State::kFinished) return place + 2;
      }
      place += 2;
      field = 0;
    }
    for (; field < columns; ++field) {
      if (end - place < 4) break;
      const int32_t size = LoadI32(place);
      if (static_cast<uint32_t>(size) > static_cast<uint64_t>(end - place - 4)) [[unlikely]] {
        field_ = field;
        if (size == -1) {
          if (!NullField()) return nullptr;
          place += 4;
          continue;
        }
        return StopInValue(place, end, size);
      }
      if (!nodes[field].decode(context_, nodes[field], place + 4, size)) [[unlikely]] {
        field_ = field;
        FailField(context_.error);
        return nullptr;
      }
      place += 4 + size;
    }
    if (field < columns) break;
    field = field_ = kBetweenTuples;
    FinishRow(PositionOf(place, end));
    if (ready_) return place;
  }
  field_ = field;
  return place == end ? place : Stash(place, end, field == kBetweenTuples ? 2 : 4);
}

bool CopyDecoder::Impl::BeginTuple(int32_t fields) {
  if (fields == -1) {
    state_ = State::kFinished;
    return true;
  }
  if (fields != column_count()) {
    return Fail(PermanentError(
        fmt::format("malformed binary COPY data: row {} has {} fields where {} columns were asked "
                    "for",
                    rows_ + 1, fields, column_count())));
  }
  return batch_rows_ < row_capacity_ || GrowRows();
}

bool CopyDecoder::Impl::GrowRows() {
  const int64_t grown = std::min(std::max({row_capacity_ * 2, row_capacity_hint_, int64_t{64}}),
                                 limits_.batch_rows_max);
  for (ColumnNode& node : nodes_) {
    Status room = node.EnsureRows(grown);
    if (!room.ok()) return Fail(room);
  }
  row_capacity_ = grown;
  return true;
}

bool CopyDecoder::Impl::CheckSize(int32_t size) {
  if (size >= 0 && size <= kValueBytesMax) return true;
  return FailField(
      PermanentError(fmt::format("malformed binary COPY data: a value of {} bytes", size)));
}

bool CopyDecoder::Impl::NullField() {
  if (!columns_[field_].field->nullable()) {
    return FailField(PermanentError("NULL in a column that the catalogue declares NOT NULL"));
  }
  Status status = nodes_[field_].AppendNull();
  return status.ok() || FailField(status);
}

bool CopyDecoder::Impl::DecodeField(const uint8_t* bytes, int32_t size) {
  ColumnNode& node = nodes_[field_];
  return node.decode(context_, node, bytes, size) || FailField(context_.error);
}

// The value of `size` bytes at `place` does not end in this chunk, or its size is no size.
const uint8_t* CopyDecoder::Impl::StopInValue(const uint8_t* place, const uint8_t* end,
                                              int32_t size) {
  if (!CheckSize(size)) return nullptr;
  if (size >= kStreamedBytesMin && IsStreamable(columns_[field_].plan->kind)) {
    if (!StartStream(size)) return nullptr;
    return place + 4;
  }
  return Stash(place, end, 4 + int64_t{size});
}

const uint8_t* CopyDecoder::Impl::Stash(const uint8_t* place, const uint8_t* end, int64_t needed) {
  partial_needed_ = needed;
  return FillPartial(place, end);
}

const uint8_t* CopyDecoder::Impl::FillPartial(const uint8_t* place, const uint8_t* end) {
  const int64_t taken = std::min<int64_t>(partial_needed_ - partial_size_, end - place);
  const int64_t size = partial_size_ + taken;
  if (!partial_ || partial_->size() < size) {
    // By what is there, not by what a length word promises.
    const int64_t grown =
        std::max({int64_t{1024}, size, std::min(size + size / 2, partial_needed_)});
    Status room;
    if (partial_) {
      room = partial_->Resize(grown, /*shrink_to_fit=*/false);
    } else {
      auto fresh = arrow::AllocateResizableBuffer(grown, pool_);
      room = fresh.status();
      if (room.ok()) partial_ = std::move(*fresh);
    }
    if (!room.ok()) {
      Fail(room);
      return nullptr;
    }
  }
  std::memcpy(partial_->mutable_data() + partial_size_, place, taken);
  partial_size_ = size;
  if (partial_size_ < partial_needed_) return end;
  return UsePartial(PositionOf(place + taken, end)) ? place + taken : nullptr;
}

// `partial_` holds all that was needed. It is empty afterwards, or needs more.
bool CopyDecoder::Impl::UsePartial(int64_t position) {
  const uint8_t* const bytes = partial_->data();
  const int64_t size = std::exchange(partial_size_, 0);
  if (state_ == State::kHeader) return ParseHeader(bytes);
  if (field_ == kBetweenTuples) {
    if (!BeginTuple(LoadI16(bytes))) return false;
    if (state_ == State::kFinished) return true;
    field_ = 0;
  } else {
    const int32_t value_size = LoadI32(bytes);
    if (size == 4 && value_size > 0) {
      if (!CheckSize(value_size)) return false;
      if (value_size >= kStreamedBytesMin && IsStreamable(columns_[field_].plan->kind)) {
        return StartStream(value_size);
      }
      partial_size_ = size;
      partial_needed_ = 4 + int64_t{value_size};
      return true;
    }
    const uint8_t* const chunk_end = std::exchange(context_.input_end, bytes + size);
    const bool decoded = value_size == -1
                             ? NullField()
                             : CheckSize(value_size) && DecodeField(bytes + 4, value_size);
    context_.input_end = chunk_end;
    if (!decoded) return false;
    ++field_;
  }
  if (field_ == column_count()) FinishRow(position);
  return true;
}

bool CopyDecoder::Impl::StartStream(int32_t size) {
  ColumnNode& node = nodes_[field_];
  Status room = node.EnsureData(size);
  if (!room.ok()) return FailField(room);
  streamed_size_ = 0;
  streamed_left_ = size;
  version_pending_ = columns_[field_].plan->kind == DecodeKind::kVersioned;
  state_ = State::kStreamedValue;
  return true;
}

const uint8_t* CopyDecoder::Impl::ContinueStream(const uint8_t* place, const uint8_t* end) {
  ColumnNode& node = nodes_[field_];
  if (std::exchange(version_pending_, false)) {
    if (*place != 1) {
      context_.Malformed(fmt::format("version {} of jsonb or jsonpath", *place));
      FailField(context_.error);
      return nullptr;
    }
    --streamed_left_;
    return place + 1;
  }
  const int64_t taken = std::min<int64_t>(streamed_left_, end - place);
  std::memcpy(node.data + node.data_size + streamed_size_, place, taken);
  streamed_size_ += taken;
  streamed_left_ -= taken;
  place += taken;
  if (streamed_left_ > 0) return place;
  state_ = State::kTuples;
  if (columns_[field_].plan->kind == DecodeKind::kBinary) {
    node.AppendWritten(streamed_size_);
  } else if (!AppendWrittenText(context_, node, streamed_size_)) {
    FailField(context_.error);
    return nullptr;
  }
  if (++field_ == column_count()) FinishRow(PositionOf(place, end));
  return place;
}

void CopyDecoder::Impl::FinishRow(int64_t position) {
  field_ = kBetweenTuples;
  ++rows_;
  ++batch_rows_;
  if (batch_rows_ == limits_.batch_rows_max) {
    ready_ = true;
  } else if (position + context_.expanded_bytes >= check_position_) {
    CheckBatch(position);
  }
}

void CopyDecoder::Impl::CheckBatch(int64_t position) {
  int64_t bytes = 0;
  for (const ColumnNode& node : nodes_) bytes += node.ValueBytes();
  if (bytes >= limits_.batch_bytes_max ||
      position - batch_begin_position_ >= kBatchStreamBytesMax) {
    ready_ = true;
    return;
  }
  // NULLs and booleans apart, values are about as large in Arrow as in the stream, and what grows
  // more is in expanded_bytes.
  const int64_t step =
      std::max((limits_.batch_bytes_max - bytes) / 2, limits_.batch_bytes_max / 64);
  check_position_ = position + context_.expanded_bytes + step;
}

Result<std::shared_ptr<arrow::RecordBatch>> CopyDecoder::Impl::TakeBatch() {
  ARROW_RETURN_NOT_OK(failure_);
  if (field_ != kBetweenTuples || must_clear_) {
    if (must_clear_) return nullptr;
    return BugError("a batch was taken in the middle of a row");
  }
  if (batch_rows_ == 0) return nullptr;
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  arrays.reserve(nodes_.size());
  for (const ColumnNode& node : nodes_) {
    ARROW_ASSIGN_OR_RAISE(auto array, node.Finish());
    arrays.push_back(std::move(array));
  }
  auto batch = arrow::RecordBatch::Make(schema_, batch_rows_, std::move(arrays));
  ready_ = false;
  must_clear_ = true;
  return batch;
}

void CopyDecoder::Impl::ClearBatch() {
  must_clear_ = false;
  row_capacity_hint_ = row_capacity_;
  row_capacity_ = limits_.batch_rows_max;
  for (ColumnNode& node : nodes_) {
    node.Clear(BytesKeptMax());
    row_capacity_ = std::min(row_capacity_, node.capacity);
  }
  if (partial_ && partial_size_ == 0 && partial_->capacity() > BytesKeptMax()) partial_.reset();
  batch_rows_ = 0;
  context_.expanded_bytes = 0;
  batch_begin_position_ = bytes_fed_;
  check_position_ = bytes_fed_ + limits_.batch_bytes_max / 2;
}

Status CopyDecoder::Impl::Finish() {
  ARROW_RETURN_NOT_OK(failure_);
  if (finished()) return Status::OK();
  Fail(PermanentError(fmt::format(
      "truncated binary COPY data: the stream ended after {} rows and {} bytes without its trailer",
      rows_, bytes_fed_)));
  return failure_;
}

void CopyDecoder::Impl::Reset() {
  failure_ = Status::OK();
  context_.error = Status::OK();
  context_.counters.fill(0);
  state_ = State::kHeader;
  field_ = kBetweenTuples;
  ready_ = false;
  rows_ = 0;
  bytes_fed_ = 0;
  skip_bytes_ = 0;
  partial_size_ = 0;
  // A failed value may have left a structure's parts of unequal length: Clear() levels them.
  ClearBatch();
}

int64_t CopyDecoder::Impl::buffered_bytes() const {
  int64_t bytes = partial_ ? partial_->capacity() : 0;
  for (const ColumnNode& node : nodes_) bytes += node.BufferBytes();
  return bytes;
}

CopyDecoder::CopyDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CopyDecoder::~CopyDecoder() = default;

Result<std::unique_ptr<CopyDecoder>> CopyDecoder::Make(std::vector<ColumnMapping> columns,
                                                       DecodeLimits limits,
                                                       arrow::MemoryPool* pool) {
  if (limits.batch_bytes_max < 1 || limits.batch_rows_max < 1) {
    return BugError("batch limits below 1");
  }
  for (const ColumnMapping& column : columns) {
    if (!column.plan || !column.field) return BugError("a column without a mapping");
  }
  return std::unique_ptr<CopyDecoder>(
      new CopyDecoder(std::make_unique<Impl>(std::move(columns), limits, pool)));
}

const std::shared_ptr<arrow::Schema>& CopyDecoder::schema() const { return impl_->schema(); }
Result<size_t> CopyDecoder::Feed(std::span<const uint8_t> bytes) { return impl_->Feed(bytes); }
bool CopyDecoder::batch_ready() const { return impl_->batch_ready(); }
Result<std::shared_ptr<arrow::RecordBatch>> CopyDecoder::TakeBatch() { return impl_->TakeBatch(); }
Status CopyDecoder::Finish() { return impl_->Finish(); }
bool CopyDecoder::finished() const { return impl_->finished(); }
void CopyDecoder::Reset() { impl_->Reset(); }
int64_t CopyDecoder::rows() const { return impl_->rows(); }
int64_t CopyDecoder::bytes_fed() const { return impl_->bytes_fed(); }
int64_t CopyDecoder::buffered_bytes() const { return impl_->buffered_bytes(); }

std::map<std::string, int64_t> CopyDecoder::counters() const {
  std::map<std::string, int64_t> counts;
  for (int counter = 0; counter < kCounterCount; ++counter) {
    if (impl_->counters()[counter] > 0) {
      counts[kCounterNames[counter]] = impl_->counters()[counter];
    }
  }
  return counts;
}

}  // namespace bulkhaul::pg
