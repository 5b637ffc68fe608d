"""Sums of products over named axes: NumPy's and PyTorch's numbers and gradients, few products, and clear errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import ShapeError
from pellucid.executors import TOLERANCE, available_executors, run
from pellucid.graph import Graph

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

EXECUTORS = [name for name in ("reference", "native", "torch") if not available_executors()[name]]

CASES: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ij->ji", ((3, 4),)),
    ("ji", ((3, 4),)),
    ("ij->", ((3, 4),)),
    ("ij->i", ((3, 4),)),
    ("ii", ((3, 3),)),
    ("ii->i", ((3, 3),)),
    ("iji->j", ((3, 4, 3),)),
    ("iii->i", ((3, 3, 3),)),
    ("ijij->ji", ((2, 3, 2, 3),)),
    ("...ii->...i", ((2, 5, 3, 3),)),
    ("i...j->j...", ((2, 3, 4, 5),)),
    ("...ij->...", ((2, 3, 4),)),
    ("ij,jk", ((3, 4), (4, 5))),
    (" i j , k j -> k i ", ((3, 4), (5, 4))),
    ("i,i", ((4,), (4,))),
    ("i,j", ((4,), (3,))),
    ("i,i->i", ((4,), (4,))),
    (",ij", ((), (3, 4))),
    (",->", ((), ())),
    ("ij,ij->ij", ((1, 3), (2, 3))),
    ("ij,jk->ik", ((3, 1), (4, 5))),
    ("ij,kj->", ((3, 4), (5, 4))),
    ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
    ("bij,bij->bi", ((2, 3, 4), (2, 3, 4))),
    ("bhid,bhjd->bhij", ((2, 3, 4, 5), (2, 3, 6, 5))),
    ("bhij,bhjd->bihd", ((2, 3, 4, 6), (2, 3, 6, 5))),
    ("bnd,hdk->bhnk", ((2, 3, 4), (5, 4, 6))),
    ("nctkv,kvw->nctw", ((2, 3, 4, 3, 5), (3, 5, 5))),
    ("Ab,bA->A", ((3, 4), (4, 3))),
    ("bA,A", ((3, 4), (4,))),
    ("aab,bcc->ac", ((3, 3, 4), (4, 2, 2))),
    ("...ij,...jk->...ik", ((2, 1, 3, 4), (5, 4, 5))),
    ("...,...", ((2, 3), (3,))),
    ("...i,i->...", ((2, 3), (3,))),
    ("i...,i...->...", ((3, 2, 4), (3, 2, 4))),
    ("...a,...b->b...a", ((2, 3), (2, 4))),
    ("ij,jk,kl->il", ((3, 4), (4, 5), (5, 2))),
    ("a,b,c->cab", ((2,), (3,), (4,))),
    ("ijk,ilm,njm,nlk,abc->", ((2, 3, 4), (2, 5, 6), (7, 3, 6), (7, 5, 4), (2, 2, 2))),
]


@pytest.mark.parametrize(("equation", "shapes"), CASES, ids=[c[0] for c in CASES])
def test_numbers_and_gradients(equation: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    random = np.random.default_rng(0)
    arrays = [np.asarray(random.standard_normal(shape)) for shape in shapes]
    expected = np.einsum(equation, *arrays)
    slope = np.cos(np.arange(expected.size)).reshape(expected.shape)
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    torch.einsum(equation, *tensors).backward(torch.tensor(slope))
    for dtype in ("float64", "float32"):
        inputs = [pl.input(shape, dtype, f"x{i}") for i, shape in enumerate(shapes)]
        y = pl.ops.einsum(equation, *inputs)
        outputs = [y, *pl.gradients(y, inputs, pl.constant(slope, dtype))]
        feeds = {f"x{i}": a.astype(dtype) for i, a in enumerate(arrays)}
        for executor in EXECUTORS:
            for actual, right in zip(
                run(outputs, feeds, executor), [expected, *(t.grad.numpy() for t in tensors)], strict=True
            ):
                assert actual.shape == right.shape
                scale = max(1.0, float(np.abs(right).max(initial=0)))
                np.testing.assert_allclose(actual, right, rtol=0, atol=TOLERANCE[dtype] * scale)


PRODUCTS = [
    ("ij,jk->ik", ["matmul"]),
    ("ij,kj->ik", ["transpose", "matmul"]),
    ("bij,bjk->bik", ["matmul"]),
    ("bij,bjk->bki", ["transpose", "transpose", "matmul"]),
    ("bij,jk->bik", ["reshape", "matmul", "reshape"]),
    ("ij,j->i", ["reshape", "matmul", "reshape"]),
    ("bij,bij->bi", ["multiply", "sum"]),
    ("ij,jk,k->i", ["reshape", "matmul", "reshape", "reshape", "matmul", "reshape"]),
]
"""What an equation becomes, where letters stand for sizes from 2 on."""


@pytest.mark.parametrize(("equation", "kinds"), PRODUCTS)
def test_a_matrix_product_is_one(equation: str, kinds: list[str]) -> None:
    terms = equation.partition("->")[0].split(",")
    inputs = [pl.input(tuple(2 + "bijk".index(c) for c in term), name=term) for term in terms]
    assert [n.op.kind for n in Graph([pl.ops.einsum(equation, *inputs)]) if n.inputs] == kinds


ERRORS = [
    ("ij,jk", ((3, 4),), "einsum: 'ij,jk' is for 2 operands, got 1"),
    ("ij", ((3, 4, 5),), r"'ij' in 'ij' has 2 letters, 'x0' \(3, 4, 5\) has 3 axes"),
    ("ij...", ((3,),), r"'ij...' in 'ij...' has 2 letters, 'x0' \(3,\) has 1 axes"),
    ("i1", ((3, 4),), "'i1' in 'i1' must be letters"),
    ("...i...", ((3, 4),), "must be letters, with ... for other axes at most once"),
    ("ij,jk", ((3, 4), (5, 6)), r"'j' in 'ij,jk' stands for 4 elements and for 5 in 'x1' \(5, 6\)"),
    ("ii", ((1, 3),), "'i' in 'ii' stands for 1 elements and for 3"),
    ("ij->ik", ((3, 4),), "the output of 'ij->ik' has 'k', which no operand has"),
    ("ij->ii", ((3, 4),), "the output of 'ij->ii' names an axis twice"),
]


@pytest.mark.parametrize(("equation", "shapes", "message"), ERRORS)
def test_what_makes_no_sense(equation: str, shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        pl.ops.einsum(equation, *(pl.input(shape, name=f"x{i}") for i, shape in enumerate(shapes)))


class Attention(torch.nn.Module):
    """Scores of all pairs of places, written as sums of products."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bij,bjd->bid", torch.softmax(torch.einsum("bid,bjd->bij", x, x), -1), x)


