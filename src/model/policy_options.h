#pragma once
#include <cstddef>

namespace refrag {

/// How policy.safetensors is to be read (refrag.json, "policy").
struct PolicyOptions {
  bool reads_projected = true;  // its input: projected chunk vectors, or the encoder's own
  bool question_aware = true;   // false: it sees the context chunks alone, as in the paper
  std::size_t heads = 1;
  double norm_eps = 1e-5;
};

}  // namespace refrag
