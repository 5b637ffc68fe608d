"""How many lines an op takes, and one of them shown."""

from __future__ import annotations

import inspect
import statistics

from pellucid import ops
from pellucid.op import COMPOSITES, OPS


def lines(thing: object) -> int:
    """Lines of source without blank ones."""
    return sum(1 for line in inspect.getsource(thing).splitlines() if line.strip())  # type: ignore[arg-type]


def main() -> None:
    """Print the medians over the registry, and the sigmoid and mish in full."""
    primitives = [lines(op) for op in OPS.values() if op.__module__.startswith("pellucid.ops")]
    composites = [lines(c.function) for c in COMPOSITES.values()]
    print(f"{len(primitives)} primitives, median {statistics.median(primitives):.0f} lines each")
    print(f"{len(composites)} composites, median {statistics.median(composites):.0f} lines each\n")
    print(inspect.getsource(OPS["Sigmoid"]))
    print(inspect.getsource(ops.mish))


if __name__ == "__main__":
    main()
