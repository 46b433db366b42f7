#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "refrag/error.h"

namespace refrag::testing {

/// The error that `act` throws; fails the test where it throws none.
inline Error error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {ErrorCode::kInternal, ""};
}

}  // namespace refrag::testing
