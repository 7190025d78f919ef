import importlib
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import duckdb
import pytest
from click.testing import CliRunner

from interdash.commands import main as cli
from interdash.dashboard import server
from interdash.home import HOME
from interdash.presets import PRESETS, Preset
from interdash.runs.parts import part_path
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import overview, state
from tests.conftest import PATIENCE, SPEC_FILE, tiny_config


def run_command(*arguments):
    """Returns the result of a command in this process; an error of the package is raised."""
    return CliRunner().invoke(cli.commands, [str(argument) for argument in arguments], catch_exceptions=False)


def main(monkeypatch, capsys, *arguments):
    """Returns exit code and stderr of `main`, which turns errors into one line."""
    monkeypatch.setattr(sys, "argv", ["interdash", *[str(argument) for argument in arguments]])
    try:
        cli.main()
    except SystemExit as end:
        return end.code, capsys.readouterr().err
    return 0, capsys.readouterr().err


@pytest.fixture
def tiny_preset(monkeypatch):
    monkeypatch.setitem(PRESETS, "digits", Preset(tiny_config(name="digits"), seconds=1))


TOY = '''
import click
from interdash.commands.options import open_run, root_option

@click.command()
@click.argument("run")
@root_option
def toy(run, root):
    """Say how many epochs a run recorded."""
    click.echo(len(open_run(root, run).checkpoint_epochs("target")))
'''


