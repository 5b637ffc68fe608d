"""The large arrays of an ONNX file are read apart from the rest of it: nothing else is another."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.interop import OnnxError
from pellucid.interop.onnx_reader.cut import LARGE, cut

onnx = pytest.importorskip("onnx")
COUNT = LARGE // 4


def model_with(*initializers: Any, value: str = "w") -> Any:
    helper = onnx.helper
    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", value], ["y"], name="scale")],
        "net",
        [helper.make_tensor_value_info("x", float32, [COUNT])],
        [helper.make_tensor_value_info("y", float32, [COUNT])],
        list(initializers),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weights(name: str = "w", count: int = COUNT, dtype: Any = np.float32) -> Any:
    return onnx.numpy_helper.from_array(np.arange(count).astype(dtype), name)


def whole(data: bytes) -> Any:
    """What protobuf reads, or None where that is nothing."""
    from google.protobuf.message import DecodeError

    try:
        return onnx.ModelProto.FromString(data)
    except DecodeError:
        return None


def varint(number: int) -> bytes:
    """A number of 15 to 21 bits as protobuf writes it."""
    return bytes([number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14])


def put_back(data: bytes) -> tuple[Any, int]:
    """The file that is left with the numbers in it again, and how many tensors had theirs taken out; None where it was not cut."""
    found = cut(io.BytesIO(data), len(data))
    if found is None:
        return None, 0
    light, numbers = found
    proto = whole(light)
    for which, raw in numbers.items() if proto is not None else ():
        proto.graph.initializer[which].raw_data = raw
    return proto, len(numbers)


@pytest.mark.parametrize(
    ("initializers", "taken"),
    [
        ([weights()], 1),
        ([weights("a", 3), weights(), weights("c", COUNT + 1)], 2),
        ([weights(count=COUNT - 8)], 0),
        ([weights(dtype=np.float64)], 0),
        ([weights(dtype=np.int64)], 0),
        ([], 0),
    ],
    ids=["one", "some", "small", "doubles", "integers", "none"],
)
def test_what_is_left_and_what_was_taken_make_the_file(initializers: list[Any], taken: int) -> None:
    proto = model_with(*initializers)
    found, count = put_back(proto.SerializeToString())
    assert count == taken
    assert found == proto


def test_numbers_in_other_fields_or_other_files_stay() -> None:
    floats = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [COUNT], np.arange(COUNT, dtype=np.float32))
    outside = weights()
    onnx.external_data_helper.set_external_data(outside, "w.bin")
    for tensor in (floats, outside):
        data = model_with(tensor).SerializeToString()
        assert cut(io.BytesIO(data), len(data)) == (data, {})


def test_a_file_laid_out_otherwise_is_read_in_one_piece() -> None:
    data = model_with(weights()).SerializeToString()
    again = onnx.ModelProto(graph=onnx.GraphProto(name="more")).SerializeToString()
    assert cut(io.BytesIO(data + again), len(data + again)) is None  # protobuf joins the two
    assert cut(io.BytesIO(data), len(data) + 1) is None
    assert cut(io.BytesIO(b""), 0) is None
    assert cut(io.BytesIO(b"\x0b" + data), len(data) + 1) is None  # a group
    assert cut(io.BytesIO(b"\xff" * 12), 12) is None


def test_damaged_files_are_what_protobuf_takes_them_for() -> None:
    rng = np.random.default_rng(5)
    data = model_with(weights("a", 3), weights()).SerializeToString()
    apart = [k for k in range(len(data)) if not 400 < k < len(data) - 300]  # not the numbers themselves
    seen = {"same": 0, "none": 0, "refused": 0}
    for k in [*apart, *rng.choice(apart, 2000)]:
        broken = bytearray(data)
        broken[k] = rng.integers(256)
        for one in (bytes(broken), bytes(broken[:k])):
            if cut(io.BytesIO(one), len(one)) is None:
                seen["none"] += 1
                continue
            found, wanted = put_back(one)[0], whole(one)
            assert found == wanted
            seen["refused" if wanted is None else "same"] += 1
    assert min(seen.values()) > 50


def test_a_tensor_with_its_numbers_twice_has_the_later_ones(tmp_path: Path) -> None:
    tensor = (
        weights().SerializeToString() + onnx.TensorProto(raw_data=np.ones(COUNT, "<f4").tobytes()).SerializeToString()
    )
    graph = model_with().graph.SerializeToString() + b"\x2a" + varint(len(tensor)) + tensor
    model = model_with()
    model.graph.CopyFrom(onnx.GraphProto.FromString(graph))
    rest = model_with()
    rest.ClearField("graph")
    data = rest.SerializeToString() + b"\x3a" + varint(len(graph)) + graph
    assert whole(data) == model
    (tmp_path / "twice.onnx").write_bytes(data)
    net = pl.load_onnx(tmp_path / "twice.onnx")
    np.testing.assert_array_equal(net.w.value, 1)


def test_numbers_of_the_wrong_size_are_refused_by_name(tmp_path: Path) -> None:
    tensor = weights(count=COUNT + 1)
    tensor.dims[0] = COUNT
    (tmp_path / "net.onnx").write_bytes(model_with(tensor).SerializeToString())
    with pytest.raises(OnnxError, match=r"net\.onnx: tensor 'w' \(4096,\) of type FLOAT: its data cannot be read"):
        pl.load_onnx(tmp_path / "net.onnx")


def test_the_file_comes_back_with_large_arrays_that_are_no_parameters(tmp_path: Path) -> None:
    """An array that nothing reads, and one that a parameter is."""
    proto = model_with(weights(), weights("unread", 2 * COUNT))
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    net = pl.load_onnx(tmp_path / "net.onnx")
    pl.save_onnx(net, tmp_path / "back.onnx")
    back = onnx.load(tmp_path / "back.onnx")
    held = {t.name: onnx.numpy_helper.to_array(t) for t in back.graph.initializer}
    for name, count in (("w", COUNT), ("unread", 2 * COUNT)):
        np.testing.assert_array_equal(held[name], np.arange(count, dtype=np.float32))
