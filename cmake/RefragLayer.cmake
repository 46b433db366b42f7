# One target a layer. A layer may include only what it links, and may link only what this table allows: each layer has an
# include root of its own, so "store/knowledge_base.h" is found only by a target that links refrag_store.
set(REFRAG_MAY_USE_base)
set(REFRAG_MAY_USE_text base)
set(REFRAG_MAY_USE_nn base)
set(REFRAG_MAY_USE_store base)
set(REFRAG_MAY_USE_retrieve base store text)
set(REFRAG_MAY_USE_model base nn text)
set(REFRAG_MAY_USE_engine base text store retrieve nn model)
set(REFRAG_MAY_USE_eval base text store retrieve nn model engine)
set(REFRAG_MAY_USE_bench base text store retrieve nn model engine)
set(REFRAG_MAY_USE_train base text store retrieve nn model engine eval)
set(REFRAG_MAY_USE_cli base text store retrieve nn model engine eval bench train)
set(REFRAG_MAY_USE_server base text store retrieve nn model engine)

add_library(refrag_options INTERFACE)
target_compile_options(refrag_options INTERFACE -Wall -Wextra -Wpedantic $<$<BOOL:${REFRAG_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees copies that overlap or overflow in every "literal" + std::string at -O3 (its bug 105651).
  target_compile_options(refrag_options INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
endif()
if(CMAKE_UNITY_BUILD)
  target_compile_options(refrag_options INTERFACE -Wno-subobject-linkage)  # sources look like headers there
endif()
# The sanitizers' builds are not optimised and have line tables alone (-g1): that halves the time to compile them. Say
# -DCMAKE_CXX_FLAGS_DEBUG=-g3 to step through one with a debugger.
if(REFRAG_SANITIZE)
  target_compile_options(refrag_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(refrag_options INTERFACE -fsanitize=address,undefined)
endif()
if(REFRAG_TSAN)
  target_compile_options(refrag_options INTERFACE -fsanitize=thread)
  target_link_options(refrag_options INTERFACE -fsanitize=thread)
endif()

# refrag_layer(store SOURCES a.cpp USES base LIBRARIES refrag_faiss [TORCH])
# USES: layers below whose headers ours include. LIBRARIES: third party, seen by our sources only.
# TORCH: sources include ATen. PCH: another precompiled header than the plain one.
function(refrag_layer name)
  cmake_parse_arguments(ARG "TORCH" "PCH" "SOURCES;USES;LIBRARIES" ${ARGN})
  foreach(used ${ARG_USES})
    if(NOT used IN_LIST REFRAG_MAY_USE_${name})
      message(FATAL_ERROR "layer ${name} may not use ${used}: see the table in cmake/RefragLayer.cmake")
    endif()
  endforeach()
  set(root ${PROJECT_BINARY_DIR}/layers/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
  add_library(refrag_${name} STATIC ${ARG_SOURCES})
  target_include_directories(refrag_${name} PUBLIC ${root} ${PROJECT_SOURCE_DIR}/include)
  list(TRANSFORM ARG_USES PREPEND refrag_ OUTPUT_VARIABLE used_targets)
  target_link_libraries(refrag_${name} PUBLIC ${used_targets} PRIVATE refrag_options ${ARG_LIBRARIES})
  if(ARG_TORCH)
    target_link_libraries(refrag_${name} PUBLIC refrag_torch)
    set_target_properties(refrag_${name} PROPERTIES UNITY_BUILD OFF)  # its sources share names; they use a lot of memory
    refrag_use_pch(refrag_${name} torch)
  elseif(ARG_PCH)
    refrag_use_pch(refrag_${name} ${ARG_PCH})
  else()
    refrag_use_pch(refrag_${name} plain)
  endif()
endfunction()

# Precompiled headers, each compiled once for all targets that use it. A source still includes whatever it uses.
set(REFRAG_PCH_plain <algorithm> <functional> <map> <memory> <optional> <string> <unordered_map> <vector> <nlohmann/json.hpp>)
set(REFRAG_PCH_cli ${REFRAG_PCH_plain} <CLI/CLI.hpp>)
set(REFRAG_PCH_test ${REFRAG_PCH_plain} <gmock/gmock.h> <gtest/gtest.h>)
# Tests need not be optimised, whatever what they test is: they compile in half the time.
set(REFRAG_TEST_FLAGS -O0)
# A source that includes ATen takes 30 s to compile; this takes most of that away.
set(REFRAG_PCH_torch <ATen/ATen.h> <torch/csrc/autograd/variable.h> <nlohmann/json.hpp>)
set(REFRAG_PCH_FLAGS_test ${REFRAG_TEST_FLAGS})
set(REFRAG_PCH_LIBRARIES_cli CLI11::CLI11)
set(REFRAG_PCH_LIBRARIES_test GTest::gtest $<TARGET_NAME_IF_EXISTS:GTest::gmock>)
set(REFRAG_PCH_LIBRARIES_torch refrag_torch)

function(refrag_use_pch target kind)
  if(NOT TARGET refrag_pch_${kind})
    set(empty ${PROJECT_BINARY_DIR}/pch_${kind}.cpp)
    if(NOT EXISTS ${empty})
      file(WRITE ${empty} "")
    endif()
    add_library(refrag_pch_${kind} STATIC ${empty})
    target_link_libraries(refrag_pch_${kind} PRIVATE refrag_options nlohmann_json::nlohmann_json ${REFRAG_PCH_LIBRARIES_${kind}})
    target_compile_options(refrag_pch_${kind} PRIVATE -fpch-preprocess ${REFRAG_PCH_FLAGS_${kind}})
    target_precompile_headers(refrag_pch_${kind} PRIVATE ${REFRAG_PCH_${kind}})
  endif()
  # -fPIC: executables are compiled as PIE, and GCC takes a precompiled header only with the settings it was made with.
  target_compile_options(${target} PRIVATE -fpch-preprocess -fPIC)
  target_precompile_headers(${target} REUSE_FROM refrag_pch_${kind})
  target_link_libraries(${target} PRIVATE nlohmann_json::nlohmann_json)
endfunction()

# What all our executables share: warnings, and in release jemalloc and OpenMP's threads with settings of ours
# (src/base/malloc_conf.c, openmp_spin.c).
function(refrag_executable target)
  target_link_libraries(${target} PRIVATE refrag_options)
  if(REFRAG_JEMALLOC)
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src/base/malloc_conf.c
                                     ${PROJECT_SOURCE_DIR}/src/base/openmp_spin.c)
    set_source_files_properties(${PROJECT_SOURCE_DIR}/src/base/malloc_conf.c ${PROJECT_SOURCE_DIR}/src/base/openmp_spin.c
                                PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    # The symbol is used by jemalloc alone, which the linker would otherwise drop with --as-needed.
    target_link_libraries(${target} PRIVATE -Wl,--no-as-needed ${JEMALLOC_LIBRARY} -Wl,--as-needed)
  endif()
endfunction()
