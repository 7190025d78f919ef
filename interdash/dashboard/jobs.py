"""Background jobs: commands of `interdash` that run on while nobody looks, each with its log and its end in a folder.

    <root>/.jobs/<id>/
      job.json      what was asked: title, run, commands as lists of arguments
      process.json  process id and start time of the job
      log           what the commands print
      exit          exit code, or "cancelled"; written last

A job is a process of its own, in its own group: it survives a reload of the page and the end of the server, and its
state is read from the folder by any server. Extraction and training go on where they stopped, so that "again" resumes.
No torch, no Streamlit.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from interdash.runs.files import check_name, write_atomically

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
_PERCENT = re.compile(r"^(\w[\w -]*):\s+(\d+)%\|.*?\[(?:[\d:]+)<([\d:?]+)")
_PROMPT = "$ interdash "
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_started: dict[str, "subprocess.Popen[bytes]"] = {}  # of this server, so that their ends are collected


@dataclass(frozen=True)
class Job:
    """One job, as its folder tells it."""

    id: str
    title: str
    run: str
    commands: tuple[tuple[str, ...], ...]
    folder: Path
    state: str  # running, done, failed, cancelled, lost

    @property
    def is_running(self) -> bool:
        """Whether it is at work."""
        return self.state == "running"


@dataclass(frozen=True)
class Progress:
    """How far the command is that runs now."""

    what: str  # training, baseline, extracting; empty before the first bar
    share: float
    remaining: str  # "01:23", or "?"
    last: str  # last line of the log
    step: int = 0  # number of the command, from 1; 0 before the first

    def text(self, job: Job) -> str:
        """Returns how far the job is: "step 2 of 3, baseline: training 40 %, about 00:12 left"."""
        if not self.step:
            return "starting …"
        step = f"step {self.step} of {len(job.commands)}, {job.commands[self.step - 1][0]}: "
        left = "" if "?" in self.remaining else f", about {self.remaining} left"
        return f"{step}{self.what} {self.share:.0%}{left}" if self.what else f"{step}starting …"


def start(root: Path, title: str, run: str, commands: Sequence[Sequence[str]]) -> Job:
    """Returns the job that now runs `python -m interdash` with each list of arguments in turn, until one fails.

    Raises:
        ValueError: the run's name is not safe, there is no command, or a job of that run is at work.
    """
    check_name(run)
    if not commands:
        raise ValueError("a job needs a command")
    if busy := [job for job in jobs(root) if job.is_running and job.run == run]:
        raise ValueError(f"a job of run {run!r} is at work ({busy[0].title}); wait for it, or cancel it")
    name = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)
    folder = root / ".jobs" / name
    folder.mkdir(parents=True)
    order = {"title": title, "run": run, "commands": [list(command) for command in commands]}
    write_atomically(folder / "job.json", json.dumps(order, ensure_ascii=False).encode())
    environment = os.environ | {"INTERDASH_ROOT": str(root.resolve()), "PYTHONUNBUFFERED": "1"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "interdash.dashboard.jobs", str(folder.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    _started[name] = process
    _note_process(folder, process.pid)
    return open_job(root, name)


def again(root: Path, name: str) -> Job:
    """Returns a new job with the commands of an old one; what that one finished is not done twice."""
    old = open_job(root, name)
    return start(root, old.title, old.run, old.commands)


def cancel(root: Path, name: str, *, patience: float = 10.0) -> Job:
    """Returns the job after ending its processes, politely first.

    What it has finished is kept.
    """
    job = open_job(root, name)
    if not job.is_running:
        return job
    write_atomically(job.folder / "cancelled", b"")
    number = json.loads((job.folder / "process.json").read_text())["pid"]
    for force in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(number, force)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and _is_alive(job.folder):
            time.sleep(0.05)
        if not _is_alive(job.folder):
            break
    return open_job(root, name)


def jobs(root: Path) -> list[Job]:
    """Returns the jobs of a folder of runs, newest first; folders that are no jobs are passed over."""
    names = sorted((path.name for path in (root / ".jobs").glob("*") if _ID.fullmatch(path.name)), reverse=True)
    return [open_job(root, name) for name in names if (root / ".jobs" / name / "job.json").exists()]


def open_job(root: Path, name: str) -> Job:
    """Returns a job by its id.

    Raises:
        ValueError: there is no such job.
    """
    folder = root / ".jobs" / name
    if not _ID.fullmatch(name) or not (folder / "job.json").exists():
        text = name if len(name) <= 60 else f"{name[:60]}…"
        raise ValueError(f"there is no job {text!r} in {root}")
    order = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    commands = tuple(tuple(command) for command in order["commands"])
    return Job(name, order["title"], order["run"], commands, folder, _state(folder))


def log(job: Job, last: int = 6000) -> str:
    """Returns the end of a job's log, with only the last state of each progress bar."""
    path = job.folder / "log"
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 20 * last))
        text = file.read().decode(errors="replace")
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in _ESCAPES.sub("", text).split("\n")]
    return "\n".join(lines)[-last:].strip()


