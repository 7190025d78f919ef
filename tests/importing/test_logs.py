"""Losses from the logs that tools write: formats, columns, merged rows, steps, refusals."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from interdash.importing.logs import diverged, read_log

HEAD = ("epoch", "train_loss", "test_loss")
ROWS = [(0, 2.3, 2.25), (1, 1.1, 1.3), (2, 0.5, 0.8)]
TRUTH = {epoch: {"train_loss": train, "test_loss": test} for epoch, train, test in ROWS}
RECORDS = [dict(zip(HEAD, row, strict=True)) for row in ROWS]


def table(separator: str = ",", head: tuple = HEAD, rows: list = ROWS, decimal: str = ".") -> str:
    lines = [separator.join(str(cell).replace(".", decimal) for cell in row) for row in rows]
    return "\n".join([separator.join(head), *lines]) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        table(),
        table(";", decimal=","),
        table("\t"),
        table("|"),
        table("  "),
        "sep=;\n" + table(";"),
        table(", "),
        table(head=("Epoch", "Train Loss", "Val Loss")),
        table(head=("EPOCH", "TRAIN_LOSS", "TEST_LOSS")),
        table(head=("epoch", "loss", "val_loss")),  # Keras
        table(head=("epoch", "trainLoss", "validationLoss")),
        table(head=("epoch", "train/loss", "eval/loss")),
        table(head=("trainer/epoch", "run-1 - train_loss", "run-1 - val_loss")),  # W&B
        table(
            head=("epoch", "run - loss/train", "run - loss/val", "run - loss/val__MIN"), rows=[(*r, r[2]) for r in ROWS]
        ),
        "# " + table(),
        json.dumps(RECORDS),
        "\n".join(map(json.dumps, RECORDS)),
        json.dumps({name: [row[i] for row in ROWS] for i, name in enumerate(HEAD)}),
        json.dumps(
            {str(row["epoch"]): {"train": {"loss": row["train_loss"]}, "val_loss": row["test_loss"]} for row in RECORDS}
        ),
        json.dumps({name: {str(j): row[i] for j, row in enumerate(ROWS)} for i, name in enumerate(HEAD)}),
        json.dumps({"history": RECORDS}),
        json.dumps(
            {
                "log_history": [{"epoch": 0.5, "loss": 9.0, "step": 1}]
                + [{"epoch": float(row["epoch"]), "loss": row["train_loss"]} for row in RECORDS]
                + [{"epoch": float(row["epoch"]), "eval_loss": row["test_loss"]} for row in RECORDS]
            }
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_every_format_gives_the_same_losses(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(text.encode(encoding))
    assert read_log(path).losses == TRUTH


def test_rows_of_an_epoch_are_merged_and_the_last_value_counts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(
        "epoch,step,train_loss_epoch,train_loss_step,val_loss\n"
        "0,4,,1.3,\n0,9,,0.7,\n0,9,,,1.5\n0,9,1.4,,\n0,9,,,1.45\n1,14,,0.5,\n1,19,,,nan\n1,19,0.3,,\n1.5,20,7,7,7\n"
    )
    log = read_log(path)
    assert log.columns == {"train_loss": "train_loss_epoch", "test_loss": "val_loss"}
    assert log.losses[0] == {"train_loss": 1.4, "test_loss": 1.45}
    assert log.losses[1]["train_loss"] == 0.3 and math.isnan(log.losses[1]["test_loss"]) and log.losses.keys() == {0, 1}
    assert diverged(log.losses) == {"test_loss": 1}


def test_empty_cells_are_no_values_and_accuracies_are_shares(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,train_loss,test_loss,val_acc,lr\n0,2,None,12.5,1\n1,1,-,50,1\n2,inf,NA,,1\n")
    assert read_log(path).losses == {
        0: {"train_loss": 2.0, "test_accuracy": 0.125},
        1: {"train_loss": 1.0, "test_accuracy": 0.5},
        2: {"train_loss": math.inf},
    }


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(table(head=("epoch", "a", "B")))
    assert read_log(path, {"train_loss": "a", "test_loss": "b"}).losses == TRUTH


def test_rows_without_epochs_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"loss": [2, 1], "val_loss": [2, 1]}))
    assert read_log(path).counted == "row" and list(read_log(path).losses) == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,loss\n0,2\n", "lacks the columns train_loss, test_loss; it has epoch, loss: name them, as in --tag"),
        (table(rows=[(0, "two", 2)]), "holds a value that is no number: 'two' in column 'train_loss'; .* --tag"),
        (table(head=("epoch", "a - train_loss", "b - train_loss")), "several columns for train_loss: a .*--tag train"),
        (table(head=("step", "train_loss", "test_loss"), rows=[(100 * e, a, b) for e, a, b in ROWS]),
         r"counts steps \(0, 100, 200, …\) and has no epochs; .* --steps-per-epoch N \(1 if its steps are epochs\)"),
        (table(rows=[("nan", 1, 2)]), "row 1 has losses but no epoch"),
        (table(rows=[("inf", 1, 2)]), "row 1 has losses but no epoch"),
        (table(rows=[("", 1, 2)]), "row 1 has losses but no epoch; .* fill it in, or add --steps-per-epoch N"),
        (table(rows=[(0.4, 1, 2)]), "has no row of a whole epoch; .* leave --losses out"),
        ("0,1,2\n1,1,2\n", "has no names of columns but 0, 1, 2; expected a first line such as epoch,train_loss"),
        (" \n", "is empty; expected losses by epoch: name another file with --losses"),
        ('[{"epoch": 0}\n{"epoch": \n', "line 1 is no JSON .*; delete or correct that line"),
        ("[1, 2]", r"holds no rows but a list; expected a list of \{epoch"),
        ('epoch,train_loss\n0,1\n0,"\n1,2', "no table that can be read .*; expected CSV: save it again"),
    ],
)  # fmt: skip
def test_refusals(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"log\.csv.* {message}"):
        read_log(tmp_path / "log.csv")


def test_missing_files_and_tags(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder .*gone\.csv; give a CSV or JSON file"):
        read_log(tmp_path / "gone.csv")
    (tmp_path / "log.csv").write_text(table())
    with pytest.raises(
        ValueError, match=r"no column or scalar 'a'; it has epoch, .*: name one of them, as in --tag test_l"
    ):
        read_log(tmp_path / "log.csv", {"test_loss": "a"})
    with pytest.raises(ValueError, match="holds no event files of TensorBoard; name a file or the folder"):
        read_log(tmp_path)


@pytest.mark.parametrize(
    ("steps", "per_epoch", "checkpoints", "expected"),
    [
        ([100, 200], 100, [1, 2], [1, 2]),
        ([99, 199], 100, [1, 2], [1, 2]),  # the last step of each, counted from 0
        ([0, 50, 100], 100, [0, 1], [0, 1]),
        ([0, 1, 2], None, [0, 1, 2], [0, 1, 2]),  # steps that are epochs
        ([0, 1, 2], None, [1, 2, 3], [0, 1, 2]),
        ([3, 7], 1, [1], [3, 7]),
    ],
)
def test_steps(steps: list, per_epoch: float | None, checkpoints: list, expected: list, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(table(head=("global_step", *HEAD[1:]), rows=[(step, 1, 2) for step in steps]))
    assert list(read_log(path, epochs=checkpoints, steps_per_epoch=per_epoch).losses) == expected


@pytest.mark.parametrize("steps", [[0, 2, 4, 6], list(range(40)), [0, 100, 200]])
def test_steps_are_not_taken_for_epochs(steps: list, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(table(head=("step", *HEAD[1:]), rows=[(step, 1, 2) for step in steps]))
    with pytest.raises(ValueError, match="counts steps"):
        read_log(path, epochs=[0, 1, 2, 3])


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    def write(folder: str, scalars: dict[str, list[tuple[int, float]]]) -> Path:
        with SummaryWriter(str(tmp_path / folder)) as writer:
            for tag, values in scalars.items():
                for step, value in values:
                    writer.add_scalar(tag, value, step)
        return tmp_path / folder

    plain = write("plain", {"train_loss": [(0, 2.0), (1, 1.0)], "test_loss": [(0, 2.0), (1, 1.5)]})
    expected = {0: {"train_loss": 2.0, "test_loss": 2.0}, 1: {"train_loss": 1.0, "test_loss": 1.5}}
    assert read_log(plain, epochs=[0, 1]).losses == expected
    (event_file,) = plain.iterdir()
    assert read_log(event_file, epochs=[0, 1]).losses == expected

    steps = range(0, 60, 10)  # as Lightning writes it
    write(
        "lit", {"epoch": [(s, s // 30) for s in steps], "loss/train": [(s, s) for s in steps], "loss/val": [(50, 5.0)]}
    )
    assert read_log(tmp_path / "lit").losses == {0: {"train_loss": 20}, 1: {"train_loss": 50, "test_loss": 5}}

    write("keras/train", {"epoch_loss": [(0, 2.0), (1, 1.0)]})
    write("keras/validation", {"epoch_loss": [(0, 2.0), (1, 1.5)]})
    assert read_log(tmp_path / "keras", epochs=[1, 2]).losses == expected
    write("keras/other", {"epoch_loss": [(0, 7.0)]})
    tags = {"train_loss": "other/epoch_loss"}
    assert read_log(tmp_path / "keras", tags, epochs=[1]).losses[0]["train_loss"] == 7.0

    module = "tensorboard.backend.event_processing.event_accumulator"
    monkeypatch.setitem(sys.modules, module, SimpleNamespace())
    with pytest.raises(
        ImportError, match=r"needs the package tensorboard: `pip install 'interdash\[tensorboard\]'`, or give a CSV"
    ):
        read_log(plain)
