"""Splits that are datasets: the same figures as tensors, and only the explained samples in memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from interdash.config import MaskingConfig
from interdash.masking.rows import Rows
from interdash.pipeline import extract_and_label
from interdash.training.recorder import Recorder
from interdash.training.spec import Spec
from tests.conftest import PATIENCE

ROOT = Path(__file__).parents[2]


def spec(*, wrap: Any = lambda inputs, labels: (inputs, labels)) -> Spec:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(40, 1, 6, 6, generator=generator), torch.arange(40) % 2
    variables = MaskingConfig("image", n_variables=4, layout="whole")
    network = lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 2))  # noqa: E731
    return Spec(network, *wrap(images[:20], labels[:20]), *wrap(images[20:], labels[20:]), variables)


@pytest.mark.parametrize("loader", [False, True])
def test_a_dataset_gives_the_figures_of_its_tensors(loader: bool, tmp_path: Path) -> None:
    def wrap(inputs: torch.Tensor, labels: torch.Tensor) -> tuple[Any, None]:
        data = TensorDataset(inputs, labels)
        return DataLoader(data, batch_size=3, shuffle=True) if loader else data, None

    runs = []
    for name, each in {"tensors": spec(), "datasets": spec(wrap=wrap)}.items():
        assert torch.equal(each.train_labels, torch.arange(20) % 2)
        with torch.random.fork_rng(), Recorder(name, each, epochs=1, root=tmp_path, samples_per_split=5) as recorder:
            torch.manual_seed(0)
            recorder.record(0, each.network())
            recorder.record(1, each.network())
        assert extract_and_label(recorder.run, workers=0, network=each.network).problems == []
        runs.append(recorder.run)
    first, second = (run.explained() for run in runs)
    assert torch.equal(first.inputs, second.inputs) and torch.equal(first.index, second.index)
    assert torch.allclose(first.variables.baseline, second.variables.baseline)
    losses = [run.metrics()[["train_loss", "test_loss"]].to_numpy() for run in runs]
    assert losses[0] == pytest.approx(losses[1])


class Items(Dataset):
    def __init__(self, item: Any) -> None:
        self.item = item

    def __len__(self) -> int:
        return 3

    def __getitem__(self, row: int) -> Any:
        return self.item() if callable(self.item) else self.item


def test_items_must_be_pairs_that_stay_the_same() -> None:
    with pytest.raises(ValueError, match=r"item 0 of the dataset is a dict; expected a pair \(input, label\)"):
        Rows(Items({"x": 1}))
    with pytest.raises(ValueError, match=r"another one each time it is read; .*leave out random transforms"):
        Rows(Items(lambda: (torch.rand(3), 0)))
    rows = Rows(TensorDataset(torch.arange(6.0).view(3, 2), torch.zeros(3)))
    assert (
        rows[1].tolist() == [2, 3]
        and rows[1:].tolist() == [[2, 3], [4, 5]]
        and rows[[2, 0]].tolist() == [[4, 5], [0, 1]]
    )
    assert rows.mean().tolist() == [2, 3] and [len(part) for part in rows.split(2)] == [2, 1]


LARGE = """
import torch
from torch import nn
from torch.utils.data import Dataset
import interdash

class Generated(Dataset):
    "{samples} samples of {side} x {side} numbers each, made when they are read."
    targets = torch.arange({samples}) % 2

    def __len__(self):
        return {samples}

    def __getitem__(self, row):
        return torch.tensor(float(row % 7)).expand(1, {side}, {side}), row % 2

class Corners(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, images):
        return self.layer(images[:, 0, :: {side} // 2, :: {side} // 2].flatten(1))

def spec():
    variables = interdash.MaskingConfig("image", n_variables=4, layout="whole", baseline="zero")
    return interdash.Spec(Corners, Generated(), None, Generated(), None, variables)

if __name__ == "__main__":
    import pathlib
    from interdash.pipeline import extract_and_label
    data = spec()
    with interdash.Recorder("large", data, epochs=1, root="runs", samples_per_split=4) as recorder:
        recorder.record(0, data.network(), 0.7, 0.7)
        recorder.record(1, data.network(), 0.6, 0.6)
    extract_and_label(recorder.run, workers=0, network=data.network)
    status = pathlib.Path("/proc/self/status").read_text()  # of this process alone, not of what it was forked from
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""


def test_a_large_split_is_never_in_memory(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text(LARGE.format(samples=320, side=1000))  # 2 splits of 1.3 GB
    done = subprocess.run(
        [sys.executable, "large.py"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 1.2 * 2**30
