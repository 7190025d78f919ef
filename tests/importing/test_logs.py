"""Losses from the logs that tools write: formats, columns, merged rows, steps, refusals."""

import bz2
import gzip
import json
import lzma
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from interdash.importing.log_epochs import by_epoch
from interdash.importing.logs import Losses, diverged, read_log

HEAD = ("epoch", "train_loss", "test_loss")
ROWS = [(0, 2.3, 2.25), (1, 1.1, 1.3), (2, 0.5, 0.8)]
TRUTH = {epoch: {"train_loss": train, "test_loss": test} for epoch, train, test in ROWS}
RECORDS = [dict(zip(HEAD, row, strict=True)) for row in ROWS]


def losses(
    path: Path, tags: dict[str, str] | None = None, epochs: list | None = None, per: float | None = None
) -> Losses:
    """The losses in a log by its own epochs or rows."""
    return by_epoch(read_log(path, tags), epochs or [], per)


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
        table("   ", head=("epoch", "train loss", "test loss")),
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
        "\n".join(f"Epoch {e}: train_loss={a}, test_loss: {b}" for e, a, b in ROWS),
        "\n".join(f"Epoch {e}/3\n10/10 - 0s - loss: {a} - lr: 0.5 - val_loss: {b}" for e, a, b in ROWS),
        "\n".join(f"2026-01-01 12:00:0{e} INFO epoch {e} - train loss: {a} - val loss: {b}" for e, a, b in ROWS),
        "\n".join(f"- epoch: {e}\n  train_loss: {a}\n  test_loss: {b}" for e, a, b in ROWS),  # YAML
        "\\begin{tabular}{lll}\n"
        + table(" & ").replace("_", "\\_").replace("\n", " \\\\ \\hline\n")
        + "\\end{tabular}",
        table(rows=[(f"Epoch {e}", a, b) for e, a, b in ROWS]),
        table(rows=[(f"{e}/3", a, b) for e, a, b in ROWS]),
        table(
            head=("epoch", "split", "loss"), rows=[(e, *x) for e, a, b in ROWS for x in (("train", a), ("valid", b))]
        ),
        table(
            head=("epoch", "key", "value"),
            rows=[(e, *x) for e, a, b in ROWS for x in (("train/loss", a), ("val_loss", b))],
        ),
        json.dumps([HEAD, *ROWS]),
        json.dumps(
            {name: [{"epoch": row[0], "loss": row[i]} for row in ROWS] for i, name in enumerate(("train", "val"), 1)}
        ),
        "# " + table(),
        "# a run, of Monday\n" + table(),
        "# made by hand\n#" + table(),
        "A title\n\n" + table().replace("\n1,", "\n# half of it\n1,"),
        table() + table(),
        "epoch,train_loss,test_loss\n0,-,None\n" + table().partition("\n")[2],
        "Words.\n\n"
        + "\n".join(f"| {line} |" for line in table(" | ").replace("\n", "\n--- | ---: | ---\n", 1).split("\n")[:-1]),
        table(head=("epoch", "train loss (nats)", "Test Loss")),
        "\n".join(str(record) for record in RECORDS),  # as Python prints it
        json.dumps({"train": {"loss": [row[1] for row in ROWS]}, "val": {"loss": [row[2] for row in ROWS]}}),
        json.dumps({"config": {"lr": 1}, "epochs": RECORDS}),
        json.dumps({f"epoch_{row[0]}": dict(zip(HEAD[1:], row[1:], strict=True)) for row in ROWS}),
        json.dumps([*RECORDS, {"epoch": 2, "train_loss": 9, "train_runtime": 3}]),  # the Trainer's mean over all
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
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_format_gives_the_same_losses(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(text.encode(encoding))
    assert losses(path) == TRUTH


def test_rows_of_an_epoch_are_merged_and_the_last_value_counts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(
        "epoch,step,train_loss_epoch,train_loss_step,val_loss\n"
        "0,4,,1.3,\n0,9,,0.7,\n0,9,,,1.5\n0,9,1.4,,\n0,9,,,1.45\n1,14,,0.5,\n1,19,,,nan\n1,19,0.3,,\n1.5,20,7,7,7\n"
    )
    log = read_log(path)
    assert log.columns == {"train_loss": "train_loss_epoch", "test_loss": "val_loss"}
    found = losses(path)
    assert found[0] == {"train_loss": 1.4, "test_loss": 1.45}
    assert found[1]["train_loss"] == 0.3 and math.isnan(found[1]["test_loss"]) and found.keys() == {0, 1}
    assert diverged(found) == {"test_loss": 1}


def test_empty_cells_are_no_values_and_accuracies_are_shares(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,train_loss,test_loss,val_acc,lr\n0,2,None,12.5,1\n1,1,-,50,1\n2,inf,NA,,1\n3\n")
    assert losses(path) == {
        0: {"train_loss": 2.0, "test_accuracy": 0.125},
        1: {"train_loss": 1.0, "test_accuracy": 0.5},
        2: {"train_loss": math.inf},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch;step;train_loss;test_loss\n1;1.000;1.002,3;2,5\n", {1: {"train_loss": 1002.3, "test_loss": 2.5}}),
        ('step,epoch,train_loss,test_loss\n"1,000",1,"1,002.3",2.5\n', {1: {"train_loss": 1002.3, "test_loss": 2.5}}),
        ("epoch;train_loss;test_loss\n1;1,002;2,003\n", {1: {"train_loss": 1.002, "test_loss": 2.003}}),
        ("date;epoch;train_loss\n01.05.2026;1;1'002,5\n", {1: {"train_loss": 1002.5}}),
        ("epoch,train_loss,val_acc\n1,.5,40%\n", {1: {"train_loss": 0.5, "test_accuracy": 0.4}}),
        ("| | train_loss | test_loss |\n|-|-|-|\n| 0 | 2 | 3 |\n", {0: {"train_loss": 2.0, "test_loss": 3.0}}),
    ],
)
def test_ways_of_writing_numbers(text: str, expected: dict, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    assert losses(tmp_path / "log.csv") == expected


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_compressed_texts(module: Any, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(module.compress(table().encode()))
    assert losses(tmp_path / "log") == TRUTH


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(table(head=("epoch", "a", "B")))
    assert losses(path, {"train_loss": "a", "test_loss": "b"}) == TRUTH
    path.write_text(table(head=("Epoche", "a", "B")))
    assert losses(path, {"train_loss": "a", "test_loss": "b", "epoch": "Epoche"}) == TRUTH
    with pytest.raises(
        ValueError, match=r"--tag trainloss=a names no metric; expected one of train_loss, .*epoch, step"
    ):
        read_log(path, {"trainloss": "a"})


def test_rows_without_epochs_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"loss": [2, 1], "val_loss": [2, 1]}))
    assert read_log(path).counted == "row" and list(losses(path)) == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,loss\n0,2\n", "lacks the columns train_loss, test_loss; it has epoch, loss: name them, as in --tag"),
        (table(rows=[(0, "two", 2)]), "no number: 'two' in column 'train_loss'; .* another column, as in --tag"),
        (table(head=("epoch", "a - train_loss", "b - train_loss")), "several columns for train_loss: a .*--tag train"),
        (table(head=("step", "train_loss", "test_loss"), rows=[(100 * e, a, b) for e, a, b in ROWS]),
         r"counts steps \(0, 100, 200, …\) and has no epochs; .* --steps-per-epoch N \(1 if its steps are epochs\)"),
        (table(rows=[("nan", 1, 2)]), "row 1 has losses but no epoch"),
        (table(rows=[("inf", 1, 2)]), "row 1 has losses but no epoch"),
        (table(rows=[("", 1, 2)]), "row 1 has losses but no epoch; .* fill it in, name another column with --tag"),
        (table(rows=[(0.4, 1, 2)]), "has no row of a whole epoch; .* leave --losses out"),
        ("0,1,2\n1,1,2\n", "has no names of columns but '0,1,2'; expected a table with a first line such as epoch,"),
        (table(rows=[]), "has no rows of numbers but 'epoch,train_loss,test_loss'; expected a table with a first line"),
        (table(rows=[(0, "40%", 2)]), "no number: '40%' in column 'train_loss'; expected a loss in nats: .* --tag"),
        (table(rows=[(0, '"1,002"', '"1,003"')]), "the number '1,002' which may be 1 or 1000; .* with a decimal point"),
        (table(";", rows=[(0, "1,5", "2.5")]), "the number '2.5' beside '1,5'; expected one way of writing numbers"),
        (table(rows=[(0, "1,5", "2,5")]), "row of 5 cells, 0, 1, 5, 2, 5, below 3 names of columns; .* decimal points"),
        (table("  ", rows=[(0, 1, "")]), "row of 2 cells, 0, 1, below 3 names of columns; .* no cell be empty"),
        ("PK\3\4\0\0\0\0", r"is no text but begins with b'PK.*; .* unpack it, export it as CSV, or leave --losses out"),
        ("\x1f\x8b", "is damaged .*; expected a compressed text: copy it again"),
        (" \n", "is empty; expected losses by epoch: name another file with --losses"),
        ('[{"epoch": 0}\n{"epoch": \n', "line 1 is no JSON .*; expected JSON lines, .* delete or correct"),
        ('{"train_loss": [[0, 2.3]], "test_loss": [[0, 2]]}', r"no number: '\[0, 2.3\]' in column .*leave"),
        ("[1, 2]", r"holds no rows but a list; expected a list of \{epoch"),
        ("epoch,train_loss,train_loss\n0,1,2\n", "several columns for train_loss: train_loss, train_loss.2; .*--tag"),
        ("[" * 100_000, "is no table that can be read .*; expected CSV: export it as CSV, or leave --l"),
        (json.dumps([{"epoch": 1, "train_loss": None}]), "no rows with losses; .* another file with --losses"),
    ],
)  # fmt: skip
def test_refusals(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text, encoding="latin-1" if text.startswith("\x1f") else "utf-8")
    with pytest.raises(ValueError, match=rf"log\.csv.* {message}"):
        losses(tmp_path / "log.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "log.parquet",
            b"PAR1\x15\x04",
            r"begins with b'PAR1.*export it as CSV, with python -c .*read_parquet\('.*log.pa",
        ),
        (
            "log.xlsx",
            b"PK\3\4",
            r"read_excel\('.*log.xlsx'\).to_csv\('.*log.csv', index=False\)\" and --losses .*log.csv",
        ),
        ("log.yml", b"train_loss: [1, 2]\n", "has no .*safe_load.*, or leave --losses out, and they are computed"),
        ("log.toml", b"[[row]]\nepoch = 1\n", "is no JSON .*tomllib"),
        ("log.txt", b"epoch 1 train loss 1.8 val loss 2\n", "has no .*export it as CSV, or leave --losses out"),
    ],
)
def test_files_of_other_kinds(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        read_log(tmp_path / name)


@pytest.mark.parametrize("epoch", [10**18, 4000, 1767225600])
def test_epochs_that_follow_nothing_are_refused(epoch: int, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(table(rows=[*ROWS, (epoch, 1, 2)]))
    with pytest.raises(
        ValueError, match=rf"log.csv has a row of epoch {epoch}, and neither .* between 3 and .* that row"
    ):
        losses(path, None, [0, 1, 2, 3])
    path.write_text(table(rows=[*ROWS, (30, 1, 2)]))
    assert 30 in losses(path, None, [0, 1, 2])


def test_missing_files_and_tags(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder .*gone\.csv; give a CSV or JSON file"):
        read_log(tmp_path / "gone.csv")
    (tmp_path / "log.csv").write_text(table())
    with pytest.raises(
        ValueError, match=r"no column or scalar 'a'; it has epoch, .*: name one of them, as in --tag test_l"
    ):
        read_log(tmp_path / "log.csv", {"test_loss": "a"})
    with pytest.raises(ValueError, match=r"no column or scalar 'n'; it has epoch, .* as in --tag epoch=epoch"):
        read_log(tmp_path / "log.csv", {"epoch": "n"})
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
    assert list(losses(path, None, checkpoints, per_epoch)) == expected


@pytest.mark.parametrize("steps", [[0, 2, 4, 6], list(range(40)), [0, 100, 200]])
def test_steps_are_not_taken_for_epochs(steps: list, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(table(head=("step", *HEAD[1:]), rows=[(step, 1, 2) for step in steps]))
    with pytest.raises(ValueError, match="counts steps"):
        losses(path, None, [0, 1, 2, 3])


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
    assert losses(plain, None, [0, 1]) == expected
    (event_file,) = plain.iterdir()
    assert losses(event_file, None, [0, 1]) == expected

    steps = range(0, 60, 10)  # as Lightning writes it
    write(
        "lit", {"epoch": [(s, s // 30) for s in steps], "loss/train": [(s, s) for s in steps], "loss/val": [(50, 5.0)]}
    )
    assert losses(tmp_path / "lit") == {0: {"train_loss": 20}, 1: {"train_loss": 50, "test_loss": 5}}

    write("keras/train", {"epoch_loss": [(0, 2.0), (1, 1.0)]})
    write("keras/validation", {"epoch_loss": [(0, 2.0), (1, 1.5)]})
    assert losses(tmp_path / "keras", None, [1, 2]) == expected
    write("keras/other", {"epoch_loss": [(0, 7.0)]})
    tags = {"train_loss": "other/epoch_loss"}
    assert losses(tmp_path / "keras", tags, [1])[0]["train_loss"] == 7.0

    module = "tensorboard.backend.event_processing.event_accumulator"
    monkeypatch.setitem(sys.modules, module, SimpleNamespace())
    with pytest.raises(
        ImportError, match=r"needs the package tensorboard: `pip install 'interdash\[tensorboard\]'`, or give a CSV"
    ):
        read_log(plain)
