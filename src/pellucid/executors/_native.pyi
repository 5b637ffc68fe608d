"""Types of the compiled module (native/binding.cpp)."""

from collections.abc import Sequence
from enum import Enum

ALIGNMENT: int
BLOCK: int
MOST_POSITIONS: int

Place = tuple[int, int]
"""0 for the arena, else 1 + number of an array; and the byte in it."""
Matrix = tuple[Sequence[int], Sequence[int], DType]
"""Shape, strides in elements, element type."""
Operand = tuple[Place, DType, Sequence[int], bool, float]
"""Place, type, strides in elements, whether it is a number instead, and which."""
Instruction = tuple[Operation, int, int, int, int]
"""Operation, register of the result, three arguments: registers, or -1 - the number of an operand."""
Output = tuple[Place, DType, Sequence[int], int, Write, int, bool]
"""Place, type, strides, what is written, how, elements in all, and whether it may be computed in its place."""

class DType(Enum):
    f32 = 0
    bf16 = 1
    i64 = 2
    u8 = 3

class Layout(Enum):
    plain = 0
    channels_last = 1
    blocked = 2

class Direction(Enum):
    forward = 0
    backward_data = 1
    backward_weights = 2

class Pooling(Enum):
    max = 0
    max_gradient = 1
    average = 2
    average_gradient = 3

class Picking(Enum):
    blend = 0
    spread = 1
    likeness = 2
    region_average = 3
    region_spread = 4
    region_winners = 5
    taken = 6
    given = 7
    ranks = 8
    suppression = 9

class Write(Enum):
    store = 0
    sum = 1
    max = 2

class Operation(Enum):
    copy = 0
    add = 1
    subtract = 2
    multiply = 3
    divide = 4
    power = 5
    maximum = 6
    minimum = 7
    negative = 8
    absolute = 9
    sign = 10
    exp = 11
    expm1 = 12
    log = 13
    log1p = 14
    sqrt = 15
    erf = 16
    sigmoid = 17
    tanh = 18
    relu = 19
    softplus = 20
    less = 21
    less_equal = 22
    equal = 23
    not_equal = 24
    where = 25
    multiply_add = 26
    multiply_add_relu = 27
    relu_mask = 28
    copy_i64 = 29
    add_i64 = 30
    subtract_i64 = 31
    multiply_i64 = 32
    less_i64 = 33
    less_equal_i64 = 34
    equal_i64 = 35
    not_equal_i64 = 36
    to_float = 37
    to_bool = 38
    to_int = 39
    round = 40
    floor = 41
    maximum_i64 = 42
    minimum_i64 = 43

class StepError(RuntimeError): ...

class Context:
    @property
    def arena(self) -> int: ...
    def set_array(self, number: int, address: int) -> None: ...

class Convolution:
    def __init__(
        self, name: str, direction: Direction, sizes: Sequence[int], in_size: Sequence[int], out_size: Sequence[int], kernel: Sequence[int],
        stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], layouts: Sequence[Layout], types: Sequence[DType],
        epilogue: Sequence[bool], ceiling: float, threads: int,
    ) -> None: ...  # fmt: skip
    @property
    def weight_bytes(self) -> int: ...
    @property
    def scratch_bytes(self) -> int: ...
    @property
    def implementation(self) -> str: ...

class Product:
    def __init__(
        self, name: str, a: Matrix, b: Matrix, out: Matrix, epilogue: Sequence[bool], ceiling: float, threads: int
    ) -> None: ...
    @property
    def scratch_bytes(self) -> int: ...
    @property
    def implementation(self) -> str: ...

