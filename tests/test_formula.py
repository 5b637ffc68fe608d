"""Formulas: the lecture's numbers, random formulas against Python's own arithmetic, and hostile input."""

from __future__ import annotations

import contextlib
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid as pl
from pellucid.formulas.expression import FUNCTIONS, ExpressionError
from search import examples

NEURON = "1/(1+exp(-(w0*x0+w1*x1+w2)))"
VALUES = {"w0": 2, "x0": -1, "w1": -3, "x1": -2, "w2": -3}


def test_the_lectures_neuron() -> None:
    trace = pl.trace_expression(pl.expression(NEURON, **VALUES))
    assert [g.label for g in trace.gates] == ["x*y", "x*y", "+", "+", "*-1", "exp", "+1", "1/x"]
    expected = [-2, 6, 4, 1, -1, math.exp(-1), 1 + math.exp(-1), 0.7310585786300049]
    assert [g.value for g in trace.gates] == pytest.approx(expected, abs=1e-12)
    assert trace.value == pytest.approx(0.7310585786, abs=1e-9)
    gradients = {"w0": -0.1966119332, "x0": 0.3932238665, "w1": -0.3932238665, "x1": -0.5898357998, "w2": 0.1966119332}
    assert trace.variable_gradients == pytest.approx(gradients, abs=1e-9)
    chain = [(e.upstream, e.downstream) for g in reversed(trace.gates[4:]) for e in g.edges]
    stated = [1, -0.5344466454, -0.5344466454, -0.1966119332, 0.1966119332]
    assert [chain[0][0], *(down for _, down in chain)] == pytest.approx(stated, abs=1e-9)
    for gate in trace.gates:
        for edge in gate.edges:
            assert edge.downstream == edge.upstream * edge.local


def test_steps_tell_unknown_from_zero() -> None:
    trace = pl.trace_expression(pl.expression("max(x, 0) * y", x=-1, y=3))
    steps = trace.steps()
    assert steps[0].values[trace.gates[0].name] is None
    assert all(v is None for v in steps[0].gradients.values())
    assert steps[-1].gradients["x"] == 0
    assert steps[-1].gradients["y"] == 0
    assert [s.name.split()[0] for s in steps] == ["start", "forward", "forward", "backward", "backward", "backward"]


@pytest.mark.parametrize(("text", "value"), {"1": 1, "2*3": 6, "-1": -1, ".5": 0.5, "2^10-24": 1000}.items())
def test_a_formula_of_numbers_alone_is_its_number(text: str, value: float) -> None:
    trace = pl.trace_expression(pl.expression(text))
    assert (trace.value, trace.gates, trace.variables) == (value, (), {})
    assert str(trace).splitlines()[-1] == f"f = {value:g}"
    assert trace.to_dict()["value"] == value
    assert text in trace.svg()


RULES = {
    "2**x": "2**x * log(2)",
    "x**2": "2 * x**(2 - 1)",
    "2/x": "-2/x**2",
    "x/2": "1/2",
    "-x": "-1",
    "max(x, 2)": "1 where x is the larger, else 0",
    "sqrt(x)": "1/(2 * sqrt(x))",
}


@pytest.mark.parametrize("text", RULES)
def test_a_local_derivative_is_its_rule(text: str) -> None:
    """The rule, read as a formula where it is one, gives the number beside it."""
    (edge,) = pl.trace_expression(pl.expression(text, x=3)).gates[-1].edges
    assert edge.rule == RULES[text]
    if "where" not in edge.rule:
        used = {"x": 3.0} if "x" in edge.rule else {}
        told = pl.expression(f"{edge.rule} + 0 * y", y=0, **used)
        assert pl.trace_expression(told).value == pytest.approx(edge.local, rel=1e-12)


def test_every_function_has_a_rule() -> None:
    for name in FUNCTIONS:
        text = f"{name}(x, y)" if name in ("max", "min") else f"{name}(x + 0 * y)"
        gates = pl.trace_expression(pl.expression(text, x=0.7, y=2)).gates
        assert all(edge.rule for gate in gates for edge in gate.edges), name


def test_steps_are_told_in_words() -> None:
    steps = pl.trace_expression(pl.expression("x * y", x=2, y=-3)).steps()
    assert [s.words for s in steps] == [
        "Given: x = 2, y = -3.",
        "Forward through x*y: of x = 2 and y = -3 it makes -6.",
        "Backward from here: the result changes with itself at the rate 1.",
        "Backward through x*y, upstream x local = downstream: x gets 1 x -3 = -3, the local derivative being y; "
        "y gets 1 x 2 = 2, the local derivative being x.",
    ]


