#include "transform/unique_values.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <queue>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <arrow/array/array_base.h>
#include <arrow/array/array_binary.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "plan/type_name.h"
#include "transform/take_rows.h"
#include "transform/text_rules.h"

namespace bulkhaul {
namespace {

using Key = UniqueKeys::Key;
static_assert(sizeof(Key) == 24);

constexpr int64_t kReadKeysMin = 170, kReadKeysMax = 10'922;  // 4 KiB to 256 KiB

bool Before(const Key& left, const Key& right) {
  return std::tie(left.value, left.row) < std::tie(right.value, right.row);
}

Status WriteAll(int descriptor, const char* data, size_t bytes, const std::string& path) {
  while (bytes > 0) {
    const ssize_t count = write(descriptor, data, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoError(errno, "keep the keys of unique columns in", path);
    data += count;
    bytes -= static_cast<size_t>(count);
  }
  return Status::OK();
}

// One run, read piece by piece. The file is not kept open: there may be thousands.
class RunReader {
 public:
  RunReader(std::string path, size_t unit, int64_t first, int64_t count, int64_t buffered_max)
      : unit(unit),
        path_(std::move(path)),
        next_(first),
        end_(first + count),
        buffered_max_(buffered_max) {}

  Result<bool> Next(Key* key) {
    if (at_ == keys_.size()) {
      if (next_ == end_) return false;
      ARROW_RETURN_NOT_OK(Fill());
    }
    *key = keys_[at_++];
    return true;
  }
  size_t unit;

 private:
  Status Fill() {
    const auto gone = [&](int error) {
      return PermanentError(fmt::format("the keys of a unique column in '{}' cannot be read: {}; "
                                        "start a new job",
                                        path_, error == 0 ? "it is too short" : strerror(error)),
                            "keys_lost");
    };
    keys_.resize(static_cast<size_t>(std::min(buffered_max_, end_ - next_)));
    const int descriptor = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return gone(errno);
    size_t done = 0;
    const size_t wanted = keys_.size() * sizeof(Key);
    Status status;
    while (done < wanted && status.ok()) {
      const ssize_t count = pread(
          descriptor, reinterpret_cast<char*>(keys_.data()) + done, wanted - done,
          static_cast<off_t>(next_ * static_cast<int64_t>(sizeof(Key))) + static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) status = gone(count < 0 ? errno : 0);
      if (count > 0) done += static_cast<size_t>(count);
    }
    close(descriptor);
    at_ = 0;
    next_ += static_cast<int64_t>(keys_.size());
    return status;
  }

  std::string path_;
  int64_t next_, end_;  // keys of the file
  int64_t buffered_max_;
  std::vector<Key> keys_;
  size_t at_ = 0;
};

// A dictionary's indices mean other values in each batch.
const std::shared_ptr<arrow::DataType>& DictionaryValueType(
    const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() != arrow::Type::DICTIONARY) return type;
  return static_cast<const arrow::DictionaryType&>(*type).value_type();
}

int ByteWidth(const arrow::DataType& type) {
  return arrow::is_fixed_width(type.id())
             ? static_cast<const arrow::FixedWidthType&>(type).bit_width() / 8
             : 0;
}

template <typename ArrayType>
Hash128 TextKey(const arrow::Array& array, int64_t row) {
  return WideHashOf(static_cast<const ArrayType&>(array).GetView(row));
}

// Of one type; the loop below is written out for each.
template <typename KeyOf>
Status AddRows(const arrow::Array& array, const RowMarks& marks, int64_t first_row,
               int64_t unit_row, size_t keys_max, std::vector<Key>* keys,
               const std::function<Status()>& flush, KeyOf key_of) {
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i) || marks.RuleOf(first_row + i) >= 0) continue;
    keys->push_back({key_of(i), unit_row + i});
    if (keys->size() >= keys_max) ARROW_RETURN_NOT_OK(flush());
  }
  return Status::OK();
}

template <typename T>
Hash128 PlainKey(T value) {
  if constexpr (std::is_floating_point_v<T>) value += T{0};  // one zero
  Hash128 key;
  std::memcpy(&key.low, &value, sizeof(value));
  return key;
}

}  // namespace

UniqueKeys::UniqueKeys(std::string path, int64_t keys_max)
    : path_(std::move(path)), keys_max_(static_cast<size_t>(std::max<int64_t>(keys_max, 1))) {}

UniqueKeys::~UniqueKeys() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!finished_ && !runs_.path.empty()) unlink(path_.c_str());
}

Status UniqueKeys::CheckType(const std::shared_ptr<arrow::DataType>& stored,
                             const std::string& column) {
  const arrow::DataType& type = *DictionaryValueType(stored);
  const int bytes = ByteWidth(type);
  if (IsText(type) || type.id() == arrow::Type::DECIMAL256 || bytes == 1 || bytes == 2 ||
      bytes == 4 || bytes == 8 || bytes == 16) {
    return Status::OK();
  }
  return UserError(fmt::format("contract: column '{}' is {}, whose values cannot be told to be "
                               "unique",
                               column, TypeName(type)),
                   "contract");
}

