"""How far a run is: recording, extracting, partial (what is missing, and the command), or ready. No torch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from interdash.config import RunConfig
from interdash.runs.boundaries import boundaries
from interdash.runs.files import DamagedFileError
from interdash.runs.plan import plan
from interdash.runs.recorded_measures import first_epochs
from interdash.runs.run import Run, read_all


@dataclass(frozen=True)
class State:
    """How far a run is."""

    word: str  # recording, extracting, partial or ready
    missing: tuple[str, ...]  # in words, each with the command that helps; of a ready run that no G is known
    done: int  # samples extracted, summed over networks and epochs
    total: int
    labelled: int  # networks and epochs with labels

    @property
    def text(self) -> str:
        """One line for people: "ready", "extracting 37 %", "partial: no baseline network; …"."""
        if self.word == "extracting":
            return f"extracting {100 * self.done // max(self.total, 1)} %"
        return f"{self.word}: {'; '.join(self.missing)}" if self.missing else self.word


def is_extracting(run: Run) -> bool:
    """Returns whether an extraction of the run is at work: in any process of this machine, or one that shares locks."""
    path = run.parts_dir / "locks" / "extraction.lock"
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a read-only folder: its locks can be looked at, not taken
        return _is_locked(path)


def check_not_extracting(run: Run) -> None:
    """Raises a RuntimeError if an extraction of the run is at work."""
    if is_extracting(run):
        raise RuntimeError(f"an extraction of {run.name!r} is at work; wait for its end, or cancel it")


def _is_locked(path: Path) -> bool:
    """Returns whether a process holds a lock file, which is only read."""
    try:
        import fcntl

        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return False


def state(run: Run) -> State:
    """Returns how far a run is, from its folder alone; no part is read."""
    if not run.is_finished("target") or not run.has_explained():
        epochs = run.checkpoint_epochs("target")
        missing = f"{len(epochs)} checkpoints so far; `interdash train {run.name}` goes on with a built-in run"
        return State("recording", (missing,), 0, 0, 0)
    planned = plan(run)
    done, missing = planned.finished(), list(planned.problems)
    if not run.checkpoint_epochs("target"):
        missing.append(
            f"no checkpoint in {run.path / 'checkpoints' / 'target'}; copy the run again with its checkpoints, or make "
            "it again under another name with `interdash train` or `interdash import`"
        )
    without_g = run.config.is_of_user and not planned.baselines
    if not without_g and len(planned.baselines) < planned.wanted:
        missing.append(
            f"{len(planned.baselines)} of {planned.wanted} baseline networks; "
            f"`interdash baseline {run.name} --count {planned.wanted}` trains them"
        )
    n_done, n_all = (sum(unit.stop - unit.first for unit in group) for group in (done, planned.units))
    if n_done < n_all:
        missing.append(f"{100 * (n_all - n_done) / n_all:.0f} % of the units; `interdash extract {run.name}` goes on")
    folders = [planned.folder(*pair) for pair in planned.pairs]
    labelled = sum(folder is not None and folder.exists() for folder in folders)
    if n_done == n_all and labelled < len(folders):
        missing.append(f"labels of {len(folders) - labelled} epochs; `interdash extract {run.name}` makes them")
    word = "extracting" if n_done < n_all and is_extracting(run) else "partial" if missing else "ready"
    if without_g:
        missing.append(f"without G, for there is no baseline network; `interdash baseline {run.name}` trains one")
    return State(word, tuple(missing), n_done, n_all, labelled)


def summarise(run: Run, epochs: pd.DataFrame, phases: Sequence[dict[str, Any]] = ()) -> None:
    """Writes into `run.json` what a list of runs shows, so that listing a thousand runs reads no more than that.

    Args:
        run: the run.
        epochs: what `dynamics.epochs` gives for it.
        phases: what `find_boundaries` gives for it.
    """
    now = state(run)
    curves = {
        name: [None if pd.isna(value) else value for value in epochs[name].tolist()]
        for name in ("epoch", "train_loss", "test_loss", "generalization_power")
    }
    power = [
        (value, epoch) for value, epoch in zip(curves["generalization_power"], curves["epoch"], strict=True) if value
    ]
    peak, peak_epoch = max(power, default=(None, None), key=lambda pair: pair[0])
    at_peak = epochs.loc[epochs["epoch"] == peak_epoch, ["chance", "above_chance"]].to_dict("records")
    summary: dict[str, Any] = {
        **asdict(now),
        "text": now.text,
        "samples": run.n_explained(),
        "train_loss": next(reversed(curves["train_loss"]), None),
        "test_loss": next(reversed(curves["test_loss"]), None),
        "diverged": first_epochs(run.not_finite()),
        "peak_generalization_power": peak,
        "peak_epoch": peak_epoch,
        **{name: None if pd.isna(value) else value for row in at_peak for name, value in row.items()},
        "curves": curves,
        "phases": list(phases),
    }
    run.update(summary=summary)


def overview(roots: Sequence[Path | str]) -> pd.DataFrame:
    """Returns one row a run of several folders: what it is, how far it is, final losses, the peak of H, small curves.

    A folder that is no readable run has its message in `problem`. Extracted runs are read from the summary that
    `interdash extract` leaves in `run.json`; the others are looked at.
    """
    rows = []
    for root in roots:
        for run, manifest, problem in read_all(root):
            try:
                if problem is not None:
                    raise problem
                rows.append(_row(run, manifest))
            except (OSError, ValueError, KeyError, TypeError) as error:
                rows.append({"run": run.name, "root": str(root), "problem": str(error)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def losses(run: Run) -> dict[str, Any]:
    """Returns the target's last losses and their curves, for a run without a summary; none if damaged."""
    path = run.path / "metrics.jsonl"
    with suppress(DamagedFileError, OSError):  # of which the run's own page tells
        return _losses(run, path.stat().st_mtime_ns)
    return {}


