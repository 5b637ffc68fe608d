"""Layers against PyTorch with the same weights; initialization; summaries."""

from __future__ import annotations

import doctest
import inspect

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.nn.connectivity import three_ways

torch = pytest.importorskip("torch")

IMAGE, VECTOR = (2, 4, 6, 6), (3, 4)
LAYERS = [
    ("Linear", (4, 5), {}, VECTOR),
    ("Conv2d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, IMAGE),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}, IMAGE),
    ("MaxPool2d", (2,), {}, IMAGE),
    ("MaxPool2d", (3, 2), {"ceil_mode": True}, IMAGE),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1}, IMAGE),
    ("AdaptiveAvgPool2d", (4,), {}, IMAGE),
    ("AdaptiveAvgPool2d", (3,), {}, IMAGE),
    ("AdaptiveAvgPool2d", (6,), {}, IMAGE),
    ("AdaptiveMaxPool2d", ((2, 4),), {}, IMAGE),
    ("BatchNorm1d", (4,), {}, VECTOR),
    ("BatchNorm2d", (4,), {}, IMAGE),
    ("LayerNorm", ((6, 6),), {}, IMAGE),
    ("GroupNorm", (2, 4), {}, IMAGE),
    ("LocalResponseNorm", (3,), {}, IMAGE),
    ("Flatten", (), {}, IMAGE),
    ("Identity", (), {}, IMAGE),
    ("Sigmoid", (), {}, VECTOR),
    ("Tanh", (), {}, VECTOR),
    ("ReLU", (), {}, VECTOR),
    ("ReLU6", (), {}, VECTOR),
    ("LeakyReLU", (0.2,), {}, VECTOR),
    ("PReLU", (4,), {}, IMAGE),
    ("ELU", (), {}, VECTOR),
    ("SELU", (), {}, VECTOR),
    ("GELU", (), {}, VECTOR),
    ("SiLU", (), {}, VECTOR),
    ("Hardswish", (), {}, VECTOR),
    ("Softplus", (), {}, VECTOR),
    ("Mish", (), {}, VECTOR),
    ("Softmax", (1,), {}, VECTOR),
    ("LogSoftmax", (1,), {}, VECTOR),
]
OWN = {
    "Dropout",
    "GRU",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "LSTM",
    "LocallyConnected2d",
    "Maxout",
    "Module",
    "ModuleError",
    "RNN",
    "Sequential",
}


def test_every_layer_is_in_the_table() -> None:
    layers = {n for n in nn.__all__ if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Module)}
    assert layers - OWN == {name for name, *_ in LAYERS}


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), LAYERS, ids=[row[0] for row in LAYERS])
@pytest.mark.parametrize("training", [False, True])
def test_layer_agrees_with_torch(name: str, arguments: tuple, options: dict, shape: tuple, training: bool) -> None:
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*arguments, **options).train(training)
    mine = getattr(nn, name)(*arguments, **options).train(training)
    mine.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    x = pl.input(shape, name="x")
    with pl.collect_updates() as updates:
        y = mine(x)
    weights = mine.parameters()
    factors = pl.constant(np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape))
    results = pl.compile([y, *pl.gradients((y * factors).sum(), [x, *weights])], updates=updates)({"x": values})

    image = torch.tensor(values, requires_grad=True)
    expected = theirs(image)
    (expected * torch.tensor(factors.op.value.copy())).sum().backward()
    np.testing.assert_allclose(results[0], expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    slopes = [image.grad, *(p.grad for p in theirs.parameters())]
    for actual, slope in zip(results[1:], slopes, strict=True):
        np.testing.assert_allclose(actual, slope.numpy(), rtol=1e-3, atol=2e-5)
    for key, value in mine.state_dict().items():
        np.testing.assert_allclose(value, theirs.state_dict()[key].numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1])
def test_ceil_mode_is_torchs(kernel: int, stride: int, padding: int) -> None:
    for size in range(5, 14):
        values = np.random.default_rng(size).standard_normal((1, 2, size, size + 1)).astype(np.float32)
        x = pl.input(values.shape, name="x")
        y = pl.max_pool2d(x, kernel, stride, padding, ceil_mode=True)
        expected = torch.nn.functional.max_pool2d(torch.tensor(values), kernel, stride, padding, ceil_mode=True)
        np.testing.assert_array_equal(pl.run([y], {x: values})[0], expected.numpy())


