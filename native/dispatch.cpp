// Chooses among the kernels compiled for several instruction sets.
#include "kernels.hpp"

namespace pellucid {

extern const Kernels kernels_v2, kernels_v3, kernels_v4;

const Kernels& kernels() {
    static const Kernels& best = [] () -> const Kernels& {
        if (__builtin_cpu_supports("x86-64-v4")) return kernels_v4;
        if (__builtin_cpu_supports("x86-64-v3")) return kernels_v3;
        return kernels_v2;
    }();
    return best;
}

}  // namespace pellucid
