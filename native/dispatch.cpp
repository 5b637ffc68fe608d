// Chooses among the kernels compiled for several instruction sets.
#include "kernels.hpp"

namespace pellucid {

extern const Kernels kernels_v2, kernels_v3, kernels_v4, kernels_v4_bf16;

const Kernels& kernels() {
    static const Kernels& best = [] () -> const Kernels& {
        if (__builtin_cpu_supports("x86-64-v4")) return __builtin_cpu_supports("avx512bf16") ? kernels_v4_bf16 : kernels_v4;
        if (__builtin_cpu_supports("x86-64-v3")) return kernels_v3;
        return kernels_v2;
    }();
    return best;
}

}  // namespace pellucid
