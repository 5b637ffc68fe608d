"""How native programs run: without allocating, without Python's lock, from several threads, on the caller's arrays."""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import re
import subprocess
import sys
import sysconfig
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.executors import ExecutorError, compile, computed_by, run
from pellucid.executors.contract import Signature
from pellucid.graph import Parameter
from pellucid.op import Array
from pellucid.train.optimizers import Optimizer
from pellucid.train.step import training_graph

pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")

from pellucid.executors import native
from pellucid.executors.compiled import _native
from pellucid.executors.native import NativeError, NativeProgram
from precisions import needs_bfloat16

BATCH, CLASSES = 8, 10
SETTINGS = [
    pytest.param(precision, threads, id=f"{precision}-{threads}", marks=marks)
    for precision, marks in (("float32", ()), ("bfloat16", needs_bfloat16))
    for threads in (1, 2)
]


def network() -> nn.Module:
    """A network with a step of every kind: direct and Winograd's convolutions, pooling, products, chains, dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 16, CLASSES),
    )  # fmt: skip


def step(precision: str = "float32", threads: int = 1, updates: bool = True) -> NativeProgram:
    """A training step on pictures of 32 x 32, its weights always the same."""
    net = network()
    net.initialize(7)
    optimizer = Optimizer("momentum")
    graph = training_graph(net, (BATCH, 3, 32, 32), optimizer, optimizer.state(net.parameters()))
    changes = graph.updates if updates else {}
    return NativeProgram(Signature(graph.outputs, (), changes, guard=False), precision, threads)


def feeds(program: NativeProgram, number: int) -> dict[str, Any]:
    """What a step is fed: pictures by number."""
    random = np.random.default_rng(number)
    images = random.standard_normal((BATCH, 3, 32, 32), np.float32)
    labels = random.integers(0, CLASSES, BATCH)
    fed = {"images": images, "labels": labels, "learning_rate": np.float32(0.05), "step": np.int64(number)}
    return {i.name: fed[i.name] for i in program.graph.inputs}


def bytes_of(arrays: tuple[Array, ...] | list[Array]) -> list[bytes]:
    return [a.tobytes() for a in arrays]


def in_process(function: Callable[..., Any], *arguments: Any, **environment: str) -> Any:
    """What a function of this file returns in a new process."""
    code = f"import json, sys; sys.path.insert(0, sys.argv[1]); import {__name__} as t; print(json.dumps(t.{function.__name__}(*{arguments!r})))"
    command = [sys.executable, "-W", "error", "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void*, size_t), *__libc_memalign(size_t, size_t);

enum { MOST = 100000 };
static atomic_int counting, calls;
static void* callers[MOST];

static void count(void* caller) {
    if (!atomic_load(&counting)) return;
    int call = atomic_fetch_add(&calls, 1);
    if (call < MOST) callers[call] = caller;
}
#define COUNT count(__builtin_return_address(0))
void* malloc(size_t n) { COUNT; return __libc_malloc(n); }
void* calloc(size_t k, size_t n) { COUNT; return __libc_calloc(k, n); }
void* realloc(void* p, size_t n) { COUNT; return __libc_realloc(p, n); }
void* memalign(size_t a, size_t n) { COUNT; return __libc_memalign(a, n); }
void* aligned_alloc(size_t a, size_t n) { COUNT; return __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) { COUNT; *p = __libc_memalign(a, n); return *p ? 0 : ENOMEM; }

void count_begin(void) { atomic_store(&calls, 0); atomic_store(&counting, 1); }
int count_end(void) { atomic_store(&counting, 0); return atomic_load(&calls); }
const char* count_library(int call) {
    Dl_info info;
    return call < MOST && dladdr(callers[call], &info) ? info.dli_fname : "?";
}
"""
"""Counts allocations of all threads between two calls, and remembers the library that asked for each."""


