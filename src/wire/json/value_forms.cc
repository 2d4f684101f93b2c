// Points and base64: the forms of values that are more than a number or a text.
// Sources: Elasticsearch guide, "Geopoint field type"; RFC 4648, section 4; GeoJSON, RFC 7946,
// section 3.1.1.
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "wire/json/number_text.h"
#include "wire/json/value_decoder.h"

namespace bulkhaul::search {

namespace {

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The digits of geohashes. Source: G. Niemeyer, geohash.org, 2008.
constexpr std::string_view kGeohashDigits = "0123456789bcdefghjkmnpqrstuvwxyz";

// The lower left corner of the cell plus half its size, as the servers decode it.
bool ParseGeohash(std::string_view text, double* latitude, double* longitude) {
  if (text.empty() || text.size() > 12) return false;
  double south = -90, north = 90, west = -180, east = 180;
  bool even = true;
  for (const char character : text) {
    const size_t digit = kGeohashDigits.find(AsciiLower(character));
    if (digit == kGeohashDigits.npos) return false;
    for (int bit = 4; bit >= 0; --bit, even = !even) {
      double& low = even ? west : south;
      double& high = even ? east : north;
      (digit >> bit & 1 ? low : high) = (low + high) / 2;
    }
  }
  *latitude = (south + north) / 2;
  *longitude = (west + east) / 2;
  return true;
}

// "POINT (lon lat)".
bool ParseWellKnownPoint(std::string_view text, double* latitude, double* longitude,
                         bool* third_value) {
  constexpr std::string_view kName = "POINT";
  for (size_t at = 0; at < kName.size(); ++at) {
    if (at >= text.size() || (text[at] & ~0x20) != kName[at]) return false;
  }
  text = Trimmed(text.substr(kName.size()));
  if (text.size() < 2 || text.front() != '(' || text.back() != ')') return false;
  text = Trimmed(text.substr(1, text.size() - 2));
  std::array<double, 3> numbers;
  size_t count = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (count == 3 || !ParseReal(text.substr(0, end), &numbers[count])) return false;
    ++count;
    text = Trimmed(text.substr(end));
  }
  if (count < 2) return false;
  *longitude = numbers[0];
  *latitude = numbers[1];
  *third_value = count == 3;
  return true;
}

}  // namespace

bool ParseGeoPoint(std::string_view text, double* latitude, double* longitude, bool* third_value) {
  *third_value = false;
  text = Trimmed(text);
  const size_t comma = text.find(',');
  if (comma == text.npos) {
    return ParseWellKnownPoint(text, latitude, longitude, third_value) ||
           ParseGeohash(text, latitude, longitude);
  }
  const size_t second = std::min(text.find(',', comma + 1), text.size());
  double height;
  *third_value = second < text.size();
  return ParseReal(Trimmed(text.substr(0, comma)), latitude) &&
         ParseReal(Trimmed(text.substr(comma + 1, second - comma - 1)), longitude) &&
         (!*third_value || ParseReal(Trimmed(text.substr(second + 1)), &height));
}

Status ValueDecoder::AppendPoint(std::string_view text) {
  double latitude, longitude;
  bool third_value;
  if (!ParseGeoPoint(text, &latitude, &longitude, &third_value)) {
    return ValueError(fmt::format("'{}' is no point", text.substr(0, 80)));
  }
  counters[kGeoThirdValueDropped] += third_value;
  return column_->values().AppendPoint(latitude, longitude);
}

Status ValueDecoder::ReadPointArray(double* latitude, double* longitude) {
  std::array<double, 3> numbers{};
  size_t count = 0;
  ARROW_RETURN_NOT_OK(cursor_->ForEachElement([&]() -> Status {
    std::string_view token;
    if (cursor_->peek() == '[' || cursor_->peek() == '{' || count == 3) {
      return ValueError("an array stands for a point that is not [lon, lat]");
    }
    ARROW_RETURN_NOT_OK(cursor_->TakeScalar(&token));
    if (!ParseReal(token, &numbers[count++])) {
      return ValueError("an array stands for a point that is not [lon, lat]");
    }
    return Status::OK();
  }));
  if (count < 2) return ValueError("an array stands for a point that is not [lon, lat]");
  counters[kGeoThirdValueDropped] += count == 3;
  *latitude = numbers[1];
  *longitude = numbers[0];
  return Status::OK();
}

Status ValueDecoder::AppendPointArray() {
  double latitude, longitude;
  ARROW_RETURN_NOT_OK(ReadPointArray(&latitude, &longitude));
  return column_->values().AppendPoint(latitude, longitude);
}

// {"lat", "lon"}, {"geohash"}, or GeoJSON {"type": "Point", "coordinates": [lon, lat]}.
Status ValueDecoder::AppendPointObject() {
  double latitude = NAN, longitude = NAN;
  const auto scalar = [&](std::string_view* text) -> Status {
    if (cursor_->peek() == '{' || cursor_->peek() == '[') {
      return ValueError("a point has a part that is no single value");
    }
    std::string_view token;
    ARROW_RETURN_NOT_OK(cursor_->TakeScalar(&token));
    *text = token;
    return token[0] == '"' ? DecodeText(token, text) : Status::OK();
  };
  ARROW_RETURN_NOT_OK(cursor_->ForEachMember([&](std::string_view key) -> Status {
    std::string_view text;
    if (key == "lat" || key == "lon") {
      ARROW_RETURN_NOT_OK(scalar(&text));
      if (ParseReal(text, key == "lat" ? &latitude : &longitude)) return Status::OK();
      return ValueError("a point has a lat or lon that is no number");
    }
    if (key == "coordinates" && cursor_->peek() == '[') {
      return ReadPointArray(&latitude, &longitude);
    }
    if (key == "geohash") {
      ARROW_RETURN_NOT_OK(scalar(&text));
      if (ParseGeohash(text, &latitude, &longitude)) return Status::OK();
      return ValueError("a point has a geohash that is none");
    }
    if (key == "z") ++counters[kGeoThirdValueDropped];
    return cursor_->Skip();
  }));
  if (std::isnan(latitude) || std::isnan(longitude)) {
    return ValueError("an object stands for a point that has no lat and lon");
  }
  return column_->values().AppendPoint(latitude, longitude);
}

int64_t DecodeBase64(std::string_view text, uint8_t* out) {
  static constexpr auto kValues = [] {
    std::array<int16_t, 256> values{};
    values.fill(-1);
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t digit = 0; digit < kDigits.size(); ++digit) {
      values[static_cast<unsigned char>(kDigits[digit])] = static_cast<int16_t>(digit);
    }
    return values;
  }();
  if (text.size() % 4 == 0 && text.ends_with('=')) text.remove_suffix(text.ends_with("==") ? 2 : 1);
  if (text.size() % 4 == 1) return -1;
  const uint8_t* begin = out;
  uint32_t bits = 0;
  int held = 0;
  for (const char character : text) {
    const int value = kValues[static_cast<unsigned char>(character)];
    if (value < 0) return -1;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      *out++ = static_cast<uint8_t>(bits >> held);
    }
  }
  if ((bits & ((1u << held) - 1)) != 0) return -1;  // bits that no byte takes
  return out - begin;
}

}  // namespace bulkhaul::search
