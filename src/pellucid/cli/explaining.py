"""`pellucid trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.options import Json, print_json


def trace(
    expression: Annotated[str, typer.Argument(help="A formula, for example 'w*x + b'.")],
    values: Annotated[list[str] | None, typer.Argument(help="A value for each name: w=2 x=-1.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Also draw the graph into this file.")] = None,
    as_json: Json = False,
) -> None:
    """Compute a formula forward and backward, gate by gate, and show every number.

    Example: pellucid trace "1/(1+exp(-(w0*x0+w1*x1+w2)))" w0=2 x0=-1 w1=-3 x1=-2 w2=-3
    """
    from pellucid.explain import trace_expression
    from pellucid.formula import ExpressionError
    from pellucid.formula import expression as parse

    numbers: dict[str, float] = {}
    for assignment in values or []:
        name, equals, text = assignment.partition("=")
        try:
            numbers[name.strip()] = float(text)
        except ValueError:
            equals = ""
        if not equals or not name.strip().isidentifier():
            raise ExpressionError(f"expected name=number, got {assignment!r}")
    traced = trace_expression(parse(expression, **numbers))
    if svg is not None:
        svg.write_text(traced.svg(), encoding="utf-8")
    if as_json:
        print_json(traced.to_dict())
    else:
        print(traced)
