"""A kernel over a picture: every number PyTorch's, the products add up, what pooling keeps is there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.errors import PellucidError
from pellucid.studies.convolving import KERNELS, ConvolvingError

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 11)).astype(np.float64)


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 2), st.integers(0, 2**31)
)
def test_it_is_pytorchs(rows: int, columns: int, stride: int, padding: int, dilation: int, seed: int) -> None:
    import torch

    random = np.random.default_rng(seed)
    kernel = random.integers(-3, 4, (rows, columns)).astype(np.float64)
    found = pl.convolve(
        IMAGE, kernel, bias=0.5, stride=stride, padding=padding, dilation=dilation, pooling="max", pool_size=1
    )
    x, w = torch.from_numpy(IMAGE)[None, None], torch.from_numpy(kernel)[None, None]
    y = torch.nn.functional.conv2d(x, w, torch.tensor([0.5], dtype=torch.float64), stride, padding, dilation)
    np.testing.assert_allclose(found.output, y[0, 0].numpy(), atol=1e-9)
    at = (int(random.integers(0, found.output.shape[0])), int(random.integers(0, found.output.shape[1])))
    one = pl.convolve(IMAGE, kernel, at, bias=0.5, stride=stride, padding=padding, dilation=dilation, pooling="none")
    assert one.value == pytest.approx(one.products.sum() + 0.5)
    assert one.unused == tuple(
        (n + 2 * padding - dilation * (k - 1) - 1) % stride for n, k in zip(IMAGE.shape, kernel.shape, strict=True)
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pooling_is_pytorchs(size: int) -> None:
    import torch

    found = pl.convolve(IMAGE, "laplacian", padding=1, pool_size=size)
    y = torch.from_numpy(found.output)[None, None]
    np.testing.assert_array_equal(found.pooled, torch.nn.functional.max_pool2d(y, size)[0, 0].numpy())
    assert np.array_equal(found.output[found.winners[..., 0], found.winners[..., 1]], found.pooled)
    mean = pl.convolve(IMAGE, "laplacian", padding=1, pool_size=size, pooling="average")
    np.testing.assert_allclose(mean.pooled, torch.nn.functional.avg_pool2d(y, size)[0, 0].numpy())
    assert mean.winners.size == 0


def test_a_shift_moves_the_output() -> None:
    still, moved = pl.convolve(IMAGE, "sobel-y"), pl.convolve(IMAGE, "sobel-y", shift=(1, -2))
    np.testing.assert_array_equal(moved.output[2:, :-2], still.output[1:-1, 2:])
    assert (pl.convolve(IMAGE, "box", shift=(99, 0)).image == 0).all()


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_by_name(name: str) -> None:
    assert pl.convolve(IMAGE, name).output.shape == tuple(
        n - k + 1 for n, k in zip(IMAGE.shape, np.shape(KERNELS[name]), strict=True)
    )


BAD = {
    "a large kernel": ({"kernel": np.ones((16, 1))}, "15 rows and columns at most"),
    "reaches too far": ({"kernel": np.ones((5, 5)), "dilation": 3}, "reaches over 13 rows, the padded picture has 9"),
    "an unknown kernel": ({"kernel": "sobel"}, "did you mean"),
    "ragged rows": ({"kernel": [[1, 2], [3]]}, "rows of as many numbers"),
    "not finite": ({"kernel": [[np.nan]]}, "finite numbers"),
    "no stride": ({"stride": 0}, "stride and dilation from 1"),
    "another cell": ({"at": (99, 0)}, r"none at \[99, 0\]"),
    "too large a window": ({"pool_size": 99}, "pool_size: wants 1 to 7"),
    "another pooling": ({"pooling": "median"}, "unknown pooling"),
    "no picture": ({"image": np.ones((2, 3, 4))}, "a picture of finite numbers"),
    "a huge picture": ({"image": np.ones((300, 3))}, "256 rows and columns at most"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit(name: str) -> None:
    given_, words = BAD[name]
    with pytest.raises((ConvolvingError, PellucidError), match=words):
        pl.convolve(**{"image": IMAGE, **given_})


def test_the_command() -> None:
    done = CliRunner().invoke(app, ["convolve", "digits[143]", "--kernel", "-1,0,1;-1,0,1", "--at", "2,3", "--json"])
    told = json.loads(done.stdout)
    assert told["kernel"] == [[-1, 0, 1], [-1, 0, 1]]
    assert sum(map(sum, told["products"])) == told["output"][2][3]
    for words, problem in (
        (["digits[143]", "--at", "two"], "--at: expected"),
        (["digits[143]", "--kernel", "1,x"], "--kernel: expected numbers"),
        (["sample:china", "--side", "300"], "256 rows and columns"),
    ):
        failed = CliRunner().invoke(app, ["convolve", *words])
        assert failed.exit_code != 0
        assert problem in failed.output + str(failed.exception)
