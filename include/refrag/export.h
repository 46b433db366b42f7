#pragma once

/// The library is built with hidden symbols: only what carries this mark is part of its binary interface.
#define REFRAG_EXPORT __attribute__((visibility("default")))
