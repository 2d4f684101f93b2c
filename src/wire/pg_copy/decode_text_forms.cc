// Types that Arrow does not have, written exactly as PostgreSQL's output functions print them.
#include <fmt/format.h>

#include "wire/pg_copy/binary_format.h"
#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/decode_functions.h"

namespace bulkhaul::pg {
namespace {

char* WriteIpv4(char* out, const uint8_t* address) {
  return fmt::format_to(out, "{}.{}.{}.{}", address[0], address[1], address[2], address[3]);
}

// The longest run of two or more zero words, the first one of several. Gives its first word, or -1.
int LongestZeroRun(const uint16_t (&words)[8], int* length) {
  int best = -1;
  *length = 0;
  for (int begin = 0; begin < 8; ++begin) {
    int end = begin;
    while (end < 8 && words[end] == 0) ++end;
    if (end - begin > *length && end - begin >= 2) {
      best = begin;
      *length = end - begin;
    }
    if (end > begin) begin = end;
  }
  return best;
}

// Source: inet_net_ntop_ipv6() in PostgreSQL's inet_net_ntop.c: "::" for the longest run of zeros,
// and the last four bytes dotted where they are an embedded IPv4 address.
char* WriteIpv6(char* out, const uint8_t* address) {
  uint16_t words[8];
  for (int word = 0; word < 8; ++word) words[word] = LoadU16(address + 2 * word);
  int run = 0;
  const int first = LongestZeroRun(words, &run);
  const bool dotted = first == 0 && (run == 6 || (run == 7 && words[7] != 0x0001) ||
                                     (run == 5 && words[5] == 0xffff));
  for (int word = 0; word < 8; ++word) {
    if (first >= 0 && word >= first && word < first + run) {
      if (word == first) *out++ = ':';
      continue;
    }
    if (word != 0) *out++ = ':';
    if (word == 6 && dotted) return WriteIpv4(out, address + 12);
    out = fmt::format_to(out, "{:x}", words[word]);
  }
  if (first >= 0 && first + run == 8) *out++ = ':';
  return out;
}

}  // namespace

bool AppendShortText(DecodeContext& context, ColumnNode& node, std::string_view text) {
  Status room = node.EnsureData(text.size());
  if (!room.ok()) return context.Fail(std::move(room));
  if (!text.empty()) std::memcpy(node.data + node.data_size, text.data(), text.size());
  node.AppendWritten(text.size());
  context.expanded_bytes += text.size();
  return true;
}

bool DecodeInet(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size < 4) return WrongSize(context, "inet or cidr", size);
  const uint8_t family = bytes[0];
  const int bits = bytes[1];
  const bool ipv4 = family == kInetFamilyIpv4;
  const int address_bytes = ipv4 ? 4 : 16;
  if ((!ipv4 && family != kInetFamilyIpv6) || bytes[3] != address_bytes ||
      size != 4 + address_bytes || bits > 8 * address_bytes) {
    return context.Malformed("inet or cidr with an unknown family, address size or prefix");
  }
  char text[64];
  char* end = ipv4 ? WriteIpv4(text, bytes + 4) : WriteIpv6(text, bytes + 4);
  // inet_out() leaves the prefix of a single host away, cidr_out() never does.
  if (node.plan->cidr || bits != 8 * address_bytes) end = fmt::format_to(end, "/{}", bits);
  return AppendShortText(context, node, {text, static_cast<size_t>(end - text)});
}

bool DecodeMacaddr(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 6 && size != 8) return WrongSize(context, "macaddr", size);
  constexpr char kDigits[] = "0123456789abcdef";
  char text[24];
  char* end = text;
  for (int32_t byte = 0; byte < size; ++byte) {
    if (byte > 0) *end++ = ':';
    *end++ = kDigits[bytes[byte] >> 4];
    *end++ = kDigits[bytes[byte] & 15];
  }
  return AppendShortText(context, node, {text, static_cast<size_t>(end - text)});
}

bool DecodeBits(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  // Source: varbit_send(): the number of bits, then the bits, the first one highest.
  if (size < 4) return WrongSize(context, "bit string", size);
  const int64_t bits = LoadI32(bytes);
  if (bits < 0 || (bits + 7) / 8 != size - 4) return WrongSize(context, "bit string", size);
  Status room = node.EnsureData(bits);
  if (!room.ok()) return context.Fail(std::move(room));
  uint8_t* const out = node.data + node.data_size;
  for (int64_t bit = 0; bit < bits; ++bit) {
    out[bit] = '0' + ((bytes[4 + bit / 8] >> (7 - bit % 8)) & 1);
  }
  context.expanded_bytes += bits;
  node.AppendWritten(bits);
  return true;
}

bool DecodeLsn(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 8) return WrongSize(context, "pg_lsn", size);
  char text[24];
  char* end = fmt::format_to(text, "{:X}/{:X}", LoadU32(bytes), LoadU32(bytes + 4));
  return AppendShortText(context, node, {text, static_cast<size_t>(end - text)});
}

bool DecodeTid(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 6) return WrongSize(context, "tid", size);
  char text[24];
  char* end = fmt::format_to(text, "({},{})", LoadU32(bytes), LoadU16(bytes + 4));
  return AppendShortText(context, node, {text, static_cast<size_t>(end - text)});
}

}  // namespace bulkhaul::pg
