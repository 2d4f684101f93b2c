// Types that Arrow does not have, from the texts that the decoder makes of them.
// Source: network_recv(), macaddr_recv(), varbit_recv(), pg_lsn_recv(), tidrecv(), timetz_recv(),
// uuid_recv(), charrecv().
#include <arpa/inet.h>

#include <charconv>
#include <cstdio>

#include <fmt/format.h>

#include "base/text.h"
#include "wire/pg_copy/binary_format.h"
#include "wire/pg_copy/builtin_types.h"
#include "wire/pg_copy/encode_plan.h"

namespace bulkhaul::pg {
namespace {

bool NotA(const EncodePlan& plan, std::string_view text, std::string* why) {
  *why = fmt::format("'{}' is not a {}", text.substr(0, 60), plan.type_name);
  return false;
}

// Hexadecimal digits with separators between them, as macaddr and uuid are written.
bool ReadHex(std::string_view text, std::string_view separators, uint8_t* out, size_t bytes) {
  size_t digits = 0;
  for (const char letter : text) {
    if (separators.find(letter) != std::string_view::npos) continue;
    const int digit = HexDigit(letter);
    if (digit < 0 || digits == 2 * bytes) return false;
    out[digits / 2] = static_cast<uint8_t>(digits % 2 == 0 ? digit << 4 : out[digits / 2] | digit);
    ++digits;
  }
  return digits == 2 * bytes;
}

template <typename T>
bool ReadNumber(std::string_view text, T* value, int base = 10) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

bool EncodeInet(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row, ByteBuffer* out,
                std::string* why) {
  const std::string_view text = BytesOf(array, row);
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  uint8_t bytes[16];
  const bool ipv4 = address.find(':') == std::string::npos;
  const int size = ipv4 ? 4 : 16;
  if (inet_pton(ipv4 ? AF_INET : AF_INET6, address.c_str(), bytes) != 1) {
    return NotA(plan, text, why);
  }
  int bits = 8 * size;
  if (slash != std::string_view::npos &&
      (!ReadNumber(text.substr(slash + 1), &bits) || bits < 0 || bits > 8 * size)) {
    return NotA(plan, text, why);
  }
  out->AppendByte(ipv4 ? kInetFamilyIpv4 : kInetFamilyIpv6);
  out->AppendByte(static_cast<uint8_t>(bits));
  out->AppendByte(plan.cidr ? 1 : 0);
  out->AppendByte(static_cast<uint8_t>(size));
  out->Append(bytes, static_cast<size_t>(size));
  return true;
}

template <size_t Bytes>
bool EncodeMac(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row, ByteBuffer* out,
               std::string* why) {
  uint8_t bytes[Bytes];
  if (!ReadHex(BytesOf(array, row), ":-.", bytes, Bytes)) {
    return NotA(plan, BytesOf(array, row), why);
  }
  out->Append(bytes, Bytes);
  return true;
}

bool EncodeUuidText(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                    ByteBuffer* out, std::string* why) {
  uint8_t bytes[16];
  if (!ReadHex(BytesOf(array, row), "-{}", bytes, 16)) return NotA(plan, BytesOf(array, row), why);
  out->Append(bytes, 16);
  return true;
}

bool EncodeBits(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row, ByteBuffer* out,
                std::string* why) {
  const std::string_view text = BytesOf(array, row);
  out->AppendU32(static_cast<uint32_t>(text.size()));
  uint8_t byte = 0;
  for (size_t bit = 0; bit < text.size(); ++bit) {
    if (text[bit] != '0' && text[bit] != '1') return NotA(plan, text, why);
    byte |= static_cast<uint8_t>((text[bit] - '0') << (7 - bit % 8));
    if (bit % 8 == 7 || bit + 1 == text.size()) {
      out->AppendByte(byte);
      byte = 0;
    }
  }
  return true;
}

bool EncodeLsn(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row, ByteBuffer* out,
               std::string* why) {
  const std::string_view text = BytesOf(array, row);
  const size_t slash = text.find('/');
  uint32_t high = 0, low = 0;
  if (slash == std::string_view::npos || !ReadNumber(text.substr(0, slash), &high, 16) ||
      !ReadNumber(text.substr(slash + 1), &low, 16)) {
    return NotA(plan, text, why);
  }
  out->AppendU32(high);
  out->AppendU32(low);
  return true;
}

bool EncodeTid(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row, ByteBuffer* out,
               std::string* why) {
  const std::string_view text = BytesOf(array, row);
  const size_t comma = text.find(',');
  uint32_t block = 0;
  uint16_t place = 0;
  if (comma == std::string_view::npos || !text.starts_with('(') || !text.ends_with(')') ||
      !ReadNumber(text.substr(1, comma - 1), &block) ||
      !ReadNumber(text.substr(comma + 1, text.size() - comma - 2), &place)) {
    return NotA(plan, text, why);
  }
  out->AppendU32(block);
  out->AppendU16(place);
  return true;
}

// 12:30:00.5+05:30
bool EncodeTimetz(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row,
                  ByteBuffer* out, std::string* why) {
  const std::string_view text = BytesOf(array, row);
  const size_t sign = text.find_first_of("+-");
  if (sign == std::string_view::npos) return NotA(plan, text, why);
  const auto clock = [](std::string_view part, int64_t* micros) {
    int64_t unit = 3'600'000'000;
    *micros = 0;
    for (; !part.empty() && unit >= 1'000'000; unit /= 60) {
      const size_t end = std::min(part.find_first_of(":."), part.size());
      int64_t number = 0;
      if (!ReadNumber(part.substr(0, end), &number)) return false;
      *micros += number * unit;
      if (end < part.size() && part[end] == '.') {
        std::string fraction(part.substr(end + 1));
        if (fraction.empty() || fraction.size() > 6 || unit != 1'000'000) return false;
        fraction.resize(6, '0');
        if (!ReadNumber(fraction, &number)) return false;
        *micros += number;
        return true;
      }
      part.remove_prefix(std::min(end + 1, part.size()));
    }
    return part.empty();
  };
  int64_t micros = 0, zone = 0;
  if (!clock(text.substr(0, sign), &micros) || !clock(text.substr(sign + 1), &zone)) {
    return NotA(plan, text, why);
  }
  const int64_t west = (text[sign] == '+' ? -1 : 1) * (zone / 1'000'000);
  out->AppendU64(static_cast<uint64_t>(micros));
  out->AppendU32(static_cast<uint32_t>(static_cast<int32_t>(west)));
  return true;
}

// "char": one byte; zero is empty text, bytes above 127 are \ooo.
bool EncodeChar(const EncodePlan& plan, const arrow::ArrayData& array, int64_t row, ByteBuffer* out,
                std::string* why) {
  const std::string_view text = BytesOf(array, row);
  uint8_t byte = 0;
  if (text.size() == 1) {
    byte = static_cast<uint8_t>(text[0]);
  } else if (text.size() == 4 && text[0] == '\\') {
    if (!ReadNumber(text.substr(1), &byte, 8)) return NotA(plan, text, why);
  } else if (!text.empty()) {
    return NotA(plan, text, why);
  }
  out->AppendByte(byte);
  return true;
}

}  // namespace

EncodeValue TextFormOf(uint32_t oid) {
  switch (oid) {
    case kInetOid:
    case kCidrOid:
      return EncodeInet;
    case kMacaddrOid:
      return EncodeMac<6>;
    case kMacaddr8Oid:
      return EncodeMac<8>;
    case kUuidOid:
      return EncodeUuidText;
    case kBitOid:
    case kVarbitOid:
      return EncodeBits;
    case kPgLsnOid:
      return EncodeLsn;
    case kTidOid:
      return EncodeTid;
    case kTimetzOid:
      return EncodeTimetz;
    case kCharOid:
      return EncodeChar;
    case kNumericOid:
      return EncodeTextAsNumeric;
    default:
      return nullptr;
  }
}

}  // namespace bulkhaul::pg