@lru_cache(maxsize=2000)
def _losses(run: Run, changed: int) -> dict[str, Any]:
    rows = run.metrics().query("network == 'target'")
    curves = {
        name: [None if pd.isna(value) else value for value in rows[name].tolist()]
        for name in ("epoch", "train_loss", "test_loss")
    }
    last = {name: next(reversed(curves[name]), None) for name in ("train_loss", "test_loss")}
    return {**last, "curves": curves}


COLUMNS = (
    *("run", "root", "purpose", "dataset", "architecture", "kind", "n_variables", "label_noise", "epochs", "seed"),
    *("samples", "state", "text", "missing", "done", "total", "train_loss", "test_loss", "gap"),
    *("peak_generalization_power", "peak_epoch", "boundary_12", "boundary_23", "curves", "tags", "notes", "created"),
    *("problem", "chance", "above_chance", "config"),
)
SUMMED_UP = (  # of these, what the summary says
    *("text", "done", "total", "train_loss", "test_loss", "curves"),
    *("peak_generalization_power", "peak_epoch", "chance", "above_chance"),
)


def _row(run: Run, manifest: dict[str, Any]) -> dict[str, Any]:
    config = RunConfig.from_json(manifest["config"])
    summary = manifest.get("summary")
    if not summary or summary["word"] != "ready":
        now = state(run)
        summary = {**losses(run), **(summary or {}), **asdict(now), "text": now.text}
    train_loss, test_loss = summary.get("train_loss"), summary.get("test_loss")
    places = {row["boundary"]: row["epoch"] for row in boundaries(manifest)}
    return {
        "run": run.name,
        "root": str(run.path.parent),
        "purpose": config.purpose,
        "dataset": config.data.dataset,
        "architecture": config.network.architecture,
        "kind": config.masking.kind,
        "n_variables": config.masking.n_variables,
        "label_noise": config.data.label_noise,
        "epochs": config.training.epochs,
        "seed": config.training.seed,
        "config": config.to_json(),
        "samples": summary.get("samples") or (run.n_explained() if run.has_explained() else 0),
        "state": summary["word"],
        "missing": list(summary["missing"]),
        **{name: summary.get(name) for name in SUMMED_UP},
        "gap": None if train_loss is None or test_loss is None else test_loss - train_loss,
        "boundary_12": places.get("1|2"),
        "boundary_23": places.get("2|3"),
        "tags": manifest.get("tags", []),
        "notes": manifest.get("notes", ""),
        "created": manifest.get("created", ""),
        "problem": None,
    }