def test_modules_of_torch() -> None:
    values = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    net = pl.from_torch(Attention(), (2, 4, 5))
    (got,) = run([net(pl.input(values.shape, name="x"))], {"x": values})
    np.testing.assert_allclose(got, Attention()(torch.tensor(values)).numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("equation", ["bij,kj->bki", "...ij,jk", "bii,ik->bk"])
def test_files(equation: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    make, random = onnx.helper, np.random.default_rng(0)
    x, w = random.standard_normal((2, 4, 4)).astype(np.float32), random.standard_normal((4, 4)).astype(np.float32)
    node = make.make_node("Einsum", ["x", "w"], ["y"], "sum", equation=equation)
    graph = make.make_graph(
        [node], "g", [make.make_tensor_value_info("x", 1, x.shape)], [make.make_tensor_value_info("y", 1, None)],
        [onnx.numpy_helper.from_array(w, "w")],
    )  # fmt: skip
    path = tmp_path / "einsum.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 14)], ir_version=8), path)
    net = pl.load_onnx(path)
    assert list(net.named_parameters()) == ["w"]
    y = net(*net.example_inputs())
    (right,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    pl.save_onnx(Graph([y]), tmp_path / "again.onnx")
    (again,) = onnxruntime.InferenceSession(tmp_path / "again.onnx").run(None, {"x": x})
    for got in (*(run([y], {"x": x}, executor)[0] for executor in EXECUTORS), again):
        np.testing.assert_allclose(got, right, rtol=0, atol=1e-5)
