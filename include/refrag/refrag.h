#pragma once
/// refrag: retrieval-augmented generation that compresses, senses and expands. Everything an embedder needs.
#include "refrag/document.h"
#include "refrag/engine.h"
#include "refrag/error.h"
#include "refrag/indexer.h"
#include "refrag/knowledge_base.h"
#include "refrag/model_bundle.h"
#include "refrag/query.h"
#include "refrag/version.h"
