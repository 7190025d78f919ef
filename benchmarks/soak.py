"""Soak: extraction, loading, ten dashboard sessions and exports at once, killed and restarted at random.

    python -m benchmarks.soak data/runs/digits [--minutes 30] [--seed 0] [--port 8641]

Works on copies of a run, in a folder of its own. Two of them are extracted over and over, each time from nothing; the
third stays ready. Every process is killed with SIGKILL at random moments and started again; the server of the dashboard
is killed once, after a sixth of the time. Sessions are web sockets, as a browser's: they open page after page of all
three runs and read every answer. Checked:

* nothing lost: each time a copy is ready, every number of its parts and labels is, bit for bit, that of an undisturbed
  extraction;
* no row double: in every .duckdb that was loaded, keys are unique;
* no page answered with an exception, no process left a damaged file, and `verify` finds the copies whole at the end;
* memory and file handles of the server are flat: medians of the last quarter against those of the second.

Writes benchmarks/results/soak.json; ends with code 1 if anything was wrong.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from interdash.runs.parts import read_part
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state
from interdash.runs.tables import read_table
from interdash.store.database import open_sealed
from interdash.upkeep.verify import verify

HOME = Path(__file__).resolve().parent.parent
RESULTS = HOME / "benchmarks" / "results" / "soak.json"
CHANGING, STILL = ("soak-0", "soak-1"), "still"
SESSIONS = 10
PAGES = ("runs", "dynamics", "sample", "interactions", "removal", "theories", "compare", "figures")
KEYS = {
    "sample_epochs": "network, epoch, sample",
    "interactions": "network, epoch, sample, type, subset",
    "sample_orders": "network, epoch, sample, type, size",
    "strengths": "network, epoch, split, label, type",
    "units": "network, epoch, first",
}
GROWTH = 0.10  # of memory, between the second and the last quarter
HANDLES = 8  # more file handles


@dataclass
class Soak:
    """What goes on, and what was seen."""

    root: Path
    port: int
    rng: random.Random
    expected: dict[str, str]
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    samples: list[tuple[float, int, int, int]] = field(default_factory=list)  # seconds, bytes, handles, threads
    stop: threading.Event = field(default_factory=threading.Event)
    server: subprocess.Popen[bytes] | None = None
    server_started: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def wrong(self, what: str) -> None:
        """Notes something that must not be."""
        self.errors.append(what[:2000])
        print("WRONG:", what[:2000], flush=True)


def digests(run: Run) -> dict[str, str]:
    """Returns a hash over every number of each part and table of labels; computing times are left out.

    Drafts of killed processes are no labels: nothing reads them, and `interdash gc` deletes them.
    """
    found = {}
    for unit in plan(run).units:
        columns = read_part(run, unit)
        content = b"".join(columns[name].tobytes() for name in sorted(columns))
        found[unit.name] = hashlib.sha256(content).hexdigest()
    for path in sorted(run.labels_dir.glob("[a-z]*/*.parquet")):
        table = read_table(path)
        table = table.drop_columns(["seconds"]) if "seconds" in table.column_names else table
        content = json.dumps(table.to_pydict(), default=repr).encode()
        found[f"{path.parent.name}/{path.stem}"] = hashlib.sha256(content).hexdigest()
    return found


def empty(run: Run) -> None:
    """Takes parts and labels of a run away, each in one step."""
    for folder in (run.labels_dir, run.parts_dir):
        aside = run.path / f".{folder.name}-aside"
        with suppress(FileNotFoundError):
            os.replace(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def command(*arguments: str) -> subprocess.Popen[str]:
    """Returns an `interdash` command as a process in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "interdash", *arguments],
        cwd=HOME,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def survive(soak: Soak, what: str, arguments: tuple[str, ...], mean: float, group: bool = False) -> bool:
    """Returns whether a command ended by itself and well; else it was killed, after `mean` seconds on average."""
    process = command(*arguments)
    lease = soak.rng.expovariate(1 / mean)
    try:
        _, err = process.communicate(timeout=lease)
    except subprocess.TimeoutExpired:
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()  # the parent alone: its workers must not outlive it
        process.communicate()
        soak.counts[f"{what} killed"] += 1
        return False
    soak.counts[f"{what} ended"] += 1
    if process.returncode:
        soak.wrong(f"{what} ended with {process.returncode}: {err.strip().splitlines()[-1:]}")
    return process.returncode == 0


