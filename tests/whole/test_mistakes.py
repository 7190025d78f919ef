"""Common mistakes of a newcomer: each ends in a message that says what is wrong and what solves it.

On the command line, and in the dashboard where it can be made there too.
"""

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from interdash.dashboard import page as ui
from interdash.dashboard import server
from interdash.runs.run import Run
from tests.commands.test_commands import main, tiny_preset  # noqa: F401  a fixture
from tests.conftest import SPEC_FILE
from tests.dashboard.test_pages import words


def as_reader(*arguments):
    """Returns exit code and stderr of a command that may not write what is not writable, even if root starts it."""

    def obey():
        if os.geteuid() == 0:
            drop, write_everywhere = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE of Linux
            ctypes.CDLL(None).prctl(drop, write_everywhere, 0, 0, 0)

    command = [sys.executable, "-m", "interdash", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=obey)
    return done.returncode, done.stderr


@pytest.fixture
def mistake(monkeypatch, capsys):
    """Returns a function that makes a mistake on the command line and compares what is said."""

    def make(*arguments, says, code=1):
        found, err = main(monkeypatch, capsys, *arguments)
        assert found == code and "Traceback" not in err
        assert re.search(says, err), err

    return make


# 1. The wrong folder of runs.


def test_wrong_root(mistake, labelled_run, tmp_path):
    root, none = labelled_run.path.parent, tmp_path / "none"
    mistake("info", "tiny", "--root", none, says=f"there is no folder {none}; name the folder of runs with --root DIR")
    mistake("extract", "tiny", "--root", tmp_path, says="no runs in .*, or make a run with `interdash demo`")
    mistake("info", "tiny", "--root", labelled_run.path, says=f"is a run itself; .* --root {root}")
    mistake("info", "tinny", "--root", root, says="no run 'tinny' in .*; choose one of tiny, or another folder")
    shutil.copytree(root, tmp_path / "data" / "runs")
    mistake("info", "tiny", "--root", tmp_path, says=f"lie deeper, .* --root {tmp_path}/data/runs")


def test_wrong_root_in_the_dashboard(visit, labelled_run, tmp_path):
    for stem in {*ui.pages()} - {"help"}:  # which needs no run
        page = visit(stem, tmp_path / "none")
        assert f"There is no folder {tmp_path}/none; name the folder of runs with --root DIR" in words(page), stem
        assert "interdash demo --preset digits" in " ".join(text.value for text in page.markdown), stem
        page = visit(stem, labelled_run.path)
        says = f"is a run itself; name the folder that it lies in: --root {labelled_run.path.parent}"
        assert says in words(page), stem


def test_other_folders_are_no_runs(visit, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "text.md").write_text("")
    assert "There are no runs in" in words(visit("runs", tmp_path))


# 2. No baseline network.


def test_missing_baseline(visit, mistake, fresh_run):
    shutil.rmtree(fresh_run.path / "checkpoints" / "baseline-0")
    root = fresh_run.path.parent
    says = "0 of 1 baseline networks; `interdash baseline tiny --count 1` trains them"
    mistake("extract", "tiny", "--workers", 0, "--root", root, says=says)
    assert says in words(visit("dynamics", root))


# 3. No checkpoint.


def test_no_checkpoint(visit, mistake, fresh_run, tmp_path):
    shutil.rmtree(fresh_run.path / "checkpoints")
    root = fresh_run.path.parent
    says = "no checkpoint in .*/tiny/checkpoints/target; copy the run again with its checkpoints"
    mistake("extract", "tiny", "--root", root, says=says)
    assert re.search(says, words(visit("dynamics", root)))
    (tmp_path / "my_run.py").write_text(SPEC_FILE)
    options = ("--checkpoints", tmp_path / "ckpt_*.pt", "--spec", tmp_path / "my_run.py", "--root", root)
    mistake("import", "mine", *options, says="no file fits .*ckpt_.* in .*; put the pattern in quotes")


# 4. Two runs of one name.


def test_two_runs_of_one_name(tiny_preset, mistake, fresh_run):  # noqa: F811
    options = ("--name", "tiny", "--epochs", 9, "--root", fresh_run.path.parent)
    mistake(
        "train", "digits", *options, says=r"'tiny' is in .* already.* choose another name \(--name\) or delete .*tiny"
    )


def test_two_runs_of_one_name_in_the_dashboard(visit, labelled_run, ready_run):
    page = visit("runs", labelled_run.path.parent, ready_run.path.parent)
    assert "tiny: there are several runs of this name" in words(page) and "rename one's folder" in words(page)


# 5. A port that is taken.


