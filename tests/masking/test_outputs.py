import math
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from interdash.masking import convolutions, outputs
from interdash.masking.outputs import log_odds, masked_outputs
from interdash.masking.variables import Variables, image_variables, table_variables, text_variables


def convolutional(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 4 * 4, classes),
    )


def dense(features: int, classes: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, 8), nn.ReLU(), nn.Linear(8, classes))


class Sentence(nn.Module):
    def __init__(self, vocabulary: int = 30):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(vocabulary, 6), nn.Linear(6, 2)

    def forward(self, tokens):
        return self.head(torch.tanh(self.embedding(tokens)).mean(1))


class Returns(nn.Module):
    """A network that returns whatever the test wants."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


def table(n: int) -> Variables:
    return table_variables(range(n), [f"c{i}" for i in range(n)], torch.zeros(n))


def by_hand(network: nn.Module, inputs, labels, variables: Variables) -> torch.Tensor:
    """v by the definition: one mask at a time."""
    network.eval()
    rows = []
    with torch.no_grad():
        for s, x in enumerate(inputs):
            owner = variables.assignment[s] if variables.per_sample else variables.assignment
            for subset in range(2**variables.n_variables):
                visible = torch.tensor([[bool(subset >> i & 1) if i >= 0 else True for i in owner.flatten().tolist()]])
                x_t = torch.where(visible.reshape(owner.shape), x, variables.baseline)
                rows.append(log_odds(network(x_t[None]), labels[s : s + 1]))
    return torch.cat(rows).view(len(inputs), -1)


def test_log_odds():
    logits = torch.tensor([[1.0, 2.0, -3.0], [0.0, 200.0, 0.0]])
    labels = torch.tensor([0, 1])
    v = log_odds(logits, labels)
    p = torch.softmax(logits[0].double(), 0)[0]
    assert v.dtype == torch.float64
    assert v[0].item() == pytest.approx(math.log(p / (1 - p)))
    assert v[1].item() == pytest.approx(200 - math.log(2))  # p rounds to 1; the log-odds do not
    loss = nn.functional.cross_entropy(logits.double(), labels, reduction="none")
    assert torch.allclose(torch.log1p(torch.exp(-v)), loss)


def game(kind: str):
    torch.manual_seed(1)
    if kind == "text":
        tokens = torch.randint(3, 30, (3, 9))
        tokens[:, 0], tokens[1, 7:] = 1, 0  # start, padding
        words = [[f"w{t}" for t in row] for row in tokens.tolist()]
        return (
            Sentence(),
            tokens,
            torch.tensor([0, 1, 1]),
            text_variables(tokens, words, n_variables=5, mask_id=2, special_ids=[0, 1]),
        )
    if kind == "table":
        variables = table_variables([0, 1, 1, -1, 2, 3, 4], ["a", "b", "c", "d", "e"], torch.randn(7))
        return dense(7), torch.randn(3, 7), torch.tensor([0, 1, 0]), variables
    variables = image_variables(8, 8, n_variables=5, layout="whole", baseline_image=torch.randn(2, 8, 8))
    return convolutional(), torch.randn(3, 2, 8, 8), torch.tensor([2, 0, 1]), variables


@pytest.mark.parametrize("kind", ["image", "text", "table"])
@pytest.mark.parametrize("byte_budget", [1, 40_000, 2**28])  # one mask at a time, part of a sample, several samples
def test_masked_outputs(kind, byte_budget):
    network, inputs, labels, variables = game(kind)
    v = masked_outputs(network, inputs, labels, variables, byte_budget=byte_budget)
    assert v.shape == (3, 32) and v.dtype == torch.float64
    assert torch.allclose(v, by_hand(network, inputs, labels, variables), atol=1e-5)


class Viewed(nn.Module):
    def forward(self, x):
        return x.view(len(x), -1)  # fails with channels last


@pytest.mark.parametrize(("flatten", "last"), [(nn.Flatten(), True), (Viewed(), False)])
def test_convolutions_have_channels_last_where_the_network_takes_it_and_are_put_back(flatten, last):
    network, inputs, labels, variables = game("image")
    network[5] = flatten
    expected, before = by_hand(network, inputs, labels, variables), [p.stride() for p in network.parameters()]
    seen = []
    network[3].register_forward_hook(
        lambda module, x, y: seen.append(module.weight.is_contiguous(memory_format=torch.channels_last))
    )
    v = masked_outputs(network.train(), inputs, labels, variables)
    assert (v - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert network[0].training and seen[-1] is last and [p.stride() for p in network.parameters()] == before
    network(inputs).sum().backward()


def test_unmasked_fully_masked_and_without_variables():
    network, inputs, labels, variables = game("table")
    v = masked_outputs(network, inputs, labels, variables)
    masked = inputs.clone()
    columns = variables.assignment >= 0
    masked[:, columns] = variables.baseline[columns]
    assert torch.allclose(v[:, -1], log_odds(network(inputs), labels), atol=1e-6)
    assert torch.allclose(v[:, 0], log_odds(network(masked), labels), atol=1e-6)
    network, inputs, labels, _ = game("table")
    v = masked_outputs(network, inputs, labels, table_variables([-1] * 7, [], torch.zeros(7)))
    assert torch.allclose(v[:, 0], log_odds(network(inputs), labels), atol=1e-6)
    v = masked_outputs(*game("table"))
    v += 1.0
    assert not v.is_inference()


def test_training_flags_and_random_state_are_restored():
    network, inputs, labels, variables = game("image")
    network.train()
    network[2].eval()
    first = masked_outputs(network, inputs, labels, variables)
    assert torch.equal(first, masked_outputs(network, inputs, labels, variables))  # dropout was off
    assert network.training and network[0].training and not network[2].training
    assert all(not hooks for m in network.modules() for hooks in (m._forward_hooks, m._forward_pre_hooks))
    assert all(p.requires_grad and not p.is_inference() for p in network.parameters())


class OutOfMemory(nn.Module):
    """Raises as torch does when a batch is above a limit."""

    def __init__(self, network, limit, error):
        super().__init__()
        self.network, self.limit, self.error, self.sizes = network, limit, error, []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.limit:
            raise self.error
        return self.network(x)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
@pytest.mark.parametrize("kind", ["image", "text", "table"])
def test_out_of_memory_halves_the_batch_and_goes_on(kind, error):
    network, inputs, labels, variables = game(kind)
    scarce = OutOfMemory(network, 20, error)
    v = masked_outputs(scarce, inputs, labels, variables)
    assert torch.allclose(v, masked_outputs(network, inputs, labels, variables), atol=1e-6)
    alone, large = 2 if kind == "image" else 1, scarce.sizes.count(96)  # convolutions are tried with channels last
    assert scarce.sizes[: alone + large] == [1] * alone + [96] * large and large > 0
    assert scarce.sizes[-6:] == [16] * 6


def test_out_of_memory_in_the_middle_and_for_one_input():
    network, inputs, labels, variables = game("table")

    class Once(OutOfMemory):
        def forward(self, x):
            self.limit = 8 if len(self.sizes) == 5 else 100
            return super().forward(x)

    scarce = Once(network, 100, OUT_OF_MEMORY[0])
    v = masked_outputs(scarce, inputs, labels, variables, byte_budget=16 * 2 * 180)
    assert torch.allclose(v, masked_outputs(network, inputs, labels, variables), atol=1e-6)
    assert len(set(scarce.sizes)) == 3  # the probe, the first batch size, half of it

    class AfterProbe(OutOfMemory):
        def forward(self, x):
            self.limit = 0 if self.sizes else 1
            return super().forward(x)

    with pytest.raises(MemoryError, match="one masked input does not fit into memory on cpu: CUDA out of memory"):
        masked_outputs(AfterProbe(network, 1, OUT_OF_MEMORY[0]), inputs, labels, variables)


def test_other_errors_of_the_network_are_not_swallowed():
    broken = OutOfMemory(dense(3), 1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        masked_outputs(broken, torch.randn(1, 3), torch.tensor([0]), table(3))
    with pytest.raises(TypeError, match=r"the network is a function; pass a torch\.nn\.Module"):
        masked_outputs(lambda x: x, torch.randn(1, 3), torch.tensor([0]), table(3))


def test_masking_on_the_first_feature_map_also_of_a_module_used_twice():
    network, inputs, labels, _ = game("image")
    variables = image_variables(8, 8, n_variables=4, layout="whole", at="first_activation")
    v = masked_outputs(network, inputs, labels, variables)
    network.eval()
    grid = variables.assignment[1::2, 1::2]  # stride 2: cell centres at odd pixels
    for subset in range(16):
        visible = sum((grid == i) * (subset >> i & 1) for i in range(4))
        expected = log_odds(network[2:](network[:2](inputs) * visible), labels)
        assert torch.allclose(v[:, subset], expected, atol=1e-5)

    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1)
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.second(self.relu(self.first(x)))).mean((2, 3))

    variables = image_variables(2, 2, n_variables=4, layout="whole", at="first_activation")
    network, inputs = Reused(), torch.randn(1, 1, 2, 2)
    v = masked_outputs(network, inputs, torch.tensor([0]), variables)
    visible = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    logits = network.relu(network.second(network.relu(network.first(inputs)) * visible)).mean((2, 3))
    assert v[0, 1].item() == pytest.approx(log_odds(logits, torch.tensor([0])).item(), abs=1e-5)


BAD_LOGITS = [
    (lambda x: x.sum(1, keepdim=True), ValueError, r"one column, shape \(1, 1\); .* return \[0, z\]"),
    (lambda x: x.sum(1), ValueError, r"one column, shape \(1,\)"),
    (lambda x: (x, x), TypeError, "returned a tuple; wrap it in a module"),
    (lambda x: x[..., None].expand(-1, -1, 2), ValueError, r"shape \(1, 3, 2\); expected class logits"),
    (lambda x: x.mean(0, keepdim=True), ValueError, "returned 1 rows for 16 inputs; expected one row for each"),
    (lambda x: x.repeat(2, 1), ValueError, "returned 2 rows for 1 inputs"),
]


@pytest.mark.parametrize("make, error, message", BAD_LOGITS)
def test_malformed_logits(make, error, message):
    with pytest.raises(error, match=message):
        masked_outputs(Returns(make), torch.randn(2, 3), torch.tensor([0, 1]), table(3))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite_name_the_sample(value):
    inputs = torch.randn(3, 3)
    inputs[1, 2] = 7.0
    network = Returns(lambda x: torch.where(x == 7.0, value, x))
    with pytest.raises(ValueError, match="the logits of sample 1 contain NaN or infinity"):
        masked_outputs(network, inputs, torch.tensor([0, 2, 1]), table(3))


@pytest.mark.parametrize("label", [3, -1])
def test_labels_out_of_range(label):
    message = rf"the label of sample 1 is {label}; the network gives 3 classes, so labels go from 0 to 2"
    with pytest.raises(ValueError, match=message):
        masked_outputs(dense(3, classes=3), torch.randn(2, 3), torch.tensor([0, label]), table(3))


BAD_INPUTS = [
    (torch.randn(0, 3), torch.zeros(0, dtype=torch.int64), table(3), "the batch is empty"),
    (torch.randn(2, 3), torch.tensor([0]), table(3), r"labels have shape \(1,\) for 2 samples"),
    (torch.randn(2, 3), torch.tensor([0.0, 1.0]), table(3), "labels are torch.float32; pass class numbers"),
    (torch.randn(2, 3), torch.tensor([0, 1]), table(4), r"shape \(3,\), but the variables are assigned to \(4,\)"),
    (
        torch.ones(2, 3, dtype=torch.int64),
        torch.tensor([0, 1]),
        table(3),
        "baseline is torch.float32, inputs are torch.i",
    ),
    (
        torch.randn(2, 3),
        torch.tensor([0, 1]),
        table_variables([0, 1, 2], "abc", torch.zeros(2)),
        r"the baseline has shape \(2,\), which does not fit an input of \(3,\)",
    ),
]


@pytest.mark.parametrize("inputs, labels, variables, message", BAD_INPUTS)
def test_inputs_that_do_not_fit(inputs, labels, variables, message):
    with pytest.raises(ValueError, match=message):
        masked_outputs(dense(3), inputs, labels, variables)


def test_variables_of_other_samples():
    network, tokens, labels, variables = game("text")
    with pytest.raises(ValueError, match="variables are those of 3 samples, inputs are 2; select the same samples"):
        masked_outputs(network, tokens[:2], labels[:2], variables)
    chosen = [2, 0]
    v = masked_outputs(network, tokens[chosen], labels[chosen], variables.select(chosen))
    assert torch.allclose(v, masked_outputs(network, tokens, labels, variables)[chosen])


def test_first_activation_needs_a_feature_map():
    variables = image_variables(4, 4, n_variables=4, layout="whole", at="first_activation")
    images, labels = torch.randn(1, 1, 4, 4), torch.tensor([0])
    no_module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(
        ValueError, match=r"needs an activation module \(nn.ReLU, nn.GELU, ...\), and the network has none"
    ):
        masked_outputs(no_module, images, labels, variables)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(16, 2), nn.ReLU())
    with pytest.raises(ValueError, match=r"the first activation gives \(1, 2\), not a feature map"):
        masked_outputs(flat, images, labels, variables)
    coarse = nn.Sequential(nn.Conv2d(1, 2, 4), nn.ReLU(), nn.Flatten())
    with pytest.raises(ValueError, match="variable 0 owns no cell of the 1×1 feature map"):
        masked_outputs(coarse, images, labels, variables)


def test_full_float32_is_asked_for_and_put_back():
    before = torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision
    with outputs.full_float32(torch.device("cuda")):
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert before == (torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision)


@pytest.mark.parametrize("byte_budget", [1, 20_000, 2**28])
def test_first_linear_layer_is_computed_from_its_parts(byte_budget):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(2 * 6 * 6, 9), nn.ReLU(), nn.Linear(9, 3))
    inputs, labels = torch.randn(5, 2, 6, 6), torch.tensor([0, 1, 2, 2, 1])
    variables = image_variables(6, 6, n_variables=4, patch=1, baseline_image=torch.randn(2, 6, 6))
    expected, before = by_hand(network, inputs, labels, variables), list(network)
    v = masked_outputs(network, inputs, labels, variables, byte_budget=byte_budget)
    assert torch.allclose(v, expected, atol=1e-5) and list(network) == before
    for hooked in (2, 1):  # a hooked layer sees what it always saw: all hidden units, then all inputs
        seen = []
        hook = network[hooked].register_forward_hook(lambda module, args, y, seen=seen: seen.append(args[0].shape[1:]))
        assert torch.allclose(v, masked_outputs(network, inputs, labels, variables), atol=1e-5)
        hook.remove()
        assert len(seen) > 1 and len(set(seen)) == 1


@pytest.mark.parametrize(("size", "shape"), [(2, (3, 2, 7, 8)), (3, (2, 1, 9, 10)), (1, (1, 1, 2, 2))])
def test_pooling_by_slices_has_the_same_bits(size, shape):
    torch.manual_seed(0)
    maps = torch.randn(shape)
    maps[0, 0, 0, 0] = torch.nan
    for layout in (torch.contiguous_format, torch.channels_last):
        maps = maps.contiguous(memory_format=layout)
        expected = nn.functional.max_pool2d(maps, size)
        torch.testing.assert_close(convolutions.highest(maps, size), expected, rtol=0, atol=0, equal_nan=True)


OTHER_POOLS = (
    *({"kernel_size": 3, "stride": 2}, {"kernel_size": 2, "padding": 1}, {"kernel_size": 2, "ceil_mode": True}),
    *({"kernel_size": (2, 2)}, {"kernel_size": 2, "dilation": 2}, {"kernel_size": 2, "return_indices": True}),
)


@pytest.mark.parametrize(("options", "by_slices"), [({"kernel_size": 2}, True), *((o, False) for o in OTHER_POOLS)])
def test_only_pools_of_whole_tiles_are_replaced_and_put_back(options, by_slices):
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(**options))
    with convolutions.faster(network, torch.zeros(1, 1, 6, 6)):
        assert ("forward" in vars(network[1])) is by_slices
    assert "forward" not in vars(network[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_is_kept():
    code = """
import resource, torch
from interdash.masking import batches
batches.keep_freed_memory()
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    maps = [torch.ones(4 * 2**20) for _ in range(4)]  # 16 MiB each
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    del maps
"""  # in a process of its own, where nothing else was freed before
    pages = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(pages[-1]) < 1000  # of 16,384