def progress(job: Job) -> Progress:
    """Returns how far a job is, from the last progress bar in its log."""
    lines = [line for line in log(job).splitlines() if line.strip()]
    commands = [" ".join(command) for command in job.commands]
    what, share, remaining, step = "", 0.0, "?", 0
    for line in reversed(lines):
        if line.startswith(_PROMPT):  # a bar above is of the command before
            text = line.removeprefix(_PROMPT)
            step = commands.index(text) + 1 if text in commands else 0
            break
        if not what and (bar := _PERCENT.match(line)):
            what, share, remaining = bar[1], int(bar[2]) / 100, bar[3]
    return Progress(what, share, remaining, lines[-1] if lines else "", step)


def can_go_on(job: Job, later: Sequence[Job], *, is_ready: bool) -> bool:
    """Returns whether starting a job's commands once more can do anything.

    Args:
        job: one that may have ended.
        later: the jobs started after it.
        is_ready: whether nothing is missing in its run.
    """
    done = any(other.run == job.run and other.commands == job.commands for other in later)
    makes_ready = job.commands[-1][0] == "extract" and "--count" not in job.commands[0]
    return job.state not in ("running", "done") and not done and not (is_ready and makes_ready)


def _state(folder: Path) -> str:
    if (folder / "exit").exists():
        if (process := _started.pop(folder.name, None)) is not None:
            process.wait(10)  # it has only to leave
        code = (folder / "exit").read_text().strip()
        if (folder / "cancelled").exists() and code != "0":
            return "cancelled"
        return "done" if code == "0" else "failed"
    if _is_alive(folder):
        return "running"
    return "cancelled" if (folder / "cancelled").exists() else "lost"


def _is_alive(folder: Path) -> bool:
    if (process := _started.get(folder.name)) is not None and process.poll() is not None:
        return False
    try:
        noted = json.loads((folder / "process.json").read_text())
        running = psutil.Process(noted["pid"])
        same = abs(running.create_time() - noted["started"]) < 2  # process ids come back
        return same and running.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return False


def _note_process(folder: Path, number: int) -> None:
    try:
        started = psutil.Process(number).create_time()
    except psutil.Error:  # it has ended already
        started = time.time()
    write_atomically(folder / "process.json", json.dumps({"pid": number, "started": started}).encode())


def _work(folder: Path) -> int:
    """Returns the exit code of a job's commands; runs as the job's own process."""
    code = 1
    try:
        for command in json.loads((folder / "job.json").read_text(encoding="utf-8"))["commands"]:
            print(f"{_PROMPT}{' '.join(command)}", flush=True)
            code = subprocess.run([sys.executable, "-m", "interdash", *command], check=False).returncode
            if code:
                break
    finally:
        write_atomically(folder / "exit", f"{code}\n".encode())
    return code


if __name__ == "__main__":
    sys.exit(_work(Path(sys.argv[1])))
