"""The network of a run, and its baselines: trained by a spec that reports its epochs, or by one that does not."""

import textwrap
from pathlib import Path

import pytest
import torch

from interdash.training.network_of_run import network_builder, train_baseline
from interdash.training.recorder import create_user_run

SPEC = """
    from types import SimpleNamespace
    import torch
    from interdash import MaskingConfig, Spec

    class Net(torch.nn.Linear):
        def forward(self, x):
            return SimpleNamespace(logits=super().forward(x))

    def train(network, inputs, labels, seed{parameter}):
        optimizer = torch.optim.SGD(network.parameters(), 0.5)
        for epoch in range(21):
            loss = torch.nn.functional.cross_entropy(network(inputs).logits, labels)
            {report}
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return 20

    def spec():
        x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > 0).long()
        return Spec(lambda: Net(3, 2), x[:30], y[:30], x[30:], y[30:], MaskingConfig("table"), train=train)
"""


@pytest.mark.parametrize(("reports", "epochs"), [(False, [3]), (True, list(range(21)))])
def test_baseline_of_a_user_run(tmp_path: Path, reports: bool, epochs: list[int]):
    report = "assert abs(on_epoch(epoch, network) - loss.item()) < 1e-6" if reports else ""
    code = SPEC.format(parameter=", on_epoch" if reports else "", report=report)
    (tmp_path / "my_run.py").write_text(textwrap.dedent(code))
    run, _ = create_user_run(tmp_path / "runs", "mine", f"{tmp_path}/my_run.py", epochs=3)
    progress: list[tuple[int, int]] = []
    train_baseline(run, 0, progress=lambda done, total: progress.append((done, total)))
    assert run.is_finished("baseline-0") and run.checkpoint_epochs("baseline-0") == [epochs[-1]]
    assert run.metrics()["epoch"].tolist() == epochs and run.metrics()["test_accuracy"].iloc[-1] > 0.8
    assert progress[0] == ((0, 12) if reports else (3, 3)) and progress[-1] == (epochs[-1], epochs[-1])
    assert torch.is_tensor(network_builder(run)()(torch.zeros(1, 3)))
