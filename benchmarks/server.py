"""The dashboard's process as benchmarks start it, and what it takes of the machine's memory."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent


@dataclass
class Server:
    """A running dashboard."""

    process: subprocess.Popen
    address: str
    started: float  # seconds until it answered

    def gib(self, what: str) -> float:
        """Returns VmRSS (now) or VmHWM (at most) of the process and its children, in GiB."""
        total, waiting = 0, [self.process.pid]
        while waiting:
            pid = waiting.pop()
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(status.partition(f"{what}:")[2].split()[0])
            waiting += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return round(total / 2**20, 2)


@contextmanager
def serving(roots: list[Path], port: int, script: str = "app.py") -> Iterator[Server]:
    """Yields a dashboard, or another Streamlit page, that was just started."""
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    environment = os.environ | {"INTERDASH_ROOT": os.pathsep.join(str(root.resolve()) for root in roots)}
    environment |= {"OMP_NUM_THREADS": "2"}
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=HOME, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).read()
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - start > 60:
                    raise RuntimeError(f"the dashboard did not start on port {port}; is the port free?") from None
                time.sleep(0.02)
        yield Server(process, address, time.perf_counter() - start)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
