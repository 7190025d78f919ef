"""The dry run before a run is written: what would give wrong figures is refused, what can be understood is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from interdash.config import MaskingConfig
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import Variables
from interdash.training.dry_run import check_data
from interdash.training.logits import choice_of_output, log_probabilities
from interdash.training.own import logits_builder
from interdash.training.recorder import Recorder
from interdash.training.spec import Spec, explained_samples
from tests.training.test_recorder import table_spec as spec


class Net(nn.Module):
    """A linear layer, and a function that makes something else of its output."""

    def __init__(self, after: Callable[[Tensor], Any], outputs: int = 3, before: Callable = lambda x: x) -> None:
        super().__init__()
        self.linear = nn.Linear(4, outputs)
        self.after, self.before = after, before

    def forward(self, x: Tensor) -> Any:
        return self.after(self.linear(self.before(x)))


def of(after: Callable[[Tensor], Any], outputs: int = 3, **options: Any) -> Callable[[], nn.Module]:
    return lambda: Net(after, outputs, **options)


def two_classes(**changes: Any) -> Spec:
    return spec(train_labels=torch.arange(12) % 2, test_labels=torch.arange(8) % 2, **changes)


IMAGES = torch.rand(20, 1, 12, 12)


def images(inputs: Tensor, config: str = "image") -> Spec:
    masking = MaskingConfig("image", n_variables=4, layout="whole") if config == "image" else MaskingConfig("table")
    return spec(train_inputs=inputs[:12], test_inputs=inputs[12:], variables=masking, network=lambda: nn.Flatten())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (spec(network=of(lambda z: z.softmax(1))), "probabilities .*in softmax; .* leave the softmax out, or write"),
        (spec(network=of(lambda z: z.sigmoid())), "in sigmoid; .*log_probabilities"),
        (spec(network=lambda: nn.Sequential(nn.Linear(4, 3), nn.Sigmoid())), "as if it ended in sigmoid"),
        (spec(network=lambda: nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))), "as if it ended in softmax"),
        (two_classes(network=of(lambda z: z.sigmoid(), 1)), "as if it ended in sigmoid"),
        (two_classes(network=of(lambda z: z.sigmoid().squeeze(), 1)), "as if it ended in sigmoid"),
        (spec(network=of(lambda z: 100 * z.softmax(1))), "between .*, as if it ended in softmax"),
        (spec(network=of(lambda z: functional.dropout(z))), r"is random: two passes .*training=self.training"),
        (
            spec(network=of(lambda z: z - z.mean(0))),
            r"other samples of a batch: the first .* statistics over the batch",
        ),
        (spec(network=of(lambda z: z.T)), r"returns torch.float32 of shape \[3, 12\]"),
        (spec(network=lambda: nn.LazyLinear(3)), "no values in weight, a lazy layer .*: give each layer its sizes"),
        (spec(network=lambda: nn.Linear(4, 3, device="meta")), "on the meta device; .* build the network on the CPU"),
        (spec(train_labels=torch.arange(12) % 2 * 2 - 1), "hold -1, .* or number the classes from 0 if it is"),
        (spec(network=of(lambda z: z.argmax(1))), "returns torch.int64 of shape .*; expected class logits"),
        (spec(network=of(lambda z: z[:, None])), r"returns torch.float32 of shape \[12, 1, 3\]"),
        (spec(network=of(lambda z: {"a": z, "b": z})), r"2 tensors that may be the logits: 'a' \[batch, 3\] and 'b'"),
        (spec(network=of(lambda z: (z.exp(), z))), r"returns it alone, as in .*return self.network\(x\)\[0\]"),
        (
            spec(network=of(lambda z: (z.repeat(1, 4), z.repeat(1, 2)))),
            r"0 \[batch, 12\] and 1 \[batch, 6\]; expected one of 3 columns",
        ),
        (
            spec(
                network=of(lambda z: z, before=lambda x: x if x.ne(0).all() else [][0]),
                variables=Variables("table", ("a", "b"), torch.tensor([0, 0, 1, 1]).short(), torch.zeros(4)),
            ),
            "fails on a masked sample of the training split: IndexError: .*let variables= mask with values that the",
        ),
        (spec(network=of(lambda z: z, before=lambda x: x.view(-1, 5))), r"fails on train_inputs, .*\[1, 4\]"),
        (spec(train_inputs=torch.zeros(12, 4).double()), "fails on train_inputs, torch.float64 .*weights are float32"),
        (spec(train_labels=1 + torch.arange(12) % 3), "go from 1 to 3, .* gives 3 classes; .*: subtract 1, labels - 1"),
        (
            spec(train_labels=1 + torch.arange(12) % 2, test_labels=1 + torch.arange(8) % 2),
            "go from 1 to 2, none is 0, .* gives 3 classes; .*: subtract 1, labels - 1, .* or write class_names=",
        ),
        (spec(train_labels=torch.arange(12) % 5), "train_labels go from 0 to 4, .* 0 to 2: number the classes so"),
        (spec(test_labels=torch.arange(8) % 3 - 100 * (torch.arange(8) == 3)), "go from -100 to 2|hold -100"),
        (spec(network=lambda: 1 / 0), "function failed with ZeroDivisionError: division by zero; call it"),
        (spec(variables=lambda x: {}["a"]), r"variables fail with KeyError: 'a'; .*train_inputs\[:1\]"),
        (spec(class_names=["a", "b"]), "class_names has 2 names, .* 3 classes; expected one name each"),
    ],
)
def test_what_would_mislead_is_refused_and_nothing_written(bad: Spec, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        Recorder("mine", bad, epochs=2, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (images(IMAGES.permute(0, 2, 3, 1)), r"12, 1\], channels last; .* train_inputs.permute\(0, 3, 1, 2\)"),
        (images(torch.rand(20, 12, 10, 3)), "channels last"),
        (images(torch.rand(20, 1, 5, 12, 12)), "for volumes and films pass Variables of your own"),
        (images(torch.rand(20, 100)), r"expected \[samples, …, height, width\] .*time series, points and volumes"),
        (images(torch.rand(20, 3, 100), "table"), r"expected \[samples, features\] for MaskingConfig\('table'\)"),
        (spec(train_labels=torch.tensor([-100, *[0, 1, 2] * 3, 0, 1])), r"hold -100, .* 1 of 12 .*labels != -100"),
        (spec(train_labels=torch.tensor([255, *[0, 1, 2] * 3, 0, 1])), "hold 255, which losses ignore"),
    ],
)
def test_data_that_do_not_fit(bad: Spec, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_data(bad)


def test_variables_that_do_not_fit_an_input(tmp_path: Path) -> None:
    variables = Variables("table", ("a", "b"), torch.tensor([0, 1], dtype=torch.int16), torch.zeros(2))
    with pytest.raises(ValueError, match=r"shape \[12, 4\], but the variables are assigned to \[2\] elements"):
        Recorder("mine", spec(variables=variables), epochs=2, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "after",
    [
        lambda z: (z, z.exp()[:, :2]),
        lambda z: (z.repeat(1, 5), z),
        lambda z: {"features": z.repeat(1, 5), "head": z, "other": None},
        lambda z: (z.sum(), z),
        lambda z: {"logits": z, "features": z},
        lambda z: {"anything": z},
        lambda z: [z],
        lambda z: type("Output", (), {"logits": z}),
        lambda z: z.log_softmax(1),
    ],
)
def test_outputs_that_are_understood(after: Callable, tmp_path: Path) -> None:
    torch.manual_seed(0)
    Recorder("mine", spec(network=of(after)), epochs=2, root=tmp_path)
    wrapped, plain = logits_builder(of(after), 3)(), logits_builder(of(lambda z: z))()
    plain.load_state_dict(wrapped.state_dict())
    explained = explained_samples(spec(), 3)
    outputs = [masked_outputs(net, explained.inputs, explained.labels, explained.variables) for net in (wrapped, plain)]
    assert torch.allclose(*outputs, atol=1e-5)


def test_which_of_several_outputs_is_taken_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Recorder("mine", spec(network=of(lambda z: (z.repeat(1, 5), z))), epochs=2, root=tmp_path)
    assert "output 1 of 0 [batch, 15] and 1 [batch, 3] as logits, by 3 classes" in caplog.text
    network = logits_builder(of(lambda z: z))()
    assert choice_of_output(network, torch.zeros(1, 4), 3) == ""


def test_a_first_class_may_lack_samples_where_it_is_named(tmp_path: Path) -> None:
    labels = {"train_labels": 1 + torch.arange(12) % 2, "test_labels": 1 + torch.arange(8) % 2}
    assert Recorder("mine", spec(**labels, class_names=["other", "a", "b"]), epochs=2, root=tmp_path).run.path.exists()


@pytest.mark.parametrize("after", [lambda z: z, lambda z: z[:, 0], lambda z: z.squeeze()])
def test_one_logit_is_a_network_of_two_classes(after: Callable, tmp_path: Path) -> None:
    data = two_classes(network=of(after, 1))
    recorder = Recorder("mine", data, epochs=2, root=tmp_path)
    model = data.network()
    recorder.record(0, model)
    z = model.linear(data.test_inputs)[:, 0]  # pyright: ignore
    expected = functional.binary_cross_entropy_with_logits(z, data.test_labels.float())
    assert recorder.run.metrics()["test_loss"][0] == pytest.approx(expected.item(), abs=1e-6)


def test_probabilities_may_be_turned_into_logits() -> None:
    for outputs, after, logits in (
        (3, lambda z: z.softmax(1), lambda z: z),
        (1, lambda z: z.sigmoid(), lambda z: torch.cat([0 * z, z], 1)),
    ):
        wrapped = logits_builder(log_probabilities(of(after, outputs)))()
        x = torch.randn(5, 4)
        z = logits(wrapped.linear(x))  # pyright: ignore
        assert torch.allclose(wrapped(x).softmax(1), z.softmax(1), atol=1e-6)
    data = spec(network=of(lambda z: z, before=lambda x: x.mul_(2)))
    before, x = data.train_inputs.clone(), data.train_inputs
    network = logits_builder(data.network)()
    pure = logits_builder(of(lambda z: z, before=lambda x: x * 2))()
    pure.load_state_dict(network.state_dict())
    explained = explained_samples(data, 3)
    outputs = [masked_outputs(net, explained.inputs, explained.labels, explained.variables) for net in (network, pure)]
    assert torch.equal(*outputs) and torch.equal(network(x), pure(x)) and torch.equal(x, before)


def test_the_networks_mode_and_random_numbers_stay() -> None:
    from interdash.training.dry_run import check_network

    data = spec(network=lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout()))
    network = logits_builder(data.network)()
    network[1].eval()  # pyright: ignore
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check_network(data, explained_samples(data, 3), network)
    assert torch.equal(torch.rand(3), expected) and network.training and not network[1].training  # pyright: ignore
