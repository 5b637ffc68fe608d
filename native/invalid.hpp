// The processor's note that an operation was invalid: that it made a NaN out of numbers, or took the maximum of a NaN.
//
// oneDNN's ReLU makes 0 of a NaN, and leaves this note. So a program looks for it when it has run, which costs next to
// nothing, and only where it finds one runs again such that NaNs are kept.
#pragma once

#include <xmmintrin.h>

namespace pellucid {

// Whether the calling thread's note is there; it is not any more.
inline bool take_invalid() {
    const unsigned state = _mm_getcsr();
    if (!(state & _MM_EXCEPT_INVALID)) return false;
    _mm_setcsr(state & ~_MM_EXCEPT_INVALID);
    return true;
}

}  // namespace pellucid
