// What a pattern of dates has to say so that a text means one time.
#pragma once

#include <string>

#include "base/error.h"

namespace bulkhaul::csv {

// kUser for a format (DateFormat) that is not supported, or that takes parts out of texts which are
// no time by themselves: minutes without hours, a day without a month, a month or a day without a
// year, a time without a date; hh without AM or PM, a part twice. What is left out behind the year
// is the first of its kind: yyyy-MM is the first day of the month.
Status CheckDatePattern(const std::string& format);

}  // namespace bulkhaul::csv
