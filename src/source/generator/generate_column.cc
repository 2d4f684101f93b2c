#include "source/generator/generate_column.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/decimal.h>

namespace bulkhaul {
namespace {

using arrow::Type;
using Hashes = std::span<const uint64_t>;
using DataResult = Result<std::shared_ptr<arrow::ArrayData>>;
using BufferResult = Result<std::shared_ptr<arrow::Buffer>>;

// Independent streams from one hash: each use has its own salt.
constexpr uint64_t kNullSalt = 0x6e756c6c, kLengthSalt = 0x6c656e67, kNanSalt = 0x6e616e21,
                   kHighSalt = 0x68696768;

// Uniform in [0, 1).
double Unit(uint64_t hash) { return static_cast<double>(hash >> 11) * 0x1p-53; }

// Uniform, or with `skew` nearer to `low`, in [low, high].
int64_t InRange(uint64_t hash, int64_t low, int64_t high, bool skew) {
  const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  if (span == 0) return static_cast<int64_t>(hash);
  if (skew) {
    const double share = std::pow(Unit(hash), 3);
    const auto offset = static_cast<uint64_t>(share * static_cast<double>(span));
    return static_cast<int64_t>(static_cast<uint64_t>(low) + std::min(offset, span - 1));
  }
  const auto offset = static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * span) >> 64);
  return static_cast<int64_t>(static_cast<uint64_t>(low) + offset);
}

int64_t LengthOf(const GeneratorColumn& column, uint64_t hash) {
  return InRange(Mix(hash ^ kLengthSalt), column.length_min, column.length_max, column.skew);
}

template <typename Value, typename Make>
BufferResult FixedBuffer(Hashes hashes, arrow::MemoryPool* pool, Make make) {
  const auto count = static_cast<int64_t>(hashes.size());
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateBuffer(count * sizeof(Value), pool));
  auto* values = reinterpret_cast<Value*>(buffer->mutable_data());
  for (int64_t i = 0; i < count; ++i) values[i] = make(hashes[i], i);
  return std::shared_ptr<arrow::Buffer>(std::move(buffer));
}

template <typename Value>
BufferResult Integers(const GeneratorColumn& column, Hashes hashes, int64_t first_row,
                      arrow::MemoryPool* pool) {
  if (column.serial) {
    const int64_t first = column.minimum.value_or(1) + first_row;
    return FixedBuffer<Value>(hashes, pool,
                              [&](uint64_t, int64_t i) { return static_cast<Value>(first + i); });
  }
  if (!column.minimum && !column.maximum && !column.skew) {
    // All bits are random, so that extremes of the type appear.
    return FixedBuffer<Value>(hashes, pool,
                              [](uint64_t hash, int64_t) { return static_cast<Value>(hash); });
  }
  const int64_t low = column.minimum.value_or(0);
  int64_t type_max = INT64_MAX;
  if constexpr (sizeof(Value) < 8) type_max = std::numeric_limits<Value>::max();
  const int64_t high = std::max(low, column.maximum.value_or(type_max));
  return FixedBuffer<Value>(hashes, pool, [&](uint64_t hash, int64_t) {
    return static_cast<Value>(InRange(hash, low, high, column.skew));
  });
}

template <typename Value>
BufferResult Floats(const GeneratorColumn& column, Hashes hashes, arrow::MemoryPool* pool) {
  const bool bounded = column.minimum || column.maximum;
  const auto low = static_cast<double>(column.minimum.value_or(0));
  const auto high = static_cast<double>(column.maximum.value_or(1));
  return FixedBuffer<Value>(hashes, pool, [&](uint64_t hash, int64_t) -> Value {
    if (column.nan_fraction > 0 && Unit(Mix(hash ^ kNanSalt)) < column.nan_fraction) {
      constexpr Value infinity = std::numeric_limits<Value>::infinity();
      return hash % 3 == 0 ? infinity : hash % 3 == 1 ? -infinity : std::nan("");
    }
    if (bounded) return static_cast<Value>(low + Unit(hash) * (high - low));
    // Many magnitudes and both signs.
    const double exponent = static_cast<double>(hash % 61) - 30;
    const double sign = (hash & (uint64_t{1} << 60)) != 0 ? -1 : 1;
    return static_cast<Value>(sign * std::ldexp(1 + Unit(Mix(hash)), static_cast<int>(exponent)));
  });
}

BufferResult Decimals(const GeneratorColumn& column, Hashes hashes, arrow::MemoryPool* pool) {
  const auto& type = static_cast<const arrow::Decimal128Type&>(*column.type);
  const auto power = [](int32_t digits) {
    return arrow::Decimal128(arrow::Decimal128::GetScaleMultiplier(digits));
  };
  const arrow::Decimal128 scale = power(type.scale());
  const arrow::Decimal128 low = arrow::Decimal128(column.minimum.value_or(0)) * scale;
  const arrow::Decimal128 span =
      arrow::Decimal128(column.maximum.value_or(column.minimum.value_or(0))) * scale - low +
      arrow::Decimal128(1);
  const bool bounded = column.minimum || column.maximum;
  return FixedBuffer<arrow::Decimal128>(
      hashes, pool, [&](uint64_t hash, int64_t) -> arrow::Decimal128 {
        const arrow::Decimal128 random(static_cast<int64_t>(Mix(hash ^ kHighSalt) >> 2), hash);
        if (bounded) return low + random % span;
        // Short and long numbers alike.
        const auto digits =
            1 + static_cast<int32_t>(hash % static_cast<uint64_t>(type.precision()));
        const arrow::Decimal128 value = random % power(digits);
        return (Mix(hash) & 1) != 0 ? arrow::Decimal128(-value) : value;
      });
}

