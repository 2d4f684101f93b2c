# Compiler flags, sanitizers, linker, compiler cache.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" AND NOT BULKHAUL_SANITIZE)
  # Arrow's wheel asks for SSE4.2 already (ARROW_SIMD_LEVEL's default).
  add_compile_options(-march=x86-64-v2)
endif()

add_compile_options(-Wall -Wextra -Wno-unused-parameter -fno-omit-frame-pointer)
if(BULKHAUL_SANITIZE)
  add_compile_options(-fsanitize=${BULKHAUL_SANITIZE} -O1 -g1)
  add_link_options(-fsanitize=${BULKHAUL_SANITIZE})
  if(BULKHAUL_SANITIZE MATCHES "undefined")
    # Arrow from the wheel carries no type information for vptr checks.
    add_compile_options(-fno-sanitize=vptr -fno-sanitize-recover=undefined)
    add_link_options(-fno-sanitize=vptr)
  endif()
endif()
if(BULKHAUL_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(BULKHAUL_COVERAGE)
  # Atomic counters: the programs have threads, and lost updates make gcov's figures negative.
  add_compile_options(--coverage -O0 -fprofile-update=atomic)
  add_link_options(--coverage)
endif()

find_program(BULKHAUL_CCACHE ccache)
if(BULKHAUL_CCACHE AND NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
  # Precompiled headers need ccache to trust their recorded macros and times.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${BULKHAUL_CCACHE})
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>
                      "$<$<COMPILE_LANG_AND_ID:CXX,Clang>:SHELL:-Xclang -fno-pch-timestamp>")
endif()

find_program(BULKHAUL_MOLD mold)
if(BULKHAUL_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