def extractions(soak: Soak, name: str) -> None:
    """Extracts a run from nothing, again and again."""
    run = Run.open(soak.root, name)
    while not soak.stop.is_set():
        workers = str(soak.rng.choice([0, 0, 2]))
        arguments = ("extract", name, "--root", str(soak.root), "--workers", workers)
        if survive(soak, "extraction", arguments, mean=25.0):
            compare(soak, run)
            empty(run)


def compare(soak: Soak, run: Run) -> None:
    """Checks that a run that is ready has every number of the undisturbed one, and no more."""
    found = digests(run)
    if found != soak.expected:
        different = [name for name in found.keys() | soak.expected.keys() if found.get(name) != soak.expected.get(name)]
        soak.wrong(f"{run.name} differs from the undisturbed run in {len(different)} files: {sorted(different)[:3]}")
    soak.counts["whole extractions compared"] += 1


def loads(soak: Soak) -> None:
    """Loads a run into a .duckdb file, again and again, and looks for rows that are there twice."""
    while not soak.stop.is_set():
        name = soak.rng.choice([*CHANGING, STILL])
        output = soak.root.parent / f"{name}.duckdb"
        arguments = ("load", name, "--root", str(soak.root), "--output", str(output))
        if not survive(soak, "load", arguments, mean=12.0) or not output.exists():
            continue
        store = open_sealed(output)
        for table, key in KEYS.items():
            sql = f"SELECT count(*), count(DISTINCT ({key})) FROM {table}"
            rows, distinct = store.fetch(sql)[0]
            if rows != distinct:
                soak.wrong(f"{table} of {name} has {rows} rows and {distinct} keys")
            soak.counts["rows looked at for doubles"] += rows
        store.close()


def exports(soak: Soak) -> None:
    """Writes tables, one HTML page and figures of the run that stays, again and again."""
    root, out = str(soak.root), str(soak.root.parent / "exports")
    asked = [
        ("export-data", STILL, "--root", root, "--output", out),
        ("export", STILL, "--root", root, "--html", "--out", out),
        ("export", STILL, "--root", root, "--figure", "order_strength", "--format", "svg", "--out", out),
    ]
    while not soak.stop.is_set():
        survive(soak, "export", soak.rng.choice(asked), mean=20.0, group=True)
        soak.stop.wait(2)


def serve(soak: Soak) -> None:
    """Starts the server and waits until it answers."""
    environment = os.environ | {"INTERDASH_ROOT": str(soak.root)}
    with open(soak.root.parent / "server.log", "ab") as log:
        soak.server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(soak.port)],
            cwd=HOME,
            env=environment,
            stdout=log,
            stderr=log,
        )
    soak.server_started = time.monotonic()
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{soak.port}/_stcore/health", timeout=2):
            return
        time.sleep(0.2)
    raise RuntimeError("the server does not answer")


def session(soak: Soak, number: int) -> None:
    """Opens page after page, on one connection for a while, then on a new one."""
    rng = random.Random(soak.rng.random() + number)
    while not soak.stop.is_set():
        try:
            address = f"ws://127.0.0.1:{soak.port}/_stcore/stream"
            with connect(address, subprotocols=["streamlit"], max_size=None, open_timeout=30) as socket:  # pyright: ignore[reportArgumentType]
                for _ in range(rng.randint(3, 15)):
                    if soak.stop.is_set():
                        break
                    visit(soak, socket, rng)
                    soak.stop.wait(rng.uniform(2, 8))
        except (OSError, WebSocketException, TimeoutError) as error:
            if soak.stop.is_set() or time.monotonic() - soak.server_started < 60:  # the server was killed
                soak.counts["connections lost with the server"] += 1
            else:
                soak.wrong(f"session {number} lost its connection: {error!r}")
            soak.stop.wait(2)


def visit(soak: Soak, socket: Any, rng: random.Random) -> None:
    """Asks for one page and reads until its script has ended."""
    run, page = rng.choice([*CHANGING, STILL, STILL]), rng.choice(PAGES)
    ask = BackMsg()
    ask.rerun_script.query_string = f"run={run}&sample={rng.randrange(40)}"
    ask.rerun_script.page_name = page
    start = time.perf_counter()
    socket.send(ask.SerializeToString())
    while True:
        message = ForwardMsg.FromString(socket.recv(timeout=120))
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            found = message.delta.new_element.exception
            soak.wrong(f"page {page} of {run}: {found.type}: {found.message} {' '.join(found.stack_trace[-3:])}")
        if kind == "script_finished":
            soak.latencies.append(time.perf_counter() - start)
            soak.counts["pages answered"] += 1
            return


