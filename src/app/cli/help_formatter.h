// How --help looks.
#pragma once

#include <memory>

namespace CLI {
class FormatterBase;
}

namespace bulkhaul {

std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter();

}  // namespace bulkhaul
