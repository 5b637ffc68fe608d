"""Random windows, colors and erased boxes of pictures, each beside a plain computation or a library's."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Augmentation, Loader, Preprocessing, Splits, augment
from pellucid.data.colors import recolored
from pellucid.errors import PellucidError
from pellucid.train import TrainConfig, fit

COLOR = np.random.default_rng(0).integers(0, 256, (5, 3, 9, 12), np.uint8)
NO_CHANGE = [1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]
ALL = {
    "flip": True,
    "shift": 1,
    "rotation": 10.0,
    "zoom": 0.2,
    "crop_scale": (0.3, 1.0),
    "brightness": 0.4,
    "contrast": 0.4,
    "erasing": 0.5,
}


def change(**columns: float) -> np.ndarray:
    row = np.float32(NO_CHANGE)
    for name, value in columns.items():
        row[int(name[1:])] = value
    return row[None]


def test_no_change_is_none() -> None:
    np.testing.assert_array_equal(augment(COLOR, np.repeat(change(), 5, 0)), COLOR)


def test_a_window_of_whole_pixels_is_cut_out() -> None:
    """Half of the rows from the first on, each seen twice: pixel k shows row (k + 0.5) / 2 - 0.5 of the window."""
    image = np.arange(8, dtype=np.uint8)[None, None, :, None].repeat(4, 3) * 20
    changed = augment(image, change(_5=0.5, _7=-2.0))[0, 0, :, 0]
    np.testing.assert_array_equal(changed, np.rint(np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 7) * 20))


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.3])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colors_are_pillows(name: str, factor: float) -> None:
    from PIL import Image, ImageEnhance

    enhance = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
    }
    factors = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0, name: factor}
    found = recolored(COLOR, *(np.full(5, value) for value in factors.values()))
    for image, other in zip(found, COLOR, strict=True):
        expected = np.asarray(enhance[name](Image.fromarray(other.transpose(1, 2, 0))).enhance(factor)).transpose(
            2, 0, 1
        )
        assert np.abs(image.astype(int) - expected).max() <= 1  # Pillow rounds the gray, and cuts fractions off


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.1, 0.5])
def test_hue_is_a_turn_of_the_color_wheel(turn: float) -> None:
    ones = np.ones(5)
    found = recolored(COLOR, ones, ones, ones, np.full(5, turn))
    for place in np.ndindex(5, 9, 12):
        n, i, j = place
        h, s, v = colorsys.rgb_to_hsv(*(COLOR[n, :, i, j] / 255))
        expected = np.array(colorsys.hsv_to_rgb((h + turn) % 1, s, v)) * 255
        np.testing.assert_allclose(found[n, :, i, j], expected, atol=0.51)


def test_gray_pictures_keep_one_channel() -> None:
    gray = COLOR[:, :1]
    found = recolored(gray, np.full(5, 1.2), np.full(5, 0.5), np.ones(5), np.zeros(5))
    brighter = np.clip(gray * 1.2, 0, 255)
    middle = brighter.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(found, middle + 0.5 * (brighter - middle), atol=0.51)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_boxes_are_wiped_out_with_the_mean(dtype: type) -> None:
    images = COLOR.astype(dtype)
    found = augment(images, np.repeat(change(_13=2, _14=3, _15=4, _16=5), 5, 0), np.array([7, 8, 9], dtype))
    expected = images.copy()
    expected[:, :, 2:6, 3:8] = np.array([7, 8, 9], dtype)[:, None, None]
    np.testing.assert_array_equal(found, expected)


def test_what_is_drawn_lies_in_its_range() -> None:
    drawn = Augmentation(zoom=0.25, crop_scale=(0.2, 0.5), hue=0.1, contrast=0.3, erasing=0.5)
    rows = drawn.draw(4000, np.random.default_rng(0), (40, 60)).T
    tall, wide = rows[5:7]
    area = tall * wide
    assert area.min() >= 0.2 / 1.25**2 - 1e-6 and area.max() <= 0.5 / 0.75**2 + 1e-6
    assert 0.9 < np.median(wide * 60 / (tall * 40)) < 1.1
    inside = Augmentation(crop_scale=(0.2, 0.5)).draw(4000, np.random.default_rng(0), (40, 60)).T
    assert (np.abs(inside[7]) <= (1 - inside[5]) * 20 + 1e-3).all() and (
        np.abs(inside[8]) <= (1 - inside[6]) * 30 + 1e-3
    ).all()
    assert (rows[9] == 1).all() and (rows[11] == 1).all()
    assert 0.69 < rows[10].min() < 0.71 and 0.09 < rows[12].max() < 0.101
    top, left, height, width = rows[13:]
    wiped = height > 0
    assert 0.45 < wiped.mean() < 0.55
    assert ((top + height)[wiped] <= 40).all() and ((left + width)[wiped] <= 60).all() and (width[wiped] >= 1).all()


def test_a_batch_is_the_same_alone_and_ahead() -> None:
    data = ArrayDataset(COLOR.repeat(8, 0), [0, 1] * 20, ("a", "b"))
    augmentation = Augmentation(**ALL, saturation=0.3, hue=0.1)
    loader = Loader(data, 6, Preprocessing((9, 12), 3, (0.5,) * 3, (0.2,) * 3), True, 1, augmentation)
    for number, batch in enumerate(loader.epoch(2)):
        np.testing.assert_array_equal(batch.images, loader.batch(2, number).images)


@pytest.mark.parametrize("floats", [False, True])
def test_a_network_trains_on_all_of_it(tmp_path: Path, floats: bool) -> None:
    random = np.random.default_rng(0)
    net = nn.Sequential(conv=nn.Conv2d(1, 2, 3), flat=nn.Flatten(), fc=nn.Linear(72, 1))
    settings = {"epochs": 1, "batch_size": 8, "report": False, **ALL}
    if floats:
        images = random.normal(size=(40, 1, 8, 8)).astype(np.float32)
        data = (images, images.mean((1, 2, 3)).astype(np.float32))
        with pytest.raises(PellucidError, match="for pictures of bytes"):
            fit(net, data, out=tmp_path / "refused", **settings)
        settings |= {"brightness": 0.0, "contrast": 0.0}
        fit(net, data, out=tmp_path / "run", **settings)
    else:
        digits = pl.load("digits")
        net = nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=2)
        run = fit(net, Splits(digits.validation, digits.test, digits.test), out=tmp_path / "run", **settings)
        assert TrainConfig.from_dict(run.config.to_dict()) == run.config
        assert "crop_scale = [0.3, 1.0]" in (run.folder / "config.toml").read_text()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"zoom": 1.0}, r"zoom must lie in \[0, 1\)"),
        ({"crop_scale": (0.5, 0.2)}, r"crop_scale must be two numbers in \[0.01, 1\]"),
        ({"crop_scale": (0.0, 1.0)}, r"crop_scale must be two numbers in \[0.01, 1\]"),
        ({"crop_scale": 0.5}, "crop_scale must be two numbers"),
        ({"crop_ratio": (2.0, 1.0)}, "crop_ratio must be two numbers"),
        ({"brightness": -0.1}, r"brightness must lie in \[0, 1\]"),
        ({"contrast": 1.5}, r"contrast must lie in \[0, 1\]"),
        ({"saturation": float("nan")}, r"saturation must lie in \[0, 1\]"),
        ({"hue": 0.6}, r"hue must lie in \[0, 0.5\]"),
        ({"erasing": 2}, r"erasing must lie in \[0, 1\]"),
        ({"hue": 0.1}, "saturation and hue are for pictures in color"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, settings: dict, words: str) -> None:
    net = nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=2)
    with pytest.raises(PellucidError, match=words):
        fit(net, pl.load("digits"), out=tmp_path / "run", **settings)