def test_taken_port(mistake, tmp_path):
    with socket.create_server((server.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        says = rf"port {port} is taken by another program; or choose another port: --port \d+"
        mistake("serve", "--port", port, "--root", tmp_path, says=says)
        mistake("demo", "--preset", "digits", "--port", port, "--root", tmp_path, says=says)
    assert not (tmp_path / "digits").exists()  # said before minutes of training, not after
    mistake("serve", "--port", 80808, "--root", tmp_path, code=2, says="80808 is not in the range 0<=x<=65535")


# 6. No Chromium.


def test_no_chromium(visit, monkeypatch, mistake, labelled_run, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    root = labelled_run.path.parent
    options = ("--figure", "dynamics", "--out", tmp_path / "out", "--root", root)
    says = "need Chromium, which is not there; install it with `apt-get install .*chromium fonts-liberation`. HTML"
    mistake("export", "tiny", *options, says=says)
    assert re.search(says, words(visit("figures", root)))


# 7. A store of another version.


def test_old_run(visit, mistake, ready_run):  # of an old sealed file: test_doctor
    ready_run.update(format=0)
    says = "has format 0, written by interdash .*; .* make the run again with `interdash train` or `interdash import`"
    mistake("info", "tiny", "--root", ready_run.path.parent, says=says)
    assert re.search(says, words(visit("runs", ready_run.path.parent, run="tiny")))


# 8. A folder that may only be read.


@pytest.fixture
def read_only(ready_run):
    """A folder of runs without the right to write."""
    root = ready_run.path.parent
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield root
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)


RIGHT = "Permission denied; ask for the right to write there, or copy the runs to a folder of yours and name it"


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["baseline", "tiny", "--count", "2"], RIGHT),
        (["train", "digits", "--name", "mine", "--epochs", "1"], RIGHT),
        (["load", "tiny"], "is the disk full or the folder read-only\\? --output names another"),
    ],
)
def test_read_only_folder(read_only, arguments, says):
    code, err = as_reader(*arguments, "--root", read_only)
    assert code == 1 and re.search(says, err) and str(read_only) in err and "Traceback" not in err


def test_read_only_folder_in_the_dashboard(visit, monkeypatch, labelled_run):
    def refuse(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("interdash.runs.run.write_atomically", refuse)
    page = visit("runs", labelled_run.path.parent, run="tiny")
    page.text_area(key="notes-tiny").set_value("mine")
    next(button for button in page.button if button.label == "Save").click().run()
    assert RIGHT in words(page) and not page.exception


# 9. A GPU that is not there.


@pytest.mark.parametrize("command", [["train", "digits"], ["baseline", "tiny"], ["extract", "tiny"], ["demo"]])
def test_no_gpu(monkeypatch, mistake, fresh_run, command):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    root = fresh_run.path.parent
    says = "device 'cuda' was asked for, but torch .* finds no GPU here; leave --device out"
    mistake(*command, "--device", "cuda", "--root", root, says=says)
    mistake(*command, "--device", "gpu", "--root", root, says="'gpu' is no device .* write cpu, cuda or cuda:1")


def test_gpu_of_another_number(monkeypatch, mistake, fresh_run):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    says = "no device 'cuda:7'; this machine has 2 GPUs: cuda:0 to cuda:1"
    mistake("extract", "tiny", "--device", "cuda:7", "--root", fresh_run.path.parent, says=says)


# 10. The wrong spec file.


THREE_CLASSES = SPEC_FILE.replace("(3, 2)", "(3, 3)").replace('"no"', '"no", "so"')


@pytest.mark.parametrize(
    "spec, text, says",
    [
        ("none.py:spec", None, "there is no spec file .*none.py; pass its path as in --spec path/my_run.py:spec"),
        ("my_run.txt", "", "'.*my_run.txt' names no spec; write it as my_run.py:spec, a Python file and a function"),
        ("my_run.py:spec", "x = 1", "my_run.py:spec failed with AttributeError: .*'spec'; run it to see where"),
        ("my_run.py:spec", "def spec(): return 1", "my_run.py:spec returned a int; it must return an interdash.Spec"),
        ("my_run.py:spec", "import nonsense", "my_run.py:spec failed with ModuleNotFoundError: No module named"),
        (
            "my_run.py:spec",
            "from interdash.callbacks import trainer_callback",
            "there is no module interdash.callbacks; import interdash.training.callbacks, or .* interdash import l",
        ),
        ("my_run.py:spec", SPEC_FILE.replace("Linear(3,", "Linear(4,"), "the spec's network fails on train_inputs"),
        ("my_run.py:spec", THREE_CLASSES, "not fit the network of .*my_run.py:spec: weight is .2, 3.,"),
    ],
)
def test_wrong_spec(mistake, tmp_path, spec, text, says):
    import torch

    if text is not None:
        (tmp_path / spec.partition(":")[0]).write_text(text)
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "ckpt_0.pt")
    options = ("--checkpoints", tmp_path / "ckpt_*.pt", "--spec", tmp_path / spec, "--root", tmp_path / "runs")
    mistake("import", "mine", *options, says=f"(?s){says}")
    assert not (tmp_path / "runs" / "mine").exists()


def test_run_without_its_spec(mistake, ready_run):
    config = ready_run.manifest["config"]
    config["network"]["architecture"] = config["data"]["dataset"] = "user"
    ready_run.update(config=config)
    run = Run(ready_run.path)
    assert run.config.network.architecture == "user"
    says = "run 'tiny' was recorded without a spec file.* name it with --spec my_run.py:spec"
    mistake("baseline", "tiny", "--count", 2, "--root", ready_run.path.parent, says=says)


# Not one of the ten: a package that is missing.


def test_missing_package(tmp_path):
    code = "import sys; sys.modules['torch'] = None; from interdash.commands.main import main; main()"
    command = [sys.executable, "-c", code, "train", "digits", "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    says = "this needs torch, which is not installed; `interdash doctor` says how"
    assert done.returncode == 1 and says in done.stderr and "Traceback" not in done.stderr
