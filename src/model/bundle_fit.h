#pragma once
#include <string>
#include <vector>

#include "model/parts.h"

namespace refrag {

/// Where parts that were each read without fault do not fit one another: widths, vocabularies, the special tokens that
/// templates and wrapped texts give, the longest input. Each sentence names both sides. Parts that are null are passed
/// over.
std::vector<std::string> find_misfits(const ModelBundle::Parts& parts);

}  // namespace refrag
