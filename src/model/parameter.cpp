#include "model/parameter.h"

#include <ATen/ATen.h>

namespace refrag {

std::map<std::string, at::Tensor> stored_tensors(const Parameters& parameters) {
  std::map<std::string, at::Tensor> tensors;
  for (const Parameter& parameter : parameters) {
    std::int64_t first = 0;
    for (const auto& [name, rows] : parameter.stored) {
      const bool whole = parameter.stored.size() == 1;
      tensors.emplace(name, whole ? parameter.value.detach() : parameter.value.detach().narrow(0, first, rows));
      first += rows;
    }
  }
  return tensors;
}

}  // namespace refrag
