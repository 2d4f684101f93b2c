#include "wire/json/number_text.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "wire/json/json_tokens.h"

namespace bulkhaul::search {
namespace {

// Numbers as people write them, and texts that are nearly numbers.
std::string AnyNumberText() {
  const auto digits = [] {
    return *rc::gen::container<std::string>(*rc::gen::inRange<size_t>(0, 12),
                                            rc::gen::inRange<char>('0', '9' + 1));
  };
  std::string text = *rc::gen::element<std::string>("", "", "-", "+");
  text += digits();
  text += *rc::gen::element<std::string>("", ".", ".", "..");
  text += digits();
  return text + *rc::gen::element<std::string>("", "", "", "e3", "x", " ");
}

template <typename Real>
void ExpectNearest(const std::string& text) {
  Real fast = 0, nearest = 0;
  if (!ParsePlainReal(text, &fast)) return;
  RC_ASSERT(IsJsonNumber(text));
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), nearest);
  RC_ASSERT(error == std::errc());
  RC_ASSERT(stop == text.data() + text.size());
  RC_ASSERT(fast == nearest);
  RC_ASSERT(std::signbit(fast) == std::signbit(nearest));
}

TEST(ParsePlainReal, IsTheNearestOfWhatJsonCallsANumber) {
  EXPECT_TRUE(rc::check("as from_chars reads it", [] {
    const std::string text = AnyNumberText();
    ExpectNearest<double>(text);
    ExpectNearest<float>(text);
  }));
  double value = 1;
  EXPECT_TRUE(ParsePlainReal("0.0", &value));
  EXPECT_EQ(value, 0);
  EXPECT_TRUE(ParsePlainReal("-123.456", &value));
  EXPECT_EQ(value, -123.456);
  for (const char* other : {"", "-", "-0", "-0.0", "1.", ".5", "01", "1e3", "9007199254740993"}) {
    EXPECT_FALSE(ParsePlainReal(other, &value)) << other;
  }
}

TEST(ParsePlainInteger, IsWhatJsonCallsAnInteger) {
  EXPECT_TRUE(rc::check("as from_chars reads it", [] {
    const std::string text = AnyNumberText();
    int64_t fast = 0, value = 1;
    if (!ParsePlainInteger(text, &fast)) return;
    RC_ASSERT(IsJsonNumber(text));
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    RC_ASSERT(error == std::errc() && stop == text.data() + text.size());
    RC_ASSERT(fast == value);
  }));
  int64_t value = 0;
  EXPECT_TRUE(ParsePlainInteger("-999999999999999999", &value));
  EXPECT_EQ(value, -999'999'999'999'999'999);
  for (const char* other : {"", "-", "1.0", "007", "1000000000000000000", "1e3", "+1"}) {
    EXPECT_FALSE(ParsePlainInteger(other, &value)) << other;
  }
}

}  // namespace
}  // namespace bulkhaul::search