def test_dropout_keeps_the_mean_and_follows_the_step() -> None:
    layer = nn.Dropout(0.25)
    x = pl.input((100, 100), name="x")
    with nn.training_step(seed=3):
        program = pl.compile([layer(x)])
    ones = np.ones((100, 100), np.float32)
    first, again, other = (program({"x": ones, "step": np.int64(s)})[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert set(np.unique(first)) == {0.0, np.float32(1 / 0.75)}
    assert abs(first.mean() - 1) < 0.03
    assert layer.eval()(x) is x
    with pytest.raises(nn.ModuleError, match="training_step"):
        layer.train()(x)


def test_the_lectures_counts() -> None:
    mlp = nn.models.build("mlp", image_size=10, hidden=(200, 200, 200), num_classes=10)
    assert mlp.summary((1, 10, 10)).total_parameters == 102_610  # "about 100k"
    wide = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(100 * 100, 20_000))
    assert wide.summary((1, 100, 100)).total_parameters == 200_020_000  # "about 200M"
    three = nn.compare_connectivity((1, 28, 28), 8, 5).to_dict()
    assert list(three) == ["fully connected", "locally connected", "convolution"]
    assert [row["parameters"] for row in three.values()] == [784 * 4608 + 4608, 576 * 25 * 8 + 4608, 8 * 25 + 8]


def test_ways_are_counted_as_their_summaries_count() -> None:
    found = nn.compare_connectivity((3, 9, 7), 4, 3, padding=1, layers=2).counts
    for name, net in three_ways((3, 9, 7), 4, 3, padding=1, layers=2).items():
        summary = net.summary((3, 9, 7))
        assert (found[name].parameters, found[name].flops) == (summary.total_parameters, summary.total_flops)


def test_summary_adds_up() -> None:
    net = nn.models.build("resnet18")
    summary = net.summary((3, 224, 224))
    assert sum(row.parameters for row in summary.rows) == summary.total_parameters == 11_689_512
    convolutions = sum(row.flops for row in summary.rows if row.kind in ("Conv2d", "Linear"))
    assert convolutions == 2 * 1_814_073_344 + 1000  # 1.81 G multiply-adds, and the last layer's bias
    fields = {row.name: row.receptive_field for row in summary.rows}
    assert fields["conv1"] == (7, 7)
    assert fields["maxpool"] == (11, 11)
    assert fields["layer1.1.conv2"] == (43, 43)
    assert fields["layer2.0.downsample.0"] == (43, 43)


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_receptive_field_is_where_gradients_are(dilation: int) -> None:
    net = nn.Sequential(
        a=nn.Conv2d(1, 2, 3, padding=dilation, dilation=dilation), p=nn.AvgPool2d(2), b=nn.Conv2d(2, 1, 3, padding=1)
    )
    net.initialize(1)
    x = pl.input((1, 1, 32, 32), name="x")
    y = net(x)
    (slope,) = pl.run(pl.gradients(y[0, 0, 8, 8], [x]))  # linear: no picture needed
    rows = np.flatnonzero(np.abs(slope[0, 0]).sum(1))
    assert net.summary((1, 32, 32)).rows[-1].receptive_field[0] == rows[-1] - rows[0] + 1


class Branches(nn.Module):
    """A 3x3 path of stride 2 beside a dilated 5x5 one of stride 2, added, then a 3x3."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(1, 2, 5, stride=2, padding=4, dilation=2)
        self.last = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.last(self.narrow(x) + self.wide(x))


def test_receptive_field_of_branches_is_where_gradients_are() -> None:
    net = Branches()
    net.initialize(1)
    x = pl.input((1, 1, 32, 32), name="x")
    y = net(x)
    (slope,) = pl.run(pl.gradients(y[0, 0, 8, 8], [x]))
    rows = np.flatnonzero(np.abs(slope[0, 0]).sum(1))
    assert net.summary((1, 32, 32)).rows[-1].receptive_field[0] == rows[-1] - rows[0] + 1 == 13


def test_initialization_follows_the_seed() -> None:
    a, b = nn.models.build("lenet"), nn.models.build("lenet")
    a.initialize(5)
    b.initialize(5)
    for name, value in a.state_dict().items():
        np.testing.assert_array_equal(value, b.state_dict()[name])
    b.initialize(6)
    assert (a.state_dict()["conv1.weight"] != b.state_dict()["conv1.weight"]).any()


@pytest.mark.parametrize(
    ("make", "std"),
    [
        (nn.initializers.kaiming_normal(), np.sqrt(2 / 90)),
        (nn.initializers.kaiming_uniform(), np.sqrt(2 / 90)),
        (nn.initializers.xavier_normal(), np.sqrt(2 / (90 + 450))),
        (nn.initializers.xavier_uniform(), np.sqrt(2 / (90 + 450))),
        (nn.initializers.normal(0, 0.3), 0.3),
    ],
)
def test_initializer_spread(make: object, std: float) -> None:
    value = pl.Parameter((50, 10, 3, 3), make).value  # type: ignore[arg-type]
    assert value.std() == pytest.approx(std, rel=0.05)


def test_orthogonal() -> None:
    value = pl.Parameter((4, 9), nn.initializers.orthogonal()).value
    np.testing.assert_allclose(value @ value.T, np.eye(4), atol=1e-6)


def test_errors_name_the_layer() -> None:
    net = nn.Sequential(conv1=nn.Conv2d(1, 4, 3), conv2=nn.Conv2d(8, 4, 3))
    with pytest.raises(pl.PellucidError, match=r"conv2: wants 8 input channels, got 4 \(from 'conv1'\)"):
        net(pl.input((1, 1, 8, 8)))
    with pytest.raises(nn.ModuleError, match=r"pl\.predict"):
        net(np.zeros((1, 1, 8, 8)))  # type: ignore[arg-type]
    with pytest.raises(nn.ModuleError, match="out_channels must be at least 1, got -2"):
        nn.Conv2d(1, -2, 3)
    with pytest.raises(pl.PellucidError, match=r"did you mean 'resnet18'"):
        nn.models.build("resnet81")
    with pytest.raises(nn.ModuleError, match="num_classes"):
        nn.models.build("lenet", num_clases=3)
    with pytest.raises(nn.ModuleError, match="at least 8x8"):
        nn.models.build("lenet", image_size=4)


def test_load_state_dict_says_everything_at_once_and_changes_nothing() -> None:
    net = nn.Sequential(fc=nn.Linear(2, 3))
    before = net.state_dict()
    with pytest.raises(nn.ModuleError) as error:
        net.load_state_dict({"fc.weight": np.zeros((4, 2)), "fc.bais": np.zeros(3)})
    for words in ("fc.weight is (4, 2), expected (3, 2)", "missing: fc.bias", "fc.bais (did you mean 'fc.bias'?)"):
        assert words in str(error.value)
    for wrong in (np.ones(3, np.complex64), np.array(["a", "b", "c"]), np.array([1, 2, None])):
        with pytest.raises(nn.ModuleError, match=rf"not of real numbers: fc.bias is {wrong.dtype}"):
            net.load_state_dict({"fc.weight": np.ones((3, 2)), "fc.bias": wrong})
        with pytest.raises(pl.errors.DTypeError, match=f"a value of float32, got an array of {wrong.dtype}"):
            net.named_parameters()["fc.bias"].value = wrong
    np.testing.assert_array_equal(net.state_dict()["fc.weight"], before["fc.weight"])


@pytest.mark.parametrize("layer", [v for v in vars(nn).values() if isinstance(v, type) and issubclass(v, nn.Module)])
def test_what_layers_say_of_themselves(layer: type[nn.Module]) -> None:
    """Every argument, the shapes, and an example that runs."""
    said = layer.__doc__ or ""
    if layer is nn.Module:
        return
    taken = [p for p in inspect.signature(layer).parameters.values() if p.name != "self"]
    assert all(f"`{p.name}`" in said for p in taken), [p.name for p in taken]
    assert "->" in said
    example = doctest.DocTestParser().get_doctest(said, {"nn": nn, "pl": pl}, layer.__name__, None, None)
    assert example.examples
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