class Program:
    def __init__(self, arena_bytes: int, array_bytes: Sequence[int], threads: int) -> None: ...
    def __len__(self) -> int: ...
    @property
    def num_contexts(self) -> int: ...
    def add_chain(
        self, name: str, loops: Sequence[int], operands: Sequence[Operand], instructions: Sequence[Instruction],
        outputs: Sequence[Output], registers: int,
    ) -> None: ...  # fmt: skip
    def add_convolution(
        self, made: Convolution, x: Place, weight: Place, y: Place, bias: Place, residual: Place, scratch: Place
    ) -> None: ...
    def add_weight_reorder(self, name: str, made: Convolution, source: Place, to: Place) -> None: ...
    def add_product(
        self, made: Product, a: Place, b: Place, out: Place, bias: Place, residual: Place, scratch: Place
    ) -> None: ...
    def add_vector_product(
        self, name: str, outputs: int, inputs: int, weight: Place, x: Place, y: Place, bias: Place, with_bias: bool, relu: bool
    ) -> None: ...  # fmt: skip
    def add_weight_gradient(
        self, name: str, channels: Sequence[int], in_size: Sequence[int], out_size: Sequence[int], kernel: Sequence[int],
        stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], x: Place, y: Place, weight: Place,
    ) -> None: ...  # fmt: skip
    def add_depthwise_gradient(
        self, name: str, sizes: Sequence[int], in_size: Sequence[int], out_size: Sequence[int], kernel: Sequence[int],
        stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], channels_last: Sequence[bool], x: Place, y: Place,
        weight: Place,
    ) -> None: ...  # fmt: skip
    def add_winograd_weight(
        self, name: str, type: DType, taps: int, out_channels: int, in_channels: int, for_input_gradient: bool, weight: Place, to: Place
    ) -> None: ...  # fmt: skip
    def add_winograd(
        self, name: str, type: DType, taps: int, sizes: Sequence[int], in_size: Sequence[int], out_size: Sequence[int],
        padding: Sequence[int], x: Place, weight: Place, y: Place, bias: Place, residual: Place, epilogue: Sequence[bool],
    ) -> None: ...  # fmt: skip
    def add_winograd_weight_gradient(
        self, name: str, type: DType, taps: int, sizes: Sequence[int], in_size: Sequence[int], out_size: Sequence[int],
        padding: Sequence[int], x: Place, y: Place, weight: Place,
    ) -> None: ...  # fmt: skip
    def add_pool(
        self, name: str, kind: Pooling, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
        count_padding: bool, type: DType, source: Place, to: Place, winners: Place, with_winners: bool,
    ) -> None: ...  # fmt: skip
    def add_picking(
        self, name: str, kind: Picking, sizes: Sequence[int], numbers: Sequence[float], a: Place, b: Place, c: Place, to: Place
    ) -> None: ...  # fmt: skip
    def acquire(self) -> Context: ...
    def release(self, context: Context) -> None: ...
    def run(self, context: Context, first: int, last: int, keeps_nan: bool = False) -> bool: ...
    def run_watched(self, context: Context, first: int, last: int) -> bool: ...
    def profile(self, context: Context, first: int, last: int) -> list[float]: ...

def available_threads(wanted: int) -> int: ...
def has_bfloat16_kernels() -> bool: ...
def has_wide_kernels() -> bool: ...
def isa() -> str: ...
def onednn_isa() -> str: ...
def onednn_version() -> tuple[int, int, int]: ...
def size_of(type: DType) -> int: ...
def winograd_taps(type: DType, gradient: bool) -> list[int]: ...
def winograd_weight_bytes(type: DType, taps: int, out_channels: int, in_channels: int) -> int: ...
def join_pixels(
    pixels: int, edges: int, one: int, other: int, weight: int, scale: float, least: int, labels: int
) -> int: ...
def gradient_histograms(sizes: Sequence[int], pixels: int, out: int) -> None: ...
def cut_squares(sizes: Sequence[int], picture: int, crops: int, affine: int, out: int) -> None: ...
def bounded_transform(sizes: Sequence[int], values: int, prices: int, out: int) -> None: ...
def merge_regions(
    counts: Sequence[int],
    histograms: int,
    sizes: int,
    boxes: int,
    pairs: int,
    pair: int,
    likeness: Sequence[bool],
    merges: int,
    likenesses: int,
) -> int: ...
