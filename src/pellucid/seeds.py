"""Seeds of random numbers: what every generator here takes, and a word for everything else."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from pellucid.errors import PellucidError

LARGEST = 2**63 - 1
"""What TOML and the records of a run keep as a whole number."""


class SeedError(PellucidError, ValueError):
    """A seed is no whole number that random numbers can be drawn by."""


def require_seed(seed: Any, largest: int = LARGEST) -> int:
    """`seed` as an int, if it is a whole number from 0 to `largest`; else a `SeedError`."""
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= int(seed) <= largest:
        raise SeedError(f"a seed must be a whole number from 0 to {largest}, got {seed!r}")
    return int(seed)


def random_numbers(seed: Any, *key: int) -> np.random.Generator:
    """NumPy's default generator, keyed by a seed that was looked at, and by more numbers if there are."""
    return np.random.default_rng([require_seed(seed), *key])


def short_seed(seed: int) -> int:
    """A seed for generators that take 32 bits: its lowest."""
    return seed % 2**32


def fresh_seed() -> int:
    """A seed that nobody chose, short enough to be written down."""
    return secrets.randbelow(2**31)