BufferResult Booleans(Hashes hashes, arrow::MemoryPool* pool) {
  const auto count = static_cast<int64_t>(hashes.size());
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateEmptyBitmap(count, pool));
  for (int64_t i = 0; i < count; ++i) {
    arrow::bit_util::SetBitTo(buffer->mutable_data(), i, (hashes[i] & 1) != 0);
  }
  return buffer;
}

// Characters of one, two, three and four bytes.
void AppendCharacter(uint64_t hash, std::string* out) {
  static constexpr const char* kWide[] = {"ä",  "ß", "é",  "Ж", "ω", "ن", "中",
                                          "日", "€", "한", "😀", "🚚", "𝄞", "\u0301"};
  if (hash % 4 == 0)
    *out += kWide[(hash >> 8) % std::size(kWide)];
  else
    *out += static_cast<char>('a' + (hash >> 8) % 26);
}

void AppendText(const GeneratorColumn& column, uint64_t hash, std::string* out) {
  if (!column.choices.empty()) {
    *out += column.choices[hash % column.choices.size()];
    return;
  }
  static constexpr char kLetters[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -";
  const int64_t length = LengthOf(column, hash);
  if (column.unicode) {
    for (int64_t i = 0; i < length; ++i) AppendCharacter(hash = Mix(hash), out);
    return;
  }
  const bool binary = column.type->id() == Type::BINARY;
  for (int64_t i = 0; i < length; i += 8) {
    hash = Mix(hash);
    char bytes[8];
    std::memcpy(bytes, &hash, 8);
    if (!binary) {
      for (char& byte : bytes) byte = kLetters[static_cast<uint8_t>(byte) & 63];
    }
    out->append(bytes, static_cast<size_t>(std::min<int64_t>(8, length - i)));
  }
}

DataResult Texts(const GeneratorColumn& column, Hashes hashes, arrow::MemoryPool* pool) {
  const auto count = static_cast<int64_t>(hashes.size());
  ARROW_ASSIGN_OR_RAISE(auto offsets, arrow::AllocateBuffer((count + 1) * 4, pool));
  auto* offset = reinterpret_cast<int32_t*>(offsets->mutable_data());
  std::string bytes;
  offset[0] = 0;
  for (int64_t i = 0; i < count; ++i) {
    AppendText(column, hashes[i], &bytes);
    if (bytes.size() > INT32_MAX) return UserError("generator: a batch of strings is above 2 GiB");
    offset[i + 1] = static_cast<int32_t>(bytes.size());
  }
  ARROW_ASSIGN_OR_RAISE(auto data, arrow::AllocateBuffer(static_cast<int64_t>(bytes.size()), pool));
  if (!bytes.empty()) std::memcpy(data->mutable_data(), bytes.data(), bytes.size());
  return arrow::ArrayData::Make(column.type, count, {nullptr, std::move(offsets), std::move(data)},
                                0);
}

DataResult Lists(const GeneratorColumn& column, Hashes hashes, arrow::MemoryPool* pool) {
  const auto count = static_cast<int64_t>(hashes.size());
  ARROW_ASSIGN_OR_RAISE(auto offsets, arrow::AllocateBuffer((count + 1) * 4, pool));
  auto* offset = reinterpret_cast<int32_t*>(offsets->mutable_data());
  std::vector<uint64_t> item_hashes;
  offset[0] = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t length = LengthOf(column, hashes[i]);
    for (int64_t k = 1; k <= length; ++k) {
      item_hashes.push_back(Mix(hashes[i] + static_cast<uint64_t>(k)));
    }
    offset[i + 1] = static_cast<int32_t>(item_hashes.size());
  }
  ARROW_ASSIGN_OR_RAISE(const auto items, GenerateColumn(column.children[0], item_hashes, 0, pool));
  auto data = arrow::ArrayData::Make(column.type, count, {nullptr, std::move(offsets)}, 0);
  data->child_data = {items->data()};
  return data;
}

DataResult Structs(const GeneratorColumn& column, Hashes hashes, int64_t first_row,
                   arrow::MemoryPool* pool) {
  auto data =
      arrow::ArrayData::Make(column.type, static_cast<int64_t>(hashes.size()), {nullptr}, 0);
  std::vector<uint64_t> child_hashes(hashes.size());
  uint64_t salt = 0;
  for (const auto& child : column.children) {
    ++salt;
    std::transform(hashes.begin(), hashes.end(), child_hashes.begin(),
                   [&](uint64_t hash) { return Mix(hash ^ Mix(salt)); });
    ARROW_ASSIGN_OR_RAISE(const auto array, GenerateColumn(child, child_hashes, first_row, pool));
    data->child_data.push_back(array->data());
  }
  return data;
}

