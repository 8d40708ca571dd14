# The same kernels, compiled once per level of x86-64; isa.cc chooses at run time. Errno and traps
# are not part of any kernel's meaning, and giving them up changes no result.
set(kernel_flags -O3 -fno-math-errno -fno-trapping-math
                 # GCC would keep a pointer for each row of a register tile, more than there are.
                 $<$<CXX_COMPILER_ID:GNU>:-fno-ivopts>
                 # Clang says which loops it left scalar; that is no defect.
                 $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
if(SOMA_SANITIZE)  # Minutes otherwise: checks of each of thousands of unrolled loads.
  list(APPEND kernel_flags -O1 -fno-sanitize=null,alignment,object-size,pointer-overflow)
endif()
set_source_files_properties(backends/cpu/isa_portable.cc PROPERTIES COMPILE_OPTIONS "${kernel_flags}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  foreach(level v2 v3)
    set_source_files_properties(backends/cpu/isa_${level}.cc PROPERTIES COMPILE_OPTIONS
                                "${kernel_flags};-march=x86-64-${level}")
  endforeach()
  set_source_files_properties(backends/cpu/isa_v4.cc PROPERTIES COMPILE_OPTIONS
                              "${kernel_flags};-march=x86-64-v4;-mprefer-vector-width=512")
endif()
