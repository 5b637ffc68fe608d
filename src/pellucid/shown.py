"""Numbers as pages show them, four digits that count, and by how much what is shown of a sum does not add up."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

DIGITS = 4
"""That count, of a number that is shown."""
EXACT = Decimal("1e-9")
"""Of the largest number that is shown: what a sum misses by less is not said."""
_ROUNDING = Context(prec=DIGITS, rounding=ROUND_HALF_UP)


def shown(value: float) -> Decimal:
    """A number as it is shown, halves away from zero."""
    return _ROUNDING.create_decimal_from_float(float(value))


def missed(terms: Iterable[float], total: float) -> float:
    """By how much terms as they are shown miss their `total` as it is shown: 0 where they add up, or one is no finite number."""
    return missed_by([shown(term) for term in terms], total)


def missed_by(terms: Iterable[Decimal], total: float) -> float:
    """`missed` of terms that are products of what is shown."""
    read, told = [*terms], shown(total)
    if not all(one.is_finite() for one in (*read, told)):
        return 0.0
    off = abs(sum(read, -told))
    return float(f"{off:.2g}") if off > EXACT * max(map(abs, (*read, told))) else 0.0
