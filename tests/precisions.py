"""The precisions that native programs compute in, for tests: bfloat16 is left out, with a reason, where the processor has no AVX-512."""

from __future__ import annotations

import pytest

from pellucid.executors import available_executors


def _has_bfloat16() -> bool:
    if available_executors()["native"]:
        return False
    from pellucid.executors.compiled import _native

    return _native.has_wide_kernels()


HAS_BFLOAT16 = _has_bfloat16()
needs_bfloat16 = pytest.mark.skipif(not HAS_BFLOAT16, reason="bfloat16 needs AVX-512")
PRECISIONS = ("float32", pytest.param("bfloat16", marks=needs_bfloat16))
"""To parametrize a test with."""