def count_allocations(precision: str, threads: int) -> tuple[dict[str, int], dict[str, int], int]:
    """Allocations per library while nothing is run, and while all native steps of a training step are: the fewest of five runs.

    Then in how many steps oneDNN asks for a block itself: some of its kernels for processors without AVX-512 do.

    A thread allocates once what it keeps, when it first does a share of the work that another one did before.
    """
    counter = ctypes.CDLL(None)
    counter.count_library.restype = ctypes.c_char_p
    program = step(precision, threads)
    for number in range(3):
        program(feeds(program, number))
    gc.disable()
    found: list[Counter[str]] = []
    with nullcontext(program._take()) as context:
        run_steps, memory = program._program.run, context.native
        for last in (0, 0, *[len(program._program)] * 5):
            counter.count_begin()
            run_steps(memory, 0, last)
            calls = counter.count_end()
            found.append(Counter(Path(counter.count_library(i).decode()).name for i in range(calls)))
    asking = [step.detail for step in program.plan.steps if re.search("gemm:jit|brg_fwd:avx2", step.detail)]
    return found[1], min(found[2:], key=Counter.total), 0 if _native.has_wide_kernels() else len(asking)


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library that counts allocations."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    folder = tmp_path_factory.mktemp("counter")
    (folder / "counter.c").write_text(COUNTER)
    command = [compiler, "-O1", "-shared", "-fPIC", "-Wl,-z,defs", "-o", "counter.so", "counter.c", "-ldl"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no C compiler for glibc: {error}")
    return str(folder / "counter.so")


@pytest.mark.parametrize(("precision", "threads"), SETTINGS)
def test_running_allocates_nothing(counter: str, precision: str, threads: int) -> None:
    """Neither the engine nor oneDNN, whose small tables of arguments lie in blocks kept from the run before."""
    nothing, everything, asking = in_process(
        count_allocations, precision, threads, LD_PRELOAD=counter, OMP_WAIT_POLICY="active"
    )
    assert nothing == {}
    own = sum(count for name, count in everything.items() if "dnnl" in name)
    assert sum(everything.values()) == own <= asking, everything


def test_python_goes_on_while_a_program_runs() -> None:
    """Another thread counts as long as a single run takes; only the run's letting go of the lock lets it."""
    x = pl.input((16, 64, 64, 64), name="x")
    y = x
    for number in range(6):
        y = pl.conv2d(y, Parameter.of(np.ones((64, 64, 3, 3), np.float32), f"w{number}"), padding=1)
    program = NativeProgram(Signature([y], (), {}, guard=False), threads=1)
    program({"x": np.zeros(x.shape, np.float32)})
    counted, done = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0)  # lets go of the lock, which the other thread may wait for

    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # nobody is asked to let go of it
    other = threading.Thread(target=count)
    try:
        with nullcontext(program._take()) as context:
            run_steps, memory, last = program._program.run, context.native, len(program._program)
            other.start()
            before = counted
            run_steps(memory, 0, last)
            during = counted - before
    finally:
        done.set()
        other.join()
        sys.setswitchinterval(interval)
    assert during > 100


def test_threads_get_memory_of_their_own_and_the_same_bytes_as_alone() -> None:
    program = step(updates=False)
    alone = [bytes_of(program(feeds(program, number))) for number in range(4)]
    assert len({tuple(b) for b in alone}) == 4
    wrong: list[int] = []
    start = threading.Barrier(4)

    def call(number: int) -> None:
        start.wait()
        wrong.extend(number for _ in range(10) if bytes_of(program(feeds(program, number))) != alone[number])

    callers = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []
    with nullcontext(program._take()) as one, nullcontext(program._take()) as other:
        first, second = sorted((one.native.arena, other.native.arena))
        assert second - first >= program.plan.arena_bytes


