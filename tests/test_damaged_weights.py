"""Damaged, mutated and malicious files of weights: one clear error, and no more memory than the file's size justifies."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save as to_safetensors

import pellucid as pl
from pellucid.errors import WeightsError
from pellucid.interop.torch_file import COPIED_BYTES, LEGACY_START, ZIP_START
from search import examples

STATE = {
    "conv.weight": torch.arange(36.0).reshape(2, 2, 3, 3),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "turned": torch.arange(6).reshape(2, 3).t(),
    "count": torch.tensor(3),
}


def saved(value: Any, zipped: bool = True) -> bytes:
    """A file of PyTorch's, without checksums, so that what is changed in it is read."""
    file = io.BytesIO()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(value, file, _use_new_zipfile_serialization=zipped)
    finally:
        torch.serialization.set_crc32_options(True)
    return file.getvalue()


FILES = {
    "zip": saved({"model": STATE, "epoch": 3}),
    "legacy": saved({"model": STATE, "epoch": 3}, zipped=False),
    "safetensors": to_safetensors({name: value.contiguous() for name, value in STATE.items()}),
}


def read(path: Path, content: bytes) -> dict[str, np.ndarray] | None:
    """The weights, or None where the file is refused as it should be."""
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = pl.read_weights(path)
        except WeightsError as error:
            assert str(error).startswith(str(path))
            return None
    assert sum(array.nbytes for array in found.values()) <= 8 * len(content) + COPIED_BYTES
    return found


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_changed_bytes(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 4))
        content[at : at + length] = data.draw(st.binary(min_size=0, max_size=8))
    read(tmp_path / "w.pt", bytes(content))


@pytest.mark.parametrize("kind", FILES)
def test_every_single_byte_matters_little(kind: str, tmp_path: Path) -> None:
    content = FILES[kind]
    for at in range(0, len(content), 3):
        for value in (0x00, 0xFF, content[at] ^ 0x01):
            read(tmp_path / "w.pt", content[:at] + bytes([value]) + content[at + 1 :])


@pytest.mark.parametrize("kind", FILES)
def test_cut_off_anywhere(kind: str, tmp_path: Path) -> None:
    for length in range(0, len(FILES[kind]), 7):
        assert read(tmp_path / "w.pt", FILES[kind][:length]) is None


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([b"", ZIP_START, LEGACY_START, b"\x10\0\0\0\0\0\0\0{", b"\x80\x02", b"\x89HDF"]), st.binary())
def test_garbage(tmp_path: Path, start: bytes, rest: bytes) -> None:
    assert read(tmp_path / "w.pt", start + rest) is None


