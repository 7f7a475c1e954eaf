option(VEXOR_TESTS "Build the tests" ON)
option(VEXOR_BENCH "Build the load client of bench/compare and the micro benchmarks" OFF)
option(VEXOR_GIT2 "Build the libgit2 bridge, vexor::git2" ON)
option(VEXOR_WERROR "Warnings are errors (our presets turn this on)" OFF)
option(VEXOR_FUZZER "Build the fuzz targets with libFuzzer (clang)" OFF)
set(VEXOR_SANITIZE "" CACHE STRING "Value for -fsanitize=, for example address,undefined")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# Flags for our own code only; never exported to users of the installed package.
add_library(vexor_flags INTERFACE)
target_compile_options(vexor_flags INTERFACE
  -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  -Wimplicit-fallthrough -fstack-protector-strong $<$<BOOL:${VEXOR_WERROR}>:-Werror>)
target_compile_definitions(vexor_flags INTERFACE _GLIBCXX_ASSERTIONS)
if(VEXOR_FUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(VEXOR_SANITIZE)
  add_compile_options(-fsanitize=${VEXOR_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VEXOR_SANITIZE})
endif()
