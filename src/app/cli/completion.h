// Shell completion scripts.
#pragma once

#include <string>

#include "base/error.h"

namespace bulkhaul {

// For "bash" or "zsh"; kUser for another shell.
Result<std::string> CompletionScript(const std::string& shell);

}  // namespace bulkhaul