def watch(soak: Soak, start: float) -> None:
    """Notes memory, handles and threads of the server."""
    while not soak.stop.wait(5):
        with suppress(psutil.Error):
            assert soak.server is not None
            process = psutil.Process(soak.server.pid)
            row = (process.memory_info().rss, process.num_fds(), process.num_threads())
            soak.samples.append((time.monotonic() - start, *row))


def flatness(samples: list[tuple[float, int, int, int]], seconds: float) -> dict[str, Any]:
    """Returns the medians of memory, handles and threads in the second and the last quarter."""
    made: dict[str, Any] = {}
    for i, (name, unit) in enumerate((("memory_mb", 1e6), ("file_handles", 1), ("threads", 1)), start=1):
        second = [row[i] / unit for row in samples if 0.25 * seconds <= row[0] < 0.5 * seconds]
        last = [row[i] / unit for row in samples if row[0] >= 0.75 * seconds]
        made[name] = {
            "second_quarter": round(statistics.median(second)),
            "last_quarter": round(statistics.median(last)),
        }
        made[name]["most"] = round(max(row[i] / unit for row in samples))
    return made


def prepare(source: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """Returns the folder of copies, and what an undisturbed extraction makes."""
    root = folder / "runs"
    for name in (STILL, *CHANGING):
        ignored = shutil.ignore_patterns("parts", "labels", "*.duckdb", ".*")
        shutil.copytree(source, root / name, ignore=ignored)
    process = command("extract", STILL, "--root", str(root), "--workers", "0")
    _, err = process.communicate()
    if process.returncode:
        raise RuntimeError(err)
    return root, digests(Run.open(root, STILL))


def main() -> None:
    """Runs the soak and writes its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a small run that is trained, with a baseline")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, default=8641)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    seconds = 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        root, expected = prepare(options.source, Path(folder))
        soak = Soak(root, options.port, random.Random(options.seed), expected)
        serve(soak)
        start = time.monotonic()
        threads = [threading.Thread(target=extractions, args=(soak, name)) for name in CHANGING]
        threads += [threading.Thread(target=loads, args=(soak,)), threading.Thread(target=exports, args=(soak,))]
        threads += [threading.Thread(target=session, args=(soak, i)) for i in range(SESSIONS)]
        threads += [threading.Thread(target=watch, args=(soak, start))]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 6)
        assert soak.server is not None
        soak.server_started = time.monotonic()
        soak.server.kill()
        soak.server.wait()
        soak.counts["server killed"] += 1
        serve(soak)
        time.sleep(max(0.0, start + seconds - time.monotonic()))
        soak.stop.set()
        for thread in threads:
            thread.join()
        assert soak.server is not None
        soak.server.terminate()
        soak.server.wait()
        finish(soak)
        result = report(soak, seconds, options.seed)
        log = (Path(folder) / "server.log").read_text(errors="replace")
    result["tracebacks in the server's log"] = log.count("Traceback (most recent call last)")
    if result["tracebacks in the server's log"]:
        print(log[-4000:])
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    sys.exit(not result["holds"])


def finish(soak: Soak) -> None:
    """Ends every run undisturbed, and checks each a last time."""
    for name in CHANGING:
        process = command("extract", name, "--root", str(soak.root), "--workers", "0")
        _, err = process.communicate()
        run = Run.open(soak.root, name)
        if process.returncode or state(run).word != "ready":
            soak.wrong(f"{name} is not ready at the end: {err}")
        compare(soak, run)
    for name in (STILL, *CHANGING):
        found = verify(Run.open(soak.root, name))
        if not found.ok:
            soak.wrong(f"{name}: {found.damaged + found.missing}")
        soak.counts["files verified at the end"] += found.checked


def report(soak: Soak, seconds: float, seed: int) -> dict[str, Any]:
    """Returns the results as JSON."""
    flat = flatness(soak.samples, seconds)
    memory, handles = flat["memory_mb"], flat["file_handles"]
    is_flat = (
        memory["last_quarter"] <= (1 + GROWTH) * memory["second_quarter"]
        and handles["last_quarter"] <= handles["second_quarter"] + HANDLES
    )
    ordered = sorted(soak.latencies)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "minutes": seconds / 60,
        "seed": seed,
        "sessions": SESSIONS,
        "counts": dict(sorted(soak.counts.items())),
        "wrong": soak.errors,
        "server": flat,
        "page_p50_s": round(ordered[len(ordered) // 2], 2),
        "page_p95_s": round(ordered[int(0.95 * len(ordered))], 2),
        "flat": is_flat,
        "holds": is_flat and not soak.errors,
    }


if __name__ == "__main__":
    main()
