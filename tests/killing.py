"""Ends a training run at every operation on its files, resumes it, and compares what is left with a run that nothing befell.

    python tests/killing.py                 every operation once, then pairs at random for as long as --minutes says
    python tests/killing.py --kills 12      some operations, chosen by --seed
    python tests/killing.py --only kill@17,full@3

A life is `kind@operation`: the process is killed there (a file that is being written is torn), the disk is full from
there on for a while, or SIGTERM comes. Every find is printed with the lives that lead to it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before NumPy comes: processes are forked here

import numpy as np

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Splits
from pellucid.errors import WriteError
from pellucid.train import fit, loop

KINDS = ("kill", "full", "stop")
CHANGES = {"os.rename": 1, "os.link": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.truncate": 0}
"""What Python tells of before it is done to a file, and which of its arguments says where."""
FULL_FOR = 3  # operations
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Life:
    """One process of a run: what happens to it, and at which operation on the run's files."""

    kind: str
    at: int

    def __str__(self) -> str:
        return f"{self.kind}@{self.at}"

    @classmethod
    def of(cls, text: str) -> Life:
        kind, at = text.split("@")
        return cls(kind, int(at))


class Watcher:
    """Counts the operations on the files in `folder`, and does what `life` says at its one."""

    def __init__(self, folder: Path, life: Life | None) -> None:
        self.folder, self.life, self.count = f"{folder}{os.sep}", life, 0
        self.sync = os.fsync
        sys.addaudithook(self.heard)
        os.fsync = self.synced  # which Python tells nothing of

    def heard(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
            self.operation(arguments[0])
        elif event in CHANGES:
            self.operation(arguments[CHANGES[event]], removes=event in ("os.remove", "os.rmdir"))

    def operation(self, path: object, removes: bool = False) -> None:
        if isinstance(path, str | Path) and f"{path}{os.sep}".startswith(self.folder):
            self.due(lambda: None, removes)

    def synced(self, descriptor: int) -> None:
        self.due(lambda: os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2))
        self.sync(descriptor)

    def due(self, tear: Callable[[], object], removes: bool = False) -> None:
        number, life = self.count, self.life
        self.count += 1
        if life is None or not life.at <= number < life.at + (FULL_FOR if life.kind == "full" else 1):
            return
        if life.kind == "full":
            if removes:
                return
            raise OSError(errno.ENOSPC, "No space left on device")
        if life.kind == "kill":
            self.life = None
            with contextlib.suppress(OSError):  # a folder cannot be torn
                tear()
        os.kill(os.getpid(), signal.SIGKILL if life.kind == "kill" else signal.SIGTERM)


def data() -> Splits:
    """Few pictures: what is looked at is files."""
    whole = pl.load("digits")
    picks = np.arange(48)
    part = ArrayDataset(whole.train.images(picks), whole.train.labels[picks], whole.classes, "few")
    return Splits(part, part, part, "few")


def lived(pictures: Splits, folder: Path, life: Life | None) -> tuple[str, int]:
    """How a process of its own ends that starts the run in `folder`, or resumes it, and how many operations it did."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        with os.fdopen(reading) as answer:
            said = answer.read()
        _, status = os.waitpid(child, 0)
        how, count = json.loads(said or '["killed", 0]')
        return ("killed" if os.WIFSIGNALED(status) else how), count
    code = 1
    try:
        loop.time = SimpleNamespace(perf_counter=lambda: 0.0)  # the clock is all that differs between two runs
        warnings.simplefilter("ignore")
        watcher = Watcher(folder, life)
        net = nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=2)
        settings = {"epochs": 2, "batch_size": 12, "seed": 3, "checkpoint_every": 2, "watch_every": 1, "shift": 1}
        try:
            resume = (folder / "config.toml").exists()
            run = fit(net, pictures, out=folder, resume=resume, executor="reference", threads=1, **settings)
            how = run.status
        except WriteError:
            how = "full"
        os.write(writing, json.dumps([how, watcher.count]).encode())
        code = 0
    except Exception:  # noqa: BLE001 (whatever it is, the parent must hear of it)
        os.write(writing, json.dumps([traceback.format_exc(), 0]).encode())
    finally:
        os._exit(code)


def files(folder: Path) -> dict[str, bytes]:
    """What is in a run's folder, by name."""
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def differs(pictures: Splits, whole: Path, folder: Path, lives: list[Life]) -> str:
    """What is wrong with a run that went through these lives and was then left alone; "" if nothing is."""
    for life in lives:
        how, _ = lived(pictures, folder, life)
        if how not in ("killed", "full", "interrupted", "finished"):
            return f"{life} ended with {how}"
    how, _ = lived(pictures, folder, None)
    if how != "finished":
        return f"it cannot be gone on with: {how}"
    one, other = files(whole), files(folder)
    wrong = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    return f"other than without: {', '.join(wrong)}" if wrong else ""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    options.add_argument(
        "--kills", type=int, default=0, help="how many runs to end; 0: every operation, then at random"
    )
    options.add_argument("--minutes", type=float, default=5.0, help="when to stop")
    options.add_argument("--only", type=lambda text: [Life.of(part) for part in text.split(",")])
    asked = options.parse_args()
    print(f"killing runs with seed {asked.seed}", flush=True)
    chance, until, found, done = random.Random(asked.seed), time.monotonic() + 60 * asked.minutes, 0, 0
    pictures = data()
    with tempfile.TemporaryDirectory() as room:
        whole = Path(room) / "whole"
        how, count = lived(pictures, whole, None)
        if how != "finished":
            print(f"a run that nothing befalls ends with {how}")
            return 1

        def any_life() -> Life:
            return Life(chance.choice(KINDS), chance.randrange(count))

        every = [[Life(kind, at)] for kind in KINDS for at in range(count)]
        if asked.only:
            plan = [asked.only]
        elif asked.kills:
            plan = chance.sample(every, min(asked.kills, len(every)))
        else:
            plan = every + [[any_life() for _ in range(chance.randint(2, 3))] for _ in range(10_000)]
        for number, lives in enumerate(plan):
            if time.monotonic() > until:
                break
            folder = Path(room) / str(number)
            if words := differs(pictures, whole, folder, lives):
                found += 1
                print(f"{words}\n  repeat: python tests/killing.py --only {','.join(map(str, lives))}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            done += 1
    print(f"{done} runs were ended at {count} operations; {found} did not come back as they were")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
