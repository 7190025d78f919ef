"""Executes every step of the Dockerfile in a folder that holds a bare Debian, where no Docker engine is at hand.

    debootstrap --variant=minbase --include=python3-venv,ca-certificates bookworm /tmp/rootfs
    python -m benchmarks.docker_steps /tmp/rootfs

Needs root. A virtual environment of Debian's Python 3.11 stands for the base image; COPY, RUN, USER, ENV and WORKDIR
are carried out in order through chroot; at the end of each stage its CMD is started and its HEALTHCHECK asked. What
this does not show: layers, the base image itself, the isolation of a container, and `docker build` reading the file.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds for a health check to succeed


def steps(text: str) -> list[tuple[str, str]]:
    """Returns instruction and arguments of each line of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in joined.splitlines()]


def sent(root: Path = ROOT) -> list[str]:
    """Returns the tracked files that .dockerignore lets into the build."""
    ignored = (root / ".dockerignore").read_text().split()
    files = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split("\n")

    def kept(name: str) -> bool:
        parents = [name, *map(str, Path(name).parents)]
        return not any(fnmatch(part, rule.removeprefix("**/")) for rule in ignored for part in parents)

    return [name for name in files if name and kept(name)]


class Stage:
    """The state of a build: what USER, ENV and WORKDIR have set."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.user, self.workdir = folder, "0", "/"
        self.env = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "HTTP", "SSL", "http"))}
        self.env |= {"PATH": "/opt/base/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        self.env |= {"DEBIAN_FRONTEND": "noninteractive"}
        self.command: dict[str, str] = {}

    def start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Returns a process inside the folder."""
        ids = ["--userspec", f"{self.user}:{self.user}"] if self.user != "0" else []
        home = {"HOME": "/home/interdash"} if self.user != "0" else {}
        inside = f"cd {self.workdir} && exec " + " ".join(map(_quoted, command))
        return subprocess.Popen(["chroot", *ids, str(self.folder), "/bin/sh", "-c", inside], env=self.env | home)

    def do(self, instruction: str, rest: str) -> None:
        """Carries out one instruction."""
        if instruction == "RUN" and self.start(["/bin/sh", "-c", rest]).wait() != 0:
            raise SystemExit(f"failed: RUN {rest}")
        if instruction == "COPY":
            source, target = rest.split()
            for name in sent() if source == "." else [source]:
                path = self.folder / self.workdir.lstrip("/") / target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path)
        if instruction == "ENV":
            self.env |= dict(pair.split("=", 1) for pair in rest.split())
        if instruction == "WORKDIR":
            self.workdir = rest
            (self.folder / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        if instruction == "USER":
            self.user = rest
        if instruction in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
            self.command[instruction] = rest

    def check(self) -> float:
        """Returns the seconds from the start of the server until the health check succeeds."""
        server = self.start(json.loads(self.command["ENTRYPOINT"]) + json.loads(self.command["CMD"]))
        check, begun = json.loads(self.command["HEALTHCHECK"].partition("CMD ")[2]), time.monotonic()
        try:
            while self.start(check).wait() != 0:
                if time.monotonic() - begun > PATIENCE or server.poll() is not None:
                    raise SystemExit("failed: the health check")
                time.sleep(1)
            return time.monotonic() - begun
        finally:
            server.terminate()
            server.wait(30)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def main() -> None:
    """Carries out the Dockerfile in the folder that the command line names."""
    folder = Path(sys.argv[1])
    stage = Stage(folder)
    if stage.start(["/bin/sh", "-c", "test -x /opt/base/bin/pip || python3 -m venv /opt/base"]).wait() != 0:
        raise SystemExit("failed: a virtual environment instead of the base image")
    first = True
    for instruction, rest in steps((ROOT / "Dockerfile").read_text(encoding="utf-8")):
        print(f"--- {instruction} {rest[:100]}", flush=True)
        if instruction == "FROM" and not first:
            print(f"health check after {stage.check():.0f} s", flush=True)
        first = False
        stage.do(instruction, rest)
    print(f"health check after {stage.check():.0f} s: every step was executed", flush=True)


if __name__ == "__main__":
    main()