@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [
        (2, -0.2, "2.00 -0.20"),
        (0.004, 3, "0.004 3"),
        (0, 3, "0.00 3.00"),
        (12345, 3, "1.234e+04 3"),
        (math.inf, 1, "inf 1.00"),
    ],
)
def test_two_decimals_unless_they_hide_a_number(x: float, y: float, wanted: str) -> None:
    picture = pl.trace_expression(pl.expression("x*y", x=x, y=y)).picture()
    assert " ".join(edge.above for edge in picture.edges) == wanted
    assert " ".join(box.lines[1].removeprefix("= ") for box in picture.boxes if box.kind == "variable") == wanted


def test_shows() -> None:
    trace = pl.trace_expression(pl.expression("x*x", x=3))
    assert trace.variable_gradients == {"x": 6.0}
    assert "f = 9" in str(trace)
    assert trace._repr_html_().startswith("<svg")
    assert trace.to_dict()["gates"][0]["edges"][0] == {
        "source": "x",
        "value": 3,
        "local": 3,
        "upstream": 1,
        "downstream": 3,
        "rule": "y",
    }


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves(name: str) -> None:
    trace = pl.trace_expression(pl.expression(f"{name}(3*x) + x^2", x=0.7))
    slope = {"sin": 3 * math.cos(2.1), "cos": -3 * math.sin(2.1)}[name]
    assert trace.value == pytest.approx(getattr(math, name)(2.1) + 0.49, abs=1e-12)
    assert trace.variable_gradients["x"] == pytest.approx(slope + 1.4, abs=1e-12)


NUMBERS = st.floats(0.5, 2.0)
FORMULAS = st.recursive(
    st.one_of(NUMBERS.map(lambda v: (f"{v:.3f}", float(f"{v:.3f}"))), st.just(("x", 1.25)), st.just(("y", -0.5))),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("+-*"), inner, inner).map(
            lambda t: (
                f"({t[1][0]} {t[0]} {t[2][0]})",
                {"+": t[1][1] + t[2][1], "-": t[1][1] - t[2][1], "*": t[1][1] * t[2][1]}[t[0]],
            )
        ),
        inner.map(lambda t: (f"tanh({t[0]})", math.tanh(t[1]))),
        inner.map(lambda t: (f"-{t[0]}", -t[1])),
        inner.map(lambda t: (f"({t[0]})**2", t[1] ** 2)),
    ),
    max_leaves=12,
)


@settings(max_examples=examples(150))
@given(FORMULAS)
def test_random_formulas(formula: tuple[str, float]) -> None:
    text, value = formula
    expression = pl.expression(f"({text}) + 0*x + 0*y", x=1.25, y=-0.5)
    (got,) = pl.run([expression.output], expression.feeds)
    assert float(got) == pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-x**2", -4),
        ("2**-x", 0.25),
        ("2**3**x/2**9", 1),
        ("x^2", 4),
        ("1-2-x", -3),
        ("8/x/2", 2),
        ("1e-1*x", 0.2),
        ("+x", 2),
    ],
)
def test_precedence(text: str, value: float) -> None:
    expression = pl.expression(text, x=2)
    assert float(pl.run([expression.output], expression.feeds)[0]) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("x.__class__", "'.' is not part"),
        ("__import__('os')", "is not part of a formula"),
        ("x[0]", "'[' is not part"),
        ("lambda: x", "is not part"),
        ("eval(x)", "unknown function 'eval'"),
        ("sigmod(x)", "did you mean 'sigmoid'"),
        ("x + z", "no value for 'z'"),
        ("x +", "got 'the end'"),
        ("(x", "expected ')'"),
        ("x x", "unexpected 'x'"),
        ("max(x)", "takes 2"),
        ("9**9**9**9 * x", "not a number"),
        ("1e400*x", "too large"),
        ("x/(1-1) + 1/0", "not a number"),
        ("(" * 400 + "x", "60 deep"),
        ("-" * 400 + "x", "60 deep"),
        ("2**" * 200 + "x", "60 deep"),
        ("x+" * 400 + "x", "more than 500 parts"),
        ("x" * 5000, "at most 2000"),
        ("x + ②", "is not part"),
        ("y", "no value"),
    ],
)
def test_hostile_formulas(text: str, words: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ExpressionError) as error:
        pl.expression(text, x=1)
    assert words in str(error.value)
    assert time.perf_counter() - started < 1


@settings(max_examples=examples(300))
@given(st.text(alphabet="xy01.()+-*/^,e maxexp_'[]", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(pl.PellucidError):
        pl.expression(text, x=1.0, y=2.0)


def test_unused_and_wrong_values() -> None:
    with pytest.raises(ExpressionError, match="does not use"):
        pl.expression("x", x=1, y=2)
    with pytest.raises(ExpressionError, match="must be a number"):
        pl.expression("x", x="one")  # type: ignore[arg-type]
