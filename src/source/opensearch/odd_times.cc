#include "source/opensearch/odd_times.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/units.h"

namespace bulkhaul::opensearch {
namespace {

Status JudgeSeveral(const std::vector<OddTimes>& found, const std::string& time_field,
                    const Options& options, std::vector<std::string>* warnings) {
  int64_t further = 0, left_out = 0;
  std::vector<std::string> where;
  for (const auto& one : found) {
    further += one.further_times;
    left_out += one.left_out;
    if (one.further_times > 0) where.push_back(one.index);
  }
  if (further == 0) return Status::OK();
  // One in each of the indices at least; all of them, where each has only two values.
  const auto least = static_cast<int64_t>(where.size());
  const std::string documents =
      least == further ? FormatCount(further)
                       : fmt::format("{} to {}", FormatCount(least), FormatCount(further));
  const auto sentence = fmt::format(
      "{} documents have several values of {} ({} {} beyond the first, in {})", documents,
      time_field, FormatCount(further), further == 1 ? "value" : "values", ShownNames(where));
  const std::string& choice = options.GetString("time_several");
  if (choice == "error") {
    return UserError(sentence + "; time_several: any, earliest or latest says which one counts",
                     "time_several");
  }
  warnings->push_back(
      sentence +
      (choice == "any"
           ? ": each is taken once when any of them is in the range (time_several: any)"
           : fmt::format(": the {0} one counts (time_several: {0}), which leaves out {1} documents "
                         "with another one in the range",
                         choice, FormatCount(left_out))));
  return Status::OK();
}

Status JudgeMissing(const std::vector<OddTimes>& found, const std::string& time_field,
                    const Options& options, std::vector<std::string>* warnings) {
  int64_t missing = 0;
  std::vector<std::string> where;
  for (const auto& one : found) {
    missing += one.without_time;
    if (one.without_time > 0) where.push_back(one.index);
  }
  if (missing == 0) return Status::OK();
  const auto sentence = fmt::format("{} documents have no {} (in {})", FormatCount(missing),
                                    time_field, ShownNames(where));
  const std::string& choice = options.GetString("time_missing");
  if (choice == "error") {
    return UserError(sentence + "; time_missing: exclude or include says what becomes of them",
                     "time_missing");
  }
  warnings->push_back(sentence + (choice == "include"
                                      ? ": they are included (time_missing: include)"
                                      : ": they are left out (time_missing: exclude)"));
  return Status::OK();
}

}  // namespace

TimeOf TimeOfOption(const Options& options) {
  const std::string& choice = options.GetString("time_several");
  if (choice == "earliest") return TimeOf::kEarliest;
  return choice == "latest" ? TimeOf::kLatest : TimeOf::kAny;
}

Status JudgeOddTimes(const std::vector<OddTimes>& found, const std::string& time_field,
                     const Options& options, std::vector<std::string>* warnings) {
  ARROW_RETURN_NOT_OK(JudgeSeveral(found, time_field, options, warnings));
  return JudgeMissing(found, time_field, options, warnings);
}

std::string ShownNames(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(5, names.size()); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > 5) text += fmt::format(" and {} more", names.size() - 5);
  return text;
}

}  // namespace bulkhaul::opensearch