@pytest.mark.parametrize(("precision", "threads"), SETTINGS)
def test_training_twice_gives_the_same_bytes(precision: str, threads: int) -> None:
    results = []
    for _ in range(2):
        program = step(precision, threads)
        outputs = [bytes_of(program(feeds(program, number))) for number in range(4)]
        results.append((outputs, bytes_of([p.value for p in program.signature.updates])))
    assert results[0] == results[1]


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The addresses of the inputs and outputs of every call, as they are given to C++."""
    given: list[int] = []
    original = native._Context.set_arrays

    def set_arrays(context: Any, first: int, arrays: list[Array]) -> None:
        given.extend(a.__array_interface__["data"][0] for a in arrays)
        original(context, first, arrays)

    monkeypatch.setattr(native._Context, "set_arrays", set_arrays)
    return given


def test_feeds_and_outputs_are_the_callers_own_memory(addresses: list[int]) -> None:
    x = pl.input((3, 5), name="x")
    program = NativeProgram(Signature([pl.exp(x)], (), {}, guard=False))
    array = np.zeros((3, 5), np.float32)
    for _ in range(2):
        addresses.clear()
        (result,) = program({x: array})
        assert addresses == [array.ctypes.data, result.ctypes.data]
        array[...] = 1
    np.testing.assert_allclose(result, np.exp(1), rtol=1e-6)


MEMORY = np.arange(60, dtype=np.float32)
FEEDS = {
    "columns": np.asfortranarray(MEMORY[:15].reshape(3, 5)),
    "turned": MEMORY[:15].reshape(5, 3).T,
    "every second": MEMORY.reshape(6, 10)[::2, ::2],
    "backwards": MEMORY[:15].reshape(3, 5)[::-1, ::-1],
    "repeated": np.broadcast_to(MEMORY[:5], (3, 5)),
    "read-only": np.frombuffer(MEMORY.tobytes()[:60], np.float32).reshape(3, 5),
    "between two addresses": np.frombuffer(b"." + MEMORY.tobytes()[:60], np.float32, offset=1).reshape(3, 5),
    "other bytes first": MEMORY[:15].reshape(3, 5).astype(">f4"),
}


@pytest.mark.parametrize("name", FEEDS)
def test_feeds_may_lie_in_any_way(addresses: list[int], name: str) -> None:
    x = pl.input((3, 5), name="x")
    before = FEEDS[name].tobytes()
    outputs = [pl.exp(x * 0.1), pl.sum(x, 0)]
    expected = run(outputs, {x: np.array(FEEDS[name], np.float32)}, executor="reference")
    for actual, wanted in zip(run(outputs, {x: FEEDS[name]}, executor="native"), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-6)
    assert FEEDS[name].tobytes() == before
    assert all(address % 4 == 0 for address in addresses)


def count_threads(threads: int) -> tuple[int, float]:
    """Threads started by running on `threads` threads, and the seconds that others than the caller's computed."""
    clock = time.clock_gettime
    program, tasks = step("float32", threads), set(os.listdir("/proc/self/task"))
    whole, own = clock(time.CLOCK_PROCESS_CPUTIME_ID), clock(time.CLOCK_THREAD_CPUTIME_ID)
    for number in range(3):
        program(feeds(program, number))
    whole, own = clock(time.CLOCK_PROCESS_CPUTIME_ID) - whole, clock(time.CLOCK_THREAD_CPUTIME_ID) - own
    return len(set(os.listdir("/proc/self/task")) - tasks), whole - own


@pytest.mark.parametrize("threads", [1, 2])
def test_programs_use_as_many_threads_as_they_may(threads: int) -> None:
    """Whatever the environment says: OMP_NUM_THREADS is for those who do not say how many."""
    started, seconds = in_process(count_threads, threads, OMP_NUM_THREADS="3", OPENBLAS_NUM_THREADS="1")
    assert started == threads - 1
    assert (seconds > 0.001) == (threads > 1)


def restarted_threads(threads: int) -> int:
    """Threads that a program with work for one, two and four threads has begun after its first run."""
    outputs = [pl.exp(pl.input((size,), name=f"x{size}")) * 2.0 for size in (100, 40_000, 400_000, 500, 30_000)]
    program = NativeProgram(Signature(outputs, (), {}, guard=False), threads=threads)
    arrays = {i: np.zeros(i.shape, np.float32) for i in program.graph.inputs}
    program(arrays)
    tasks = set(os.listdir("/proc/self/task"))
    for _ in range(5):
        program(arrays)
    return len(set(os.listdir("/proc/self/task")) - tasks)


def test_threads_last_from_step_to_step() -> None:
    assert in_process(restarted_threads, 4) == 0


def losses(threads: int) -> list[float]:
    """The loss of three steps."""
    program = step("float32", threads)
    return [float(program(feeds(program, number))[0]) for number in range(3)]


LIMITS = [{"OMP_THREAD_LIMIT": "1"}, {"OMP_THREAD_LIMIT": "2"}, {"OMP_DYNAMIC": "true"}, {"OMP_MAX_ACTIVE_LEVELS": "0"}]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: "-".join(next(iter(limit.items()))))
def test_no_work_is_left_out_when_openmp_gives_fewer_threads(limit: dict[str, str]) -> None:
    np.testing.assert_allclose(in_process(losses, 3, **limit), losses(1), rtol=1e-4)


WAITS = [{"OMP_WAIT_POLICY": "passive"}, {"GOMP_SPINCOUNT": "0"}, {"GOMP_SPINCOUNT": "2k"}, {"GOMP_SPINCOUNT": "some"}]


@pytest.mark.parametrize("wait", WAITS, ids=lambda wait: "-".join(next(iter(wait.items()))))
def test_how_threads_wait_changes_no_byte(wait: dict[str, str]) -> None:
    assert in_process(losses, 3, **wait) == in_process(losses, 3)


