"""What the doctor finds on machines that lack something, and that each such line says what mends it."""

import importlib.metadata
import json
import shutil
import socket
import subprocess
import sys
import tomllib

import duckdb
import pytest
from click.testing import CliRunner

from interdash.commands import doctor, main
from interdash.dashboard import server
from interdash.store.loading import seal


def found(root, port=0):
    """Returns the checks by name; port 0 is always free."""
    return {check.name: check for check in doctor.checks(root, port)}


@pytest.fixture
def no_chromium(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BROWSER_PATH", raising=False)


def test_command(no_chromium, ready_run):
    root = ready_run.path.parent
    shown = CliRunner().invoke(main.commands, ["doctor", "--root", str(root), "--port", "0"])
    assert shown.exit_code == 0 and "ok   runs: 1 of format 1 in" in shown.output
    (ready_run.path / "run.json").write_text("{")
    shown = CliRunner().invoke(main.commands, ["doctor", "--root", str(root), "--port", "0", "--json"])
    (broken,) = [check for check in json.loads(shown.output) if check["ok"] is False]
    assert shown.exit_code == 1 and broken["name"] == "run tiny"
    assert "is damaged" in broken["found"] and broken["remedy"] == "copy it again from where the run was made"


@pytest.mark.browser
def test_figure_files_are_really_drawn(labelled_run):
    check = found(labelled_run.path.parent)["figure files"]
    assert check.ok and check.found.endswith("drew a PDF with Liberation Serif")


def test_no_chromium_and_a_taken_port(no_chromium, tmp_path):
    check = found(tmp_path)["figure files"]
    assert check.ok is None and "apt-get install --no-install-recommends chromium fonts-liberation" in check.remedy
    with socket.create_server((server.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        check = found(tmp_path, port)["port"]
    assert check.ok is None and check.found == f"{port} is taken by another program"
    assert check.remedy.startswith("`interdash serve --port ")
    assert found(tmp_path, 0)["port"].ok


def test_chromium_that_cannot_draw_or_lacks_the_font(monkeypatch, tmp_path):
    monkeypatch.setenv("BROWSER_PATH", "/bin/false")
    monkeypatch.setattr("interdash.paper.chromium.SECONDS", 0.5)
    check = found(tmp_path)["figure files"]
    assert check.ok is False and check.found.startswith("/bin/false: Chromium") and "apt-get" in check.remedy
    monkeypatch.setattr("interdash.paper.chromium.render", lambda figure: b"%PDF with another font")
    check = found(tmp_path)["figure files"]
    assert check.ok is False and "without Liberation Serif" in check.found and "fonts-liberation" in check.remedy


def test_packages_and_extras(monkeypatch, no_chromium, tmp_path):
    there = importlib.metadata.version
    changed = {"numpy": "1.26.4", "pandas": "99.0", "torch": "2.13.0+cu130"}

    def version(name):
        if name in ("duckdb", "jaxtyping"):
            raise importlib.metadata.PackageNotFoundError(name)
        return changed.get(name) or there(name)

    monkeypatch.setattr(doctor, "version", version)
    checks = found(tmp_path)
    pins = dict(line.split("==") for line in doctor._pins(doctor.PINS).splitlines() if "==" in line)
    assert (checks["duckdb"].ok, checks["duckdb"].found) == (False, "missing")
    assert checks["duckdb"].remedy == f"`{sys.executable} -m pip install 'duckdb=={pins['duckdb']}'`"
    assert (checks["numpy"].ok, checks["numpy"].found) == (False, "1.26.4, needed is >=2.0")
    assert (checks["pandas"].ok, checks["pandas"].found) == (None, f"99.0, tested with {pins['pandas']}")
    assert checks["jaxtyping"].ok is None and "the dashboard shows runs, none can be made" in checks["jaxtyping"].found
    assert checks["torch"].ok and checks["click"].ok
    assert all(check.remedy for check in checks.values() if not check.ok)

    def version(name):
        if name in ("accelerate", "distributed"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0" if name == "lightning" else there(name)

    monkeypatch.setattr(doctor, "version", version)
    checks = found(tmp_path)
    declared = tomllib.loads((doctor.PINS.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(declared) == set(doctor.EXTRAS) == {name.removeprefix("extra ") for name in checks if "extra" in name}
    assert checks["extra hf"].ok is None
    assert checks["extra hf"].found == "callback for the Hugging Face Trainer: accelerate is missing"
    assert checks["extra hf"].remedy == f"optional: `{sys.executable} -m pip install 'interdash[hf]'`"
    assert "lightning is 1.0, needed is >=2.5" in checks["extra lightning"].found
    assert checks["extra cluster"].found.endswith("object stores: distributed is missing")


def test_every_package_is_pinned_and_every_pin_is_a_package():
    pins = {line.split("==")[0] for line in doctor._pins(doctor.PINS).splitlines() if "==" in line}
    text = (doctor.PINS.parent / "pyproject.toml").read_text()
    declared = text.partition("dependencies = [")[2].partition("]")[0]
    assert pins == {line.strip(' ",').partition(">")[0] for line in declared.split() if ">=" in line}


def test_folder_of_runs(no_chromium, ready_run, tmp_path):
    root = ready_run.path.parent
    (tmp_path / "empty").mkdir()
    assert found(tmp_path / "none")["runs"].found == f"there is no folder {tmp_path / 'none'}"
    assert "`interdash demo`" in found(tmp_path / "empty")["runs"].remedy
    assert found(ready_run.path)["runs"].remedy.endswith(f"--root {root}")
    assert found(tmp_path)["runs"].remedy == f"name that folder: --root {root}"
    ready_run.update(format=99)
    newer = found(root)["run tiny"]
    assert newer.ok is False and "has format 99" in newer.found and "pip install --upgrade interdash" in newer.remedy


def test_sealed_file_of_another_schema_and_torch_that_cannot_be_imported(no_chromium, ready_run, tmp_path):
    root, path = ready_run.path.parent, ready_run.path / "tiny.duckdb"
    seal(ready_run, path)
    assert "file tiny.duckdb" not in found(root)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
    check = found(root)["file tiny.duckdb"]
    assert check.ok is False and "has schema 1" in check.found
    assert check.remedy == f"`interdash load tiny --root {root}`"
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom interdash.commands import doctor\n"
        "for check in doctor._devices(): print(check.name, check.ok, check.found, check.remedy)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "torch False cannot be imported: libcudart.so.13" in said and "--force-reinstall torch" in said


def test_folder_that_cannot_be_written_on_a_full_disk(monkeypatch, no_chromium, tmp_path):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    check = found(tmp_path)["folder of runs"]
    assert check.ok is None and check.found == f"{tmp_path} cannot be written: Permission denied"
    assert "--root DIR or INTERDASH_ROOT" in check.remedy
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**10, 10**10, 10**8))
    check = found(tmp_path)["free disk"]
    assert (check.ok, check.found) == (False, "0.1 GB")
    assert (
        check.remedy.startswith(f"`interdash gc --delete --root {tmp_path}` deletes") and "1 GB should" in check.remedy
    )
