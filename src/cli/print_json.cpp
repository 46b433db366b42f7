#include "cli/print_json.h"

#include <iostream>

namespace refrag::cli {

std::string json_text(const Json& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

void print_json(const Json& json, int indent) { std::cout << json_text(json, indent) << std::endl; }

}  // namespace refrag::cli