BufferResult FixedWidth(const GeneratorColumn& column, Hashes hashes, int64_t first_row,
                        arrow::MemoryPool* pool) {
  const auto ranged = [&](int64_t low, int64_t high, auto zero) {
    low = column.minimum.value_or(low);
    high = std::max(low, column.maximum.value_or(high));
    return FixedBuffer<decltype(zero)>(hashes, pool, [&, low, high](uint64_t hash, int64_t) {
      return static_cast<decltype(zero)>(InRange(hash, low, high, column.skew));
    });
  };
  switch (column.type->id()) {
    case Type::INT8:
      return Integers<int8_t>(column, hashes, first_row, pool);
    case Type::INT16:
      return Integers<int16_t>(column, hashes, first_row, pool);
    case Type::INT32:
      return Integers<int32_t>(column, hashes, first_row, pool);
    case Type::INT64:
      return Integers<int64_t>(column, hashes, first_row, pool);
    case Type::UINT8:
      return Integers<uint8_t>(column, hashes, first_row, pool);
    case Type::UINT16:
      return Integers<uint16_t>(column, hashes, first_row, pool);
    case Type::UINT32:
      return Integers<uint32_t>(column, hashes, first_row, pool);
    case Type::UINT64:
      return Integers<uint64_t>(column, hashes, first_row, pool);
    case Type::FLOAT:
      return Floats<float>(column, hashes, pool);
    case Type::DOUBLE:
      return Floats<double>(column, hashes, pool);
    case Type::BOOL:
      return Booleans(hashes, pool);
    case Type::DECIMAL128:
      return Decimals(column, hashes, pool);
    case Type::DATE32:
      return ranged(-719162, 2932896, int32_t{});  // 0001-01-01 … 9999-12-31
    case Type::TIME64:
      return ranged(0, 86'399'999'999, int64_t{});
    case Type::TIMESTAMP:
      return ranged(-62'135'596'800'000'000, 253'402'300'799'999'999, int64_t{});
    case Type::EXTENSION:
      return FixedBuffer<std::array<uint64_t, 2>>(hashes, pool, [](uint64_t hash, int64_t) {
        return std::array<uint64_t, 2>{hash, Mix(hash ^ kHighSalt)};
      });
    default:
      return BugError("generator: no values for " + column.type->ToString());
  }
}

Status AddNulls(double fraction, Hashes hashes, arrow::MemoryPool* pool, arrow::ArrayData* data) {
  ARROW_ASSIGN_OR_RAISE(auto bitmap, arrow::AllocateEmptyBitmap(data->length, pool));
  int64_t nulls = 0;
  for (int64_t i = 0; i < data->length; ++i) {
    const bool null = Unit(Mix(hashes[i] ^ kNullSalt)) < fraction;
    nulls += null;
    arrow::bit_util::SetBitTo(bitmap->mutable_data(), i, !null);
  }
  if (nulls == 0) return Status::OK();
  data->buffers[0] = std::move(bitmap);
  data->null_count = nulls;
  return Status::OK();
}

}  // namespace

void RowHashes(uint64_t table_seed, uint64_t column, int64_t first_row,
               std::span<uint64_t> hashes) {
  const uint64_t seed = Mix(table_seed ^ Mix(column + 1));
  for (size_t i = 0; i < hashes.size(); ++i) {
    hashes[i] = Mix(seed + static_cast<uint64_t>(first_row) + i);
  }
}

Result<std::shared_ptr<arrow::Array>> GenerateColumn(const GeneratorColumn& column, Hashes hashes,
                                                     int64_t first_row, arrow::MemoryPool* pool) {
  std::vector<uint64_t> limited;
  Hashes values = hashes;
  if (column.distinct > 0) {
    limited.assign(hashes.begin(), hashes.end());
    for (auto& hash : limited) hash = Mix(hash % static_cast<uint64_t>(column.distinct));
    values = limited;
  }
  std::shared_ptr<arrow::ArrayData> data;
  switch (column.type->id()) {
    case Type::STRING:
    case Type::BINARY: {
      ARROW_ASSIGN_OR_RAISE(data, Texts(column, values, pool));
      break;
    }
    case Type::LIST: {
      ARROW_ASSIGN_OR_RAISE(data, Lists(column, values, pool));
      break;
    }
    case Type::STRUCT: {
      ARROW_ASSIGN_OR_RAISE(data, Structs(column, values, first_row, pool));
      break;
    }
    default: {
      ARROW_ASSIGN_OR_RAISE(auto buffer, FixedWidth(column, values, first_row, pool));
      data = arrow::ArrayData::Make(column.type, static_cast<int64_t>(hashes.size()),
                                    {nullptr, std::move(buffer)}, 0);
    }
  }
  if (column.null_fraction > 0) {
    ARROW_RETURN_NOT_OK(AddNulls(column.null_fraction, hashes, pool, data.get()));
  }
  return arrow::MakeArray(data);
}

}  // namespace bulkhaul
