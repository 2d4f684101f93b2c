// The command line, from argv to exit code.
#pragma once

#include <string>
#include <vector>

namespace bulkhaul {

// Parses and runs one command. 0 done, 1 failed, 2 bad usage or configuration, 3 finished with
// failed tables, 130 cancelled and resumable. Errors are on stderr. Overwrites secrets in `argv`,
// so that the process title does not show them. Called once, on the main thread.
int RunCommandLine(int argc, char** argv);

// Blanks in place what Redact() would mask, in arguments that hold a secret.
void HideSecrets(int argc, char** argv);

// The verbs that help shows, and the flags of one ("--workers", …).
std::vector<std::string> VerbNames();
std::vector<std::string> FlagNames(const std::string& verb);

}  // namespace bulkhaul
