// Flags made from the option table.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "plan/option_table.h"

namespace CLI {
class App;
}

namespace bulkhaul {

// The flags of one verb. Must outlive the parse.
class OptionFlags {
 public:
  // Adds a flag for each option that `wanted` lets through.
  void AddTo(CLI::App* app, const std::function<bool(const OptionSpec&)>& wanted);
  // What was given, as AssembleJob() takes it.
  std::vector<std::pair<std::string, std::string>> settings() const;

 private:
  std::map<std::string, std::vector<std::string>> texts_;  // by option; nodes stay where they are
};

}  // namespace bulkhaul
