#pragma once

namespace refrag::cli {

/// The program `refrag`: parses the command line, runs one command, turns errors into messages and exit codes.
int run(int argc, const char* const* argv);

}  // namespace refrag::cli
