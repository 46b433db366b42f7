#pragma once
#include <ostream>
#include <vector>

#include "cli/terminal.h"
#include "refrag/query.h"

namespace refrag::cli {

/// Passages as a reader should see what the model saw: compressed chunks dimmed, expanded ones bright. Without colours
/// expanded chunks stand in [brackets].
void print_passages(std::ostream& out, const Terminal& terminal, const std::vector<Hit>& hits, bool why);

/// "[1] htop#0 (0-41)  score 0.0325, dense 1, lexical 2"
std::string heading_of(const Hit& hit, std::size_t number);

}  // namespace refrag::cli