def who_computes() -> list[str]:
    """Who computes in this process, and in one forked after a program has run."""
    mine = computed_by("native", 3)
    losses(2)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of what is tried here
        if os.fork() == 0:
            os.write(writing, computed_by("native", 3).encode())
            os._exit(0)
    return [mine, os.read(reading, 1000).decode()]


WHO = [
    ({}, r"native on 3 threads, x86-64-v\w+, oneDNN \w+"),
    ({"OMP_THREAD_LIMIT": "2"}, r"native on 2 threads, .*"),
    ({"OMP_MAX_ACTIVE_LEVELS": "0"}, r"native on 1 thread, .*"),
    ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, r"native on 3 threads, x86-64-v\w+, oneDNN sse41"),
]


@pytest.mark.parametrize(("limit", "words"), WHO, ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_what_is_recorded_is_who_computes(limit: dict[str, str], words: str) -> None:
    mine, forked = in_process(who_computes, **limit)
    assert re.fullmatch(words, mine)
    assert forked.startswith("native on 1 thread,")


@pytest.mark.parametrize("words", ["-1", "0", "1025", "9" * 5000, "²", "1.5", "many"])
def test_a_number_of_threads_in_the_environment_that_no_machine_has(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PELLUCID_THREADS", words)
    with pytest.raises(ExecutorError, match="PELLUCID_THREADS must be a whole number from 1 to 1024"):
        compile([pl.relu(pl.input((2,)))], executor="native")


@pytest.mark.parametrize("threads", [-1, 1025, 10**6])
def test_a_number_of_threads_that_no_machine_has(threads: int) -> None:
    with pytest.raises(pl.PellucidError, match=rf"threads must lie in 0 to 1024 .*, got {threads}"):
        compile([pl.relu(pl.input((2,)))], executor="native", threads=threads)


def losses_after_fork() -> list[float]:
    """The loss of a program's third step in a process forked after the first two, and in this one."""
    program = step("float32", 2)
    for number in range(2):
        program(feeds(program, number))
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of what is tried here
        child = os.fork() == 0
    loss = float(program(feeds(program, 2))[0])
    if child:
        os.write(writing, str(loss).encode())
        os._exit(0)
    return [float(os.read(reading, 100)), loss]


def test_a_forked_process_goes_on_with_one_thread() -> None:
    """The threads of OpenMP stay behind, and a team that waits for them would wait for ever."""
    forked, mine = in_process(losses_after_fork)
    assert forked == pytest.approx(mine, rel=1e-5)


class BrokenProgram:
    """A C++ program whose steps fail: oneDNN cannot multiply such matrices."""

    def __init__(self, program: Any) -> None:
        self.acquire = program.acquire

    def run(self, *arguments: object) -> None:
        f32 = _native.DType.f32
        matrices = ([2, 3], [3, 1], f32), ([4, 2], [2, 1], f32), ([2, 2], [2, 1], f32)
        _native.Product("conv1", *matrices, (False,) * 3, math.inf, 1)

    profile = run


def test_errors_of_steps_name_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    x = pl.input((3, 5), name="x")
    program = NativeProgram(Signature([pl.exp(x)], (), {}, guard=False))
    array = np.zeros((3, 5), np.float32)
    with monkeypatch.context() as patch:
        patch.setattr(program, "_program", BrokenProgram(program._program))
        for call in (program, program.report):
            with pytest.raises(NativeError, match=r"^conv1: ") as raised:
                call({x: array})
            assert isinstance(raised.value, ExecutorError)
            assert isinstance(raised.value.__cause__, _native.StepError)
    (result,) = program({x: array})
    assert (result == 1).all()


def test_steps_that_are_not_there_cannot_be_run() -> None:
    program = step()
    with nullcontext(program._take()) as context:
        for first, last in ((-1, 1), (0, len(program._program) + 1), (1, 0)):
            with pytest.raises(IndexError, match="no such steps"):
                program._program.run(context.native, first, last)


def test_the_module_brings_its_libraries_along() -> None:
    """It loads in an empty environment, and takes oneDNN and OpenMP from its own folder."""
    maps = "[l.split()[-1] for l in open('/proc/self/maps') if '.so' in l]"
    code = f"import pellucid.executors._native as m; print(m.__file__, *sorted(set({maps})), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    module, *libraries = map(Path, done.stdout.splitlines())
    for name in ("libdnnl.so", "libgomp.so"):
        assert [p.parent for p in libraries if p.name.startswith(name)] == [module.parent]
