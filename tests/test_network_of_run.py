"""The network of a run and its baselines, trained by the spec: without a report of its epochs, and with one."""

import textwrap
from pathlib import Path

import torch
from torch import nn

from interdash import network_of_run
from interdash.recorder import create_user_run
from interdash.runs import Run

SPEC = """
    import torch
    from interdash import MaskingConfig, Spec

    def train(network, inputs, labels, seed{on_epoch}):
        optimizer = torch.optim.SGD(network.parameters(), 0.5)
        for epoch in range(21):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs), labels).backward()
            optimizer.step()
            {report}
        return 20

    def spec():
        x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > 0).long()
        return Spec(lambda: torch.nn.Linear(3, 2), x[:30], y[:30], x[30:], y[30:], MaskingConfig("table"), train=train)
"""


def user_run(tmp_path: Path, *, reports: bool) -> Run:
    code = SPEC.format(
        on_epoch=", on_epoch" if reports else "", report="losses.append(on_epoch(epoch, network))" if reports else ""
    )
    path = tmp_path / "my_run.py"
    path.write_text("losses = []\n" + textwrap.dedent(code))
    return create_user_run(tmp_path / "runs", "mine", str(path), epochs=3)[0]


def test_baseline_of_a_user_run_is_recorded_once_at_the_planned_epoch(tmp_path):
    run, seen = user_run(tmp_path, reports=False), []
    network_of_run.train_baseline(run, 0, progress=lambda done, total: seen.append((done, total)))
    assert run.is_finished("baseline-0") and run.checkpoint_epochs("baseline-0") == [3]
    assert run.metrics()["epoch"].tolist() == [3] and run.metrics()["test_accuracy"].item() > 0.8
    assert seen == [(3, 3)]


def test_baseline_that_reports_its_epochs_has_the_losses_of_all(tmp_path):
    run, seen = user_run(tmp_path, reports=True), []
    network_of_run.train_baseline(run, 0, progress=lambda done, total: seen.append((done, total)))
    assert run.checkpoint_epochs("baseline-0") == [20] and run.metrics()["epoch"].tolist() == list(range(21))
    losses = network_of_run.spec_of_run(run).train.__globals__["losses"]  # pyright: ignore
    assert run.metrics()["test_loss"].tolist() == losses and seen[0] == (0, 12) and seen[-1] == (20, 20)


def test_a_plain_perceptron_gets_no_hook_and_other_networks_return_logits(tmp_path):
    from interdash.rebuilding import logits_builder

    assert not logits_builder(lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 2)))()._forward_hooks
    assert logits_builder(lambda: nn.Linear(3, 2))()._forward_hooks
    network = network_of_run.network_builder(user_run(tmp_path, reports=False))()
    assert torch.is_tensor(network(torch.zeros(1, 3)))
