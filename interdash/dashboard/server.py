"""The dashboard's own process: its address, whether its port is free, and how it is started."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from interdash.home import HOME

HOST = "127.0.0.1"  # this machine only
PORT = 8501
APP = HOME / "app.py"


def address(port: int) -> str:
    """Returns the dashboard's address on this machine."""
    return f"http://{HOST}:{port}"


def is_free(port: int) -> bool:
    """Returns whether a server could listen on a port of this machine."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port just left is free
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
        return True


def occupant(port: int) -> str:
    """Returns in words who holds a port that is not free."""
    try:
        with urllib.request.urlopen(f"{address(port)}/_stcore/health", timeout=2) as answer:
            if answer.read(10) == b"ok":
                return f"a dashboard that answers already: open {address(port)}"
    except (OSError, ValueError):
        pass
    return "another program"


def next_free(port: int) -> int:
    """Returns the first free port above one that is taken."""
    return next((other for other in range(port + 1, port + 100) if is_free(other)), port + 100)


def check_port(port: int) -> None:
    """Raises OSError if a port is taken; the message names a free one."""
    if not is_free(port):
        raise OSError(f"port {port} is taken by {occupant(port)}; or choose another port: --port {next_free(port)}")


def start(roots: Sequence[Path], port: int) -> "subprocess.Popen[bytes]":
    """Returns the dashboard's process, which shows the runs of some folders.

    Raises:
        FileNotFoundError: the installation lacks the app.
        OSError: the port is taken.
    """
    if not APP.exists():
        raise FileNotFoundError(f"there is no {APP}, which comes with interdash; install it again")
    check_port(port)
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.address", HOST]
    command += ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command += ["--client.showErrorDetails", "none"]
    environment = os.environ | {"INTERDASH_ROOT": os.pathsep.join(str(root.resolve()) for root in roots)}
    return subprocess.Popen(command, env=environment, cwd=APP.parent)