Status UniqueKeys::Add(const arrow::Array& array, const RowMarks& marks, int64_t first_row,
                       int64_t unit_row) {
  if (array.type_id() == arrow::Type::DICTIONARY) {
    const auto& encoded = static_cast<const arrow::DictionaryArray&>(array);
    ARROW_ASSIGN_OR_RAISE(const auto plain, Decoded(encoded, arrow::default_memory_pool()));
    return Add(*plain, marks, first_row, unit_row);
  }
  const auto add = [&](auto key_of) {
    return AddRows(
        array, marks, first_row, unit_row, keys_max_, &keys_, [this] { return Flush(); }, key_of);
  };
  const arrow::ArrayData& data = *array.data();
  switch (array.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return add([&](int64_t i) { return TextKey<arrow::BinaryArray>(array, i); });
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return add([&](int64_t i) { return TextKey<arrow::LargeBinaryArray>(array, i); });
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
      return add([&](int64_t i) { return TextKey<arrow::BinaryViewArray>(array, i); });
    case arrow::Type::FLOAT:
      return add([values = data.GetValues<float>(1)](int64_t i) { return PlainKey(values[i]); });
    case arrow::Type::DOUBLE:
      return add([values = data.GetValues<double>(1)](int64_t i) { return PlainKey(values[i]); });
    default:
      break;
  }
  const auto width = static_cast<size_t>(ByteWidth(*array.type()));
  const auto* bytes = reinterpret_cast<const char*>(data.GetValues<uint8_t>(1, 0)) +
                      static_cast<size_t>(data.offset) * width;
  if (width > 16) {
    return add([&](int64_t i) {
      return WideHashOf(std::string_view(bytes + static_cast<size_t>(i) * width, width));
    });
  }
  return add([&](int64_t i) {
    Hash128 key;
    const char* value = bytes + static_cast<size_t>(i) * width;
    std::memcpy(&key.low, value, std::min<size_t>(width, 8));
    if (width > 8) std::memcpy(&key.high, value + 8, width - 8);
    return key;
  });
}

Status UniqueKeys::Flush() {
  if (keys_.empty()) return Status::OK();
  if (descriptor_ < 0) {
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor_ < 0) return ErrnoError(errno, "keep the keys of unique columns in", path_);
    runs_.path = path_;
  }
  std::sort(keys_.begin(), keys_.end(), Before);
  ARROW_RETURN_NOT_OK(WriteAll(descriptor_, reinterpret_cast<const char*>(keys_.data()),
                               keys_.size() * sizeof(Key), path_));
  runs_.lengths.push_back(static_cast<int64_t>(keys_.size()));
  keys_.clear();
  return Status::OK();
}

Result<KeyRuns> UniqueKeys::Finish() {
  ARROW_RETURN_NOT_OK(Flush());
  if (descriptor_ >= 0 && fsync(descriptor_) != 0) {
    return ErrnoError(errno, "keep the keys of unique columns in", path_);
  }
  finished_ = true;
  return runs_;
}

Result<std::optional<Duplicate>> FindDuplicate(std::span<const KeyRuns> units, int64_t bytes_max) {
  int64_t runs = 0;
  for (const auto& unit : units) runs += static_cast<int64_t>(unit.lengths.size());
  const int64_t buffered =
      std::clamp(bytes_max / std::max<int64_t>(runs, 1) / static_cast<int64_t>(sizeof(Key)),
                 kReadKeysMin, kReadKeysMax);
  std::vector<RunReader> readers;
  for (size_t unit = 0; unit < units.size(); ++unit) {
    int64_t first = 0;
    for (const int64_t length : units[unit].lengths) {
      readers.emplace_back(units[unit].path, unit, first, length, buffered);
      first += length;
    }
  }
  using Head = std::pair<Key, size_t>;  // and its reader
  const auto after = [&](const Head& left, const Head& right) {
    const auto place = [&](const Head& head) {
      return std::tuple(head.first.value, readers[head.second].unit, head.first.row);
    };
    return place(left) > place(right);
  };
  std::priority_queue<Head, std::vector<Head>, decltype(after)> heads(after);
  const auto advance = [&](size_t reader) -> Status {
    Key key;
    ARROW_ASSIGN_OR_RAISE(const bool more, readers[reader].Next(&key));
    if (more) heads.emplace(key, reader);
    return Status::OK();
  };
  for (size_t i = 0; i < readers.size(); ++i) ARROW_RETURN_NOT_OK(advance(i));
  std::optional<Duplicate> found;
  std::optional<Head> last;
  bool counted = false;
  while (!heads.empty()) {
    const Head head = heads.top();
    heads.pop();
    ARROW_RETURN_NOT_OK(advance(head.second));
    const bool same = last && last->first.value == head.first.value;
    if (same && !found) {
      found = Duplicate{head.first.value,
                        readers[last->second].unit,
                        readers[head.second].unit,
                        last->first.row,
                        head.first.row,
                        0};
    }
    if (same && !counted) ++found->values;
    counted = same;
    last = head;
  }
  return found;
}

std::string ValueOfKey(const Hash128& key, const std::shared_ptr<arrow::DataType>& stored) {
  const auto& type = DictionaryValueType(stored);
  const int width = ByteWidth(*type);
  if (width == 0 || width > 16) return {};
  char bytes[16] = {};
  std::memcpy(bytes, &key.low, 8);
  std::memcpy(bytes + 8, &key.high, 8);
  const auto buffer = arrow::Buffer::FromString(std::string(bytes, sizeof(bytes)));
  const auto array = arrow::MakeArray(arrow::ArrayData::Make(type, 1, {nullptr, buffer}, 0));
  const auto scalar = array->GetScalar(0);
  return scalar.ok() ? (*scalar)->ToString() : std::string();
}

}  // namespace bulkhaul