@pytest.mark.parametrize("damage", ["weights", "pickle"])
def test_a_checksum_that_differs(damage: str, tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pt")
    content = bytearray((tmp_path / "w.pt").read_bytes())
    content[content.index(STATE["conv.weight"].numpy().tobytes() if damage == "weights" else b"conv.weight") + 5] ^= 1
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(WeightsError, match="checksum differs"):
        pl.read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (pickle.dumps({"a": 1}), "a pickle but not one of `torch.save`"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"some text", "neither a file of PyTorch's"),
        (saved(torch.ones(3)), "holds a tensor, not"),
        (saved([torch.ones(3)]), "holds a list"),
        (saved({"epoch": 3, "lr": 0.1}), "no weights were found in it; its entries are: epoch, lr"),
        (saved({"a": torch.ones(2, dtype=torch.complex64)}), "wants to use torch.ComplexFloatStorage"),
    ],
)
def test_what_holds_no_weights(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        pl.read_weights(tmp_path / "w.pt")


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pt", tmp_path):
        with pytest.raises(WeightsError, match="there is no such file"):
            pl.read_weights(path)


def test_torchscript(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"a TorchScript archive.*state_dict"):
        pl.read_weights(tmp_path / "w.pt")


def tensors(*rebuilt: tuple[str, str, int, tuple[int, ...], tuple[int, ...], int]) -> bytes:
    """A pickle of tensors: storage type, key, number of stored elements, shape, strides, offset."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def number(value: int) -> bytes:
        raw = value.to_bytes(9, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    content = b"\x80\x02}("
    for name, (kind, key, count, shape, strides, offset) in enumerate(rebuilt):
        storage = (
            b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count) + b"tQ"
        )
        content += text(str(name)) + b"ctorch._utils\n_rebuild_tensor_v2\n("
        content += storage + number(offset) + numbers(shape) + numbers(strides) + b"\x89Nt" + b"R"
    return content + b"u."


def zipped(data: bytes, storages: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("a/data.pkl", data)
        for key, value in storages.items():
            target.writestr(f"a/data/{key}", value)
        for member in target.infolist():
            if change is not None:
                change(member)
    return file.getvalue()


FOUR = {"0": bytes(16)}
HUGE = 2**39
TENSORS = {
    "beyond its storage": (tensors(("FloatStorage", "0", 4, (5,), (1,), 0)), "reaches beyond its storage of 16 bytes"),
    "offset": (tensors(("FloatStorage", "0", 4, (2,), (1,), 3)), "reaches beyond"),
    "stride": (tensors(("FloatStorage", "0", 4, (2, 2), (3, 1), 0)), "reaches beyond"),
    "negative stride": (tensors(("FloatStorage", "0", 4, (2,), (-1,), 1)), "a tensor of shape"),
    "negative offset": (tensors(("FloatStorage", "0", 4, (2,), (1,), -1)), "a tensor of shape"),
    "negative size": (tensors(("FloatStorage", "0", 4, (-2,), (1,), 0)), "a tensor of shape"),
    "huge": (tensors(("FloatStorage", "0", HUGE, (HUGE,), (1,), 0)), "has 16 bytes, expected"),
    "huge and empty": (tensors(("FloatStorage", "0", 4, (0, HUGE, HUGE), (1, 1, 1), 0)), "a tensor of shape"),
    "expanded": (tensors(("FloatStorage", "0", 4, (HUGE,), (0,), 0)), "over and over"),
    "expanded much": (tensors(("FloatStorage", "0", 4, (2**14, 2**14), (0, 0), 0)), "over and over"),
    "expanded often": (
        tensors(*(("FloatStorage", "0", 4, (2**20 + i,), (0,), 0) for i in range(20))),
        "over and over",
    ),
    "axes": (tensors(("FloatStorage", "0", 4, (1,) * 40, (1,) * 40, 0)), "without a shape"),
    "another length": (tensors(("FloatStorage", "0", 3, (3,), (1,), 0)), "has 16 bytes, expected 12"),
    "no storage": (tensors(("FloatStorage", "7", 4, (4,), (1,), 0)), "no member 'data/7'"),
    "a path": (tensors(("FloatStorage", "../../../../etc/passwd", 4, (4,), (1,), 0)), "no member 'data/../../"),
    "no element type": (tensors(("UntypedStorage", "0", 16, (4,), (1,), 0)), "without a shape or type"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_do_not_fit_their_storage(name: str, tmp_path: Path) -> None:
    data, words = TENSORS[name]
    (tmp_path / "w.pt").write_bytes(zipped(data, FOUR))
    with pytest.raises(WeightsError, match=words):
        pl.read_weights(tmp_path / "w.pt")


def test_a_small_expanded_tensor_is_read(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(
        zipped(tensors(("FloatStorage", "0", 4, (3, 2, 4), (0, 2, 0), 1)), {"0": np.arange(4.0, dtype="f4").tobytes()})
    )
    np.testing.assert_array_equal(pl.read_weights(tmp_path / "w.pt")["0"], np.broadcast_to([[[1.0], [3.0]]], (3, 2, 4)))


def compress(member: zipfile.ZipInfo) -> None:
    member.compress_type = zipfile.ZIP_DEFLATED


def enlarge(member: zipfile.ZipInfo) -> None:
    member.file_size = member.compress_size = 2**31


def move(member: zipfile.ZipInfo) -> None:
    member.header_offset += 1


def encrypt(member: zipfile.ZipInfo) -> None:
    member.flag_bits |= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (compress, "compressed or encrypted"),
        (encrypt, "compressed or encrypted"),
        (enlarge, "larger than the file"),
        (move, "does not start where the directory says"),
    ],
)
def test_zip_directories_that_lie(change: Callable[[zipfile.ZipInfo], None], words: str, tmp_path: Path) -> None:
    data = tensors(("FloatStorage", "0", 4, (4,), (1,), 0))
    read_as_it_is = zipped(data, FOUR)
    assert read(tmp_path / "w.pt", read_as_it_is) is not None
    (tmp_path / "w.pt").write_bytes(zipped(data, FOUR, change))
    with pytest.raises(WeightsError, match=words):
        pl.read_weights(tmp_path / "w.pt")


def test_memory_stays_within_what_the_file_justifies(tmp_path: Path) -> None:
    half = {"0": bytes(2_000_000)}
    contents = {
        "overlapping views": zipped(
            tensors(*(("HalfStorage", "0", 10**6, (10**6 - i,), (1,), i) for i in range(500))), half
        ),
        "promises": LEGACY_START + b"\x80\x04\x8e" + struct.pack("<Q", 2**33) + b".",
        "empty lists": LEGACY_START + b"\x80\x02" + b"]" * 30_000_000,
        **{name: zipped(data, FOUR) for name, (data, _) in TENSORS.items()},
    }
    for name, content in contents.items():
        (tmp_path / f"{name.replace(' ', '-')}.pt").write_bytes(content)
    code = """
import resource, sys, numpy, safetensors, pellucid.interop
from pathlib import Path
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 700 * 2**20,) * 2)
for path in sorted(Path(sys.argv[1]).glob("*.pt")):
    try:
        pellucid.interop.read_weights(path)
    except pellucid.errors.WeightsError:
        continue
    raise SystemExit(f"{path} was read")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
