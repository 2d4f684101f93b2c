# One call per folder: a static library of its *.cc, one test program of its *_test.cc, and one
# micro-benchmark program of its *_bench.cc. New files are picked up by the next build.
#
# The compiler reads BULKHAUL_UNITY_SOURCES sources of a room at once: half of a single source's time
# goes to templates of Arrow's, json's and the standard library's headers. clang-tidy reads them one
# by one, so each still has to include what it uses; names in anonymous namespaces differ within a
# room.
set(BULKHAUL_UNITY_SOURCES 4 CACHE STRING "Sources of a room that are compiled at once")
if(CMAKE_DISABLE_PRECOMPILE_HEADERS)
  set(BULKHAUL_UNITY_SOURCES 1)
endif()

# One precompiled header serves every target, so all of them are compiled with the same definitions.
add_compile_definitions(SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
set(BULKHAUL_PCH <arrow/api.h> <arrow/io/api.h> <fmt/format.h> <nlohmann/json.hpp>
    <memory> <string> <string_view> <vector> <functional> <optional> <mutex> <thread>)
file(WRITE ${CMAKE_BINARY_DIR}/pch.cc "")
add_library(bulkhaul_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
target_link_libraries(bulkhaul_pch PRIVATE bulkhaul_arrow Threads::Threads fmt::fmt
                      nlohmann_json::nlohmann_json)
target_precompile_headers(bulkhaul_pch PRIVATE ${BULKHAUL_PCH})
# g++ does not write the same precompiled header twice, so a compiler cache that hashes its bytes
# never hits in another checkout. With CCACHE_PCH_EXTSUM (scripts/dev-build) ccache hashes this file
# beside it instead: what the header was made from.
file(STRINGS ${CMAKE_SOURCE_DIR}/requirements.txt BULKHAUL_PINNED)
set(pch_folder ${CMAKE_BINARY_DIR}/CMakeFiles/bulkhaul_pch.dir)
foreach(extension gch pch)
  file(CONFIGURE OUTPUT ${pch_folder}/cmake_pch.hxx.${extension}.sum CONTENT
"${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_BUILD_TYPE} ${BULKHAUL_SANITIZE}
${BULKHAUL_COVERAGE} fmt ${fmt_VERSION} json ${nlohmann_json_VERSION} ${BULKHAUL_PINNED}
${BULKHAUL_PCH}
")
endforeach()

function(bulkhaul_room name)
  cmake_parse_arguments(ROOM "HOT" "" "LINK;TEST_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc *.c)
  file(GLOB tests CONFIGURE_DEPENDS *_test.cc)
  file(GLOB benches CONFIGURE_DEPENDS *_bench.cc)
  list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cc$")
  if(sources)
    add_library(bulkhaul_${name} STATIC ${sources})
    target_include_directories(bulkhaul_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(bulkhaul_${name} PUBLIC bulkhaul_arrow Threads::Threads ${ROOM_LINK})
    target_link_libraries(bulkhaul_${name} PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
    bulkhaul_pch(bulkhaul_${name})
    # What works on every value gains a tenth to a third; the others only compile longer.
    if(ROOM_HOT AND NOT BULKHAUL_SANITIZE AND NOT BULKHAUL_COVERAGE)
      target_compile_options(bulkhaul_${name} PRIVATE -O3 -Winvalid-pch)
    endif()
    if(BULKHAUL_UNITY_SOURCES GREATER 1)
      set_target_properties(bulkhaul_${name} PROPERTIES UNITY_BUILD ON
                            UNITY_BUILD_BATCH_SIZE ${BULKHAUL_UNITY_SOURCES})
      # g++ means types of headers; here it takes every source for one.
      target_compile_options(bulkhaul_${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
    endif()
  else()
    add_library(bulkhaul_${name} INTERFACE)
    target_include_directories(bulkhaul_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(bulkhaul_${name} INTERFACE bulkhaul_arrow Threads::Threads ${ROOM_LINK})
  endif()
  if(BULKHAUL_TESTS AND tests)
    bulkhaul_test(${name}_test SOURCES ${tests} LINK bulkhaul_${name} ${ROOM_TEST_LINK})
  endif()
  if(BULKHAUL_TESTS AND benches)
    add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
    target_link_libraries(${name}_bench PRIVATE bulkhaul_${name} ${ROOM_TEST_LINK}
                          benchmark::benchmark_main fmt::fmt nlohmann_json::nlohmann_json)
    bulkhaul_pch(${name}_bench)
    set_property(GLOBAL APPEND PROPERTY BULKHAUL_BENCHES ${name}_bench)
  endif()
endfunction()

function(bulkhaul_pch target)
  target_precompile_headers(${target} REUSE_FROM bulkhaul_pch)
endfunction()

# A GoogleTest program that ctest runs as one test. Every test may use RapidCheck.
function(bulkhaul_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${RAPIDCHECK_INCLUDE})
  target_link_libraries(${name} PRIVATE ${TEST_LINK} GTest::gtest GTest::gmock GTest::gtest_main
                        ${RAPIDCHECK_LIBRARY} fmt::fmt nlohmann_json::nlohmann_json)
  bulkhaul_pch(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900 LABELS "unit;${TEST_LABELS}"
    ENVIRONMENT "ARROW_DEFAULT_MEMORY_POOL=system;TSAN_OPTIONS=ignore_noninstrumented_modules=1 halt_on_error=1")
endfunction()
