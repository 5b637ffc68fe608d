"""Spectra of signals: discrete Fourier transforms as products with a matrix, of whole signals and of frames; mel weights."""

from __future__ import annotations

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.onnx_reader.values import dtype_of, element_name
from pellucid.op import Array


@operator("DFT", settings=(1, 2))
def fourier(call: Call, x: Tensor, length: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
    """The discrete Fourier transform of real or complex numbers (..., 1 or 2) along an axis, or its inverse"""
    given = call["axis"] if axis is None else int(call.values("axis", axis).reshape(()))
    at = call.from_front(-2 if given is None else given, x.ndim)
    parts, inverse, onesided = x.shape[-1], bool(call["inverse"]), bool(call["onesided"])
    if at == x.ndim - 1 or parts not in (1, 2) or (onesided and parts != 1 + inverse):
        raise call.error(
            f"cannot transform {x.shape} along axis {at} (onesided={int(onesided)}, inverse={int(inverse)})"
        )
    usual = 2 * (x.shape[at] - 1) if inverse and onesided else x.shape[at]
    size = usual if length is None else int(call.values("dft_length", length).reshape(()))
    if size < 1:
        raise call.error(f"dft_length must be at least 1, got {size}")
    order = [a for a in range(x.ndim) if a not in (at, x.ndim - 1)] + [at, x.ndim - 1]
    y = _transformed(call, ops.transpose(x, order), size, inverse, onesided)
    return ops.transpose(y, [order.index(a) for a in range(x.ndim)])


@operator("STFT", settings=(1, 3))
def short_fourier(
    call: Call, signal: Tensor, step: Tensor, window: Tensor | None = None, length: Tensor | None = None
) -> Tensor:
    """The transform of frames of a signal (N, length, 1 or 2), or of a real one (N, length), times a window"""
    signal = ops.reshape(signal, (*signal.shape, 1)) if signal.ndim == 2 else signal  # as ONNX Runtime takes it
    hop = int(call.values("frame_step", step).reshape(()))
    given = window.size if window is not None else 0
    size = given if length is None else int(call.values("frame_length", length).reshape(()))
    fits = signal.ndim == 3 and 1 <= size <= signal.shape[1] and hop >= 1 and given in (0, size)
    if not fits or (call["onesided"] and signal.shape[2] != 1):
        raise call.error(f"frames of {size} every {hop} with a window of {given} do not fit a signal {signal.shape}")
    count = 1 + (signal.shape[1] - size) // hop
    places = call.make((count, size), lambda: np.arange(count)[:, None] * hop + np.arange(size))
    frames = ops.gather(signal, places, 1)
    if window is not None:
        frames = frames * ops.reshape(window, (size, 1))
    return _transformed(call, frames, size, False, bool(call["onesided"]))


def _transformed(call: Call, x: Tensor, size: int, inverse: bool, onesided: bool) -> Tensor:
    """x (..., n, parts), filled up or cut to what `size` needs, transformed: (..., frequencies or times, parts)."""
    taken = size // 2 + 1 if inverse and onesided else size
    n, parts = x.shape[-2:]
    if n > taken:
        x = x[..., :taken, :]
    elif n < taken:
        x = ops.pad(x, [*[(0, 0)] * (x.ndim - 2), (0, taken - n), (0, 0)])
    made = size // 2 + 1 if onesided and not inverse else size
    out = 1 if inverse and onesided else 2

    def matrix() -> Array:
        """(element, part) to (frequency, part): e^(-2 pi i k t / size), or its conjugate by `size`."""
        angles = np.arange(taken)[:, None] * np.arange(made) % size * (2 * np.pi / size) * (1 if inverse else -1)
        scale = np.full((taken, 1), 1 / size if inverse else 1.0)
        if inverse and onesided:  # each frequency but the first, and the middle one, stands for two
            scale[1 : (size + 1) // 2] *= 2
        real, imaginary = np.cos(angles) * scale, np.sin(angles) * scale
        rows = [[real, imaginary], [-imaginary, real]]
        return (
            np.stack([np.stack(row[:out], -1) for row in rows[:parts]], 1)
            .reshape(taken * parts, made * out)
            .astype(x.dtype)
        )

    product = ops.matmul(ops.reshape(x, (*x.shape[:-2], taken * parts)), call.make((taken * parts, made * out), matrix))
    return ops.reshape(product, (*x.shape[:-2], made, out))


@operator("MelWeightMatrix", settings=(0, 1, 2, 3, 4))
def mel_weights(call: Call, bins: Tensor, length: Tensor, rate: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
    """How much each frequency of a spectrum has of each mel band, (frequencies, bands): triangles that overlap"""
    count, size, sampled = (int(call.values("a number", t).reshape(())) for t in (bins, length, rate))
    low, high = (float(call.values("a frequency", t).reshape(())) for t in (lowest, highest))
    if count < 0 or size < 1 or sampled < 1 or low <= -700 or high <= -700:
        raise call.error(
            f"there are no mel weights of {count} bands, {size} samples at {sampled} Hz from {low} to {high} Hz"
        )
    frequencies = size // 2 + 1
    dtype = dtype_of(str(call.node), element_name(call["output_datatype"] or 1))

    def weights() -> Array:
        ends = 2595 * np.log10(1 + np.array([low, high]) / 700)
        edges = ends[0] + np.arange(count + 2) * (ends[1] - ends[0]) / (count + 2)
        places = ((size + 1) * (700 * np.expm1(edges / 2595 * np.log(10))) // sampled).astype(int)[:, None]
        left, middle, right = places[:-2], places[1:-1], places[2:]
        at = np.arange(frequencies)
        rising = np.where(middle > left, (at - left) / np.maximum(middle - left, 1), 1.0)
        falling = np.where(right > middle, (right - at) / np.maximum(right - middle, 1), 1.0)
        inside = np.where((at >= left) & (at <= middle), rising, 0.0)
        return np.where((at >= middle) & (at < right), falling, inside).T.astype(dtype)

    return call.make((frequencies, count), weights) if count else constant(np.zeros((frequencies, 0), dtype))
