"""`formula`: a formula computed forward and backward."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import named_numbers
from pellucid.questions.question import Option, question


@question(
    "formula",
    "pellucid.explain:trace_expression",
    "pellucid.formulas.expression:expression",
    pictures="diagram",
    group="learn",
    page="forward-and-backward",
)
def formula(
    expression: Annotated[str, Option("A formula, for example 'w*x + b'.", place=True)],
    values: Annotated[list[str] | None, Option("A value for each name: w=2 x=-1.", place=True)] = None,
) -> Any:
    """Compute a formula forward and backward, gate by gate.

    Example: pellucid formula "1/(1+exp(-(w0*x0+w1*x1+w2)))" w0=2 x0=-1 w1=-3 x1=-2 w2=-3
    """
    from pellucid.explain import trace_expression
    from pellucid.formulas.expression import expression as parse

    return trace_expression(parse(expression, **named_numbers(values or [])))