def test_a_command_of_ones_own_is_one_file_and_one_line(monkeypatch, capsys, labelled_run, tmp_path):
    """It runs, is in the help and in the docs, and its errors are one line, although no other file knows of it."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.commands.commands, "toy", importlib.import_module("toy").toy)  # the line in main.py
    root = labelled_run.path.parent
    assert run_command("toy", "tiny", "--root", root).output == "3\n"
    assert "Say how many epochs a run recorded." in run_command("--help").output
    page = runpy.run_path(str(HOME / "docs" / "generate.py"))["commands"]()
    assert "## toy\n\n    interdash toy [OPTIONS] RUN\n\nSay how many epochs a run recorded.\n" in page
    code, err = main(monkeypatch, capsys, "toy", "none", "--root", root)
    assert code == 1 and err.startswith("Error: no run 'none' in") and "Traceback" not in err


def test_help_is_light_and_every_command_has_it():
    heavy = "{'torch','pandas','duckdb','numpy'} & set(sys.modules)"
    code = f"import sys; from interdash.commands import main; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    for name in cli.commands.commands:
        shown = run_command(name, "--help")
        assert shown.exit_code == 0 and "--root" in shown.output, name


def test_demo_makes_everything_and_ends_early_the_next_time(tiny_preset, tmp_path):
    first = run_command("demo", "--preset", "digits", "--no-serve", "--root", tmp_path)
    assert first.exit_code == 0 and "digits is ready" in first.stderr and "12 units" in first.stderr
    assert first.stderr.startswith("interdash demo: run 'digits'")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").rglob("*.parquet")}
    second = run_command("demo", "--preset", "digits", "--no-serve", "--root", tmp_path)
    assert second.exit_code == 0 and "to extract: nothing, all units are there" in second.stderr
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").rglob("*.parquet")}
    shown = json.loads(run_command("info", "--json", "--root", tmp_path).output)
    assert [(row["run"], row["state"], row["problem"]) for row in shown] == [("digits", "ready", None)]


def test_train_baseline_extract_step_by_step(tiny_preset, tmp_path):
    options = ("--root", tmp_path)
    made = run_command("train", "digits", "--name", "mine", "--epochs", 4, "--label-noise", 0.5, "--seed", 3, *options)
    run = Run.open(tmp_path, "mine")
    assert made.exit_code == 0 and (run.config.training.epochs, run.config.data.label_noise) == (4, 0.5)
    assert run.config.training.seed == 3 and state(run).text.startswith("partial: 0 of 1 baseline networks")
    assert run_command("train", "mine", *options).exit_code == 0
    costs = run_command("extract", "mine", "--estimate", *options).stderr
    assert "not counted: 1 baseline networks that are not trained yet" in costs
    undone = run_command("extract", "mine", "--workers", 0, *options)
    assert undone.exit_code == 1 and "`interdash baseline mine --count 1` trains them" in undone.stderr
    assert "baseline 2 of 2: 100%" in run_command("baseline", "mine", "--count", 2, *options).stderr
    again = run_command("baseline", "mine", "--count", 3, *options).stderr
    assert "baseline 3 of 3: 100%" in again and "2 of 3" not in again  # those that are there are not trained again
    done = run_command("extract", "mine", "--workers", 0, "--json", *options)
    assert done.exit_code == 0 and json.loads(done.stdout)["computed"] == 9
    assert state(run).text == "ready"


def test_info(labelled_run, trained_run, monkeypatch, capsys, tmp_path):
    shown = run_command("info", "tiny", "--json", "--root", labelled_run.path.parent)
    report = json.loads(shown.output)
    assert report["state"] == "ready" and report["missing"] == [] and report["problems"] == []
    assert [row["epoch"] for row in report["epochs"]] == [0, 1, 3]
    for row in report["epochs"]:
        assert row["tau"] > 0 and row["train_loss"] > 0 and row["test_loss"] > 0
        total = sum(row["strengths"]["strength"])
        power = sum(row["strengths"]["generalizable"]) / total
        assert row["generalization_power"] == pytest.approx(power) and 0 < row["chance"] < 1
        assert row["above_chance"] == pytest.approx((power - row["chance"]) / (1 - row["chance"]))
        assert all(len(values) == 4 for values in row["strengths"].values())
        assert 0 < row["prediction"]["sigma2_low"] <= row["prediction"]["sigma2_high"] and row["prediction"]["r2"] <= 1
    lives = report["lives"]
    assert (lives["start"], lives["epoch"], [*lives["sets"]]) == (0, 3, ["preserved", "emerged", "removed"])
    strength = sum(lives["sets"][name]["strength"] for name in ("preserved", "emerged"))
    assert strength == pytest.approx(sum(report["epochs"][-1]["strengths"]["strength"]), rel=1e-5)
    assert lives["sets"]["preserved"]["train_loss"] > 0 and lives["life_lines"]["reliable"]["number"] > 0
    turns = {row["turn"]: row["epoch"] for row in report["agreement"]["turns"]}
    losses = {row["epoch"]: row["test_loss"] for row in report["epochs"]}
    assert turns["1|2"] is None and turns["loss lowest"] == min(losses, key=lambda epoch: losses[epoch])
    assert {row["first_turn"] for row in report["agreement"]["distances"]} == {n for n in turns if turns[n] is not None}
    assert {row["epoch"] for row in report["layers"]} == {row["epoch"] for row in report["information"]} == {0, 1, 3}
    assert all(0 <= row["completeness"] <= 1 and row["accuracy"] > 0 for row in report["layers"])
    text = run_command("info", "tiny", "--root", labelled_run.path.parent).output
    assert "state: ready" in text and "\nOne baseline network; another may move the boundaries.\n" in text
    assert len(text.splitlines()) == 9 and report["baselines"] == 1 and not report["epochs"][0]["baselines"]
    report = json.loads(run_command("info", "tiny", "--json", "--root", trained_run.path.parent).output)
    assert report["state"] == "partial" and report["missing"] == [
        "100 % of the units; `interdash extract tiny` goes on"
    ]
    assert [row[name] for row in report["epochs"] for name in ("strengths", "prediction")] == [None] * 6
    assert report["epochs"][0]["train_loss"] > 0 and report["epochs"][0]["tau"] is None
    shown = run_command("info", "--root", labelled_run.path.parent)
    assert shown.exit_code == 0 and re.search(r"^tiny +ready", shown.stdout, re.MULTILINE)
    assert f"there is no run in {tmp_path}" in run_command("verify", "--root", tmp_path).stderr


def test_info_of_three_baselines(run_of_three):
    command = ("info", "tiny", "--root", run_of_three.path.parent)
    report = json.loads(run_command(*command, "--json").output)
    assert report["baselines"] == 3 and [row["boundary"] for row in report["phases"]] == ["1|2", "2|3"]
    names = {"baseline-0", "baseline-1", "baseline-2"}
    for row in report["epochs"]:
        assert set(row["baselines"]) == names
        for name in ("generalization_power", "chance"):
            assert row[name] == pytest.approx(sum(each[name] for each in row["baselines"].values()) / 3)
    for row in report["phases"]:
        found = [epoch for epoch in row["baselines"].values() if epoch is not None]
        assert set(row["baselines"]) == names and f"; found with {len(found)} of 3 baselines" in row["reason"]
    assert "\nphases 1|2: " in run_command(*command).output


def test_the_runs_own_number_of_baselines_is_missing_of_a_built_in_run_alone(run_of_three, tmp_path):
    run = Run(tmp_path / "tiny")
    shutil.copytree(run_of_three.path, run.path)
    shutil.rmtree(run.path / "checkpoints" / "baseline-1")
    assert "2 of 3 baseline networks; `interdash baseline tiny --count 3` trains them" in state(run).text
    config = run.config
    run.update(config=replace(config, network=replace(config.network, architecture="user")).to_json())
    assert "baseline networks" not in state(run).text


def test_state_of_a_run_without_labels(ready_run):
    shutil.rmtree(ready_run.labels_dir)
    assert state(ready_run).text == "partial: labels of 4 epochs; `interdash extract tiny` makes them"
    part_path(ready_run, plan(ready_run).units[0]).unlink()
    assert state(ready_run).text == "partial: 10 % of the units; `interdash extract tiny` goes on"


def test_overview_lists_runs_and_broken_folders(ready_run, tmp_path):
    root = ready_run.path.parent
    (root / "broken").mkdir()
    (root / "broken" / "run.json").write_text("{")
    (root / "bad name").mkdir()
    found = overview([root, tmp_path / "none"]).set_index("run")
    assert found.loc["tiny", "text"] == "ready" and found.loc["tiny", "samples"] == 60
    peak, level, above = found.loc["tiny", ["peak_generalization_power", "chance", "above_chance"]]
    assert 0 < level < 1 and peak <= 1 and above == pytest.approx((peak - level) / (1 - level))
    assert found.loc["tiny", "curves"]["epoch"] == [0, 1, 2, 3]
    assert "broken" in found.loc["broken", "problem"] and "cannot name a run" in found.loc["bad name", "problem"]


def test_load_and_export_data_write_files_that_others_read(labelled_run, tmp_path):
    path = tmp_path / "tiny.duckdb"
    shown = run_command("load", "tiny", "--root", labelled_run.path.parent, "--output", path)
    assert shown.output.strip() == str(path)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM sample_epochs").fetchall() == [(240,)]
    folder = tmp_path / "data"
    shown = run_command("export-data", "tiny", "--root", labelled_run.path.parent, "--output", folder)
    assert shown.exit_code == 0 and (folder / "strengths.csv").exists() and (folder / "columns.csv").exists()
    assert shown.output.splitlines()[-1] == str(folder / "columns.csv")


def test_extract_estimate_computes_nothing(fresh_run):
    root = fresh_run.path.parent
    shown = run_command("extract", "tiny", "--estimate", "--json", "--root", root)
    assert json.loads(shown.stdout)["forward_passes"] == 3840
    assert not list(fresh_run.parts_dir.glob("*.parquet"))


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["info", "none"], 1, "no run 'none' in .* make a run with `interdash demo`"),
        (["info", "../x"], 1, "cannot name a run"),
        (["info", "a'; DROP"], 1, "cannot name a run"),
        (["info", "🐟"], 1, "cannot name a run"),
        (["info", "x" * 300], 1, "300 characters"),
        (["demo", "--preset", "none"], 2, "there is no preset 'none'; choose one of mnist"),
        (["extract"], 2, "Missing argument 'RUN'"),
        (["extract", "none", "--workers", "-1"], 2, "Invalid value for '--workers'"),
        (["import", "a", "--checkpoints", "*.pt", "--spec", "x.py", "--tag", "odd"], 2, "'odd' is not METRIC=TAG"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(monkeypatch, capsys, tmp_path, arguments, code, message):
    found, err = main(monkeypatch, capsys, *arguments, *(["--root", tmp_path] if len(arguments) > 1 else []))
    assert found == code
    assert re.search(message, err), err
    assert "Traceback" not in err


def test_newer_runs_and_a_missing_app_name_the_command(monkeypatch, capsys, ready_run, tmp_path):
    ready_run.update(format=99)
    code, err = main(monkeypatch, capsys, "info", "tiny", "--root", ready_run.path.parent)
    assert code == 1 and "has format 99" in err and "pip install --upgrade interdash" in err
    monkeypatch.setattr(server, "APP", tmp_path / "app.py")
    code, err = main(monkeypatch, capsys, "serve", "--root", tmp_path)
    assert code == 1 and "app.py, which comes with interdash; install it again" in err


def test_a_failed_step_of_the_demo_names_the_remedy(monkeypatch, capsys, tmp_path):
    def fail(*_):
        raise OSError(28, "No space left on device", "weights")

    monkeypatch.setattr("interdash.commands.options.train_network", fail)
    code, err = main(monkeypatch, capsys, "demo", "--preset", "digits", "--no-serve", "--root", tmp_path)
    assert code == 1 and "No space left on device" in err
    assert "step 1 of 4 failed; `interdash doctor` says what this machine lacks. The same command goes on" in err


def test_serve_binds_to_this_machine_only_and_shows_several_folders(monkeypatch, tmp_path):
    started = {}

    class Server:
        def __init__(self, command, env, cwd):
            started.update(command=command, env=env)

        def wait(self):
            return 0

        def terminate(self):
            started["ended"] = True

    (tmp_path / "app.py").write_text("")
    monkeypatch.setattr(server, "APP", tmp_path / "app.py")
    monkeypatch.setattr(server.subprocess, "Popen", Server)
    shown = run_command("serve", "--root", tmp_path, "--root", tmp_path / "more", "--port", 8765)
    assert "http://127.0.0.1:8765" in shown.stderr and started["ended"]
    command = started["command"]
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert started["env"]["INTERDASH_ROOT"].split(os.pathsep) == [str(tmp_path.resolve()), str(tmp_path / "more")]
    started = []
    monkeypatch.setattr(cli, "start_server", lambda roots, port: started.append(roots) or sys.exit(0))
    run_command("serve", "--root", tmp_path / "a", "--root", tmp_path / "b")
    monkeypatch.setenv("INTERDASH_ROOT", f"{tmp_path / 'c'}{os.pathsep}{tmp_path / 'd'}")
    run_command("serve")
    assert [[root.name for root in roots] for roots in started] == [["a", "b"], ["c", "d"]]


@pytest.mark.slow
@pytest.mark.parametrize("engine, codes", [("processes", {signal.SIGINT: 130, signal.SIGTERM: 143}),
                                           ("dask", {signal.SIGINT: 130})])  # fmt: skip
def test_interrupted_extractions_end_cleanly_and_reruns_go_on(trained_run, tmp_path, engine, codes):
    """Ctrl-C reaches the whole process group, SIGTERM (a cancelled job) the command alone; both at the same time."""
    runs = {sent: Run(tmp_path / sent.name / "tiny") for sent in codes}
    command = [sys.executable, "-m", "interdash", "extract", "tiny", "--engine", engine, "--workers", "1", "--root"]
    processes = {}
    for sent, run in runs.items():
        shutil.copytree(trained_run.path, run.path)
        processes[sent] = subprocess.Popen(
            [*command, str(run.path.parent)], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    deadline, waiting = time.monotonic() + PATIENCE, dict(runs)
    while waiting and time.monotonic() < deadline:
        for sent in [sent for sent, run in waiting.items() if list(run.parts_dir.glob("*.parquet"))]:
            del waiting[sent]
            (os.killpg if sent == signal.SIGINT else os.kill)(processes[sent].pid, sent)
        time.sleep(0.01)
    for sent, process in processes.items():
        _, err = process.communicate(timeout=PATIENCE)
        if process.returncode != 0:  # else it was faster than the signal
            assert process.returncode == codes[sent] and "Traceback" not in err
            assert sent != signal.SIGINT or "interrupted; what was finished is safe" in err
        assert not list(runs[sent].parts_dir.glob(".*.draft"))
        assert run_command("extract", "tiny", "--workers", 0, "--root", runs[sent].path.parent).exit_code == 0


def test_a_users_checkpoints_from_import_to_ready(tmp_path):
    import torch

    (tmp_path / "my_run.py").write_text(SPEC_FILE)
    spec, options = f"{tmp_path}/my_run.py:spec", ("--root", tmp_path / "runs")
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    for epoch in (0, 1, 5):
        with torch.no_grad():
            network.weight.add_(0.3 * epoch)
        torch.save(network.state_dict(), tmp_path / f"ckpt_{epoch}.pt")
    made = run_command(
        "import", "mine", "--checkpoints", tmp_path / "ckpt_*.pt", "--spec", spec, "--samples", 6, *options
    )
    assert made.exit_code == 0 and "next: interdash baseline mine" in made.stderr
    assert run_command("baseline", "mine", *options).exit_code == 0
    done = run_command("extract", "mine", "--workers", 0, *options)
    assert done.exit_code == 0 and "mine is ready" in done.stderr
    report = json.loads(run_command("info", "mine", "--json", *options).output)
    assert [row["epoch"] for row in report["epochs"]] == [0, 1, 5]
    assert all(row["generalization_power"] is not None for row in report["epochs"])
