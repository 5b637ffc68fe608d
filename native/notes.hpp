// The processor's notes of what operations met, which stay until they are taken and cost nothing to make.
//
// `invalid`: one made a NaN out of numbers, or took the maximum of a NaN. oneDNN's ReLU makes 0 of a NaN, and leaves this
// note: a program looks for it when it has run, and only where it finds one runs again such that NaNs are kept.
// `not_finite`: one made a NaN or an infinity out of numbers.
#pragma once

#include <xmmintrin.h>

namespace pellucid {

enum Note : unsigned {
    invalid = _MM_EXCEPT_INVALID,
    not_finite = _MM_EXCEPT_INVALID | _MM_EXCEPT_OVERFLOW | _MM_EXCEPT_DIV_ZERO,
};

// Whether the calling thread has such a note; it has none any more.
inline bool take(Note note) {
    const unsigned state = _mm_getcsr();
    if (!(state & note)) return false;
    _mm_setcsr(state & ~note);
    return true;
}

}  // namespace pellucid
