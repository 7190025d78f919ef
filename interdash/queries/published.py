"""Questions behind figures as papers of the field show them: strengths over all samples, outputs matched. No torch."""

import numpy as np
import pandas as pd

from interdash.queries import drilldown, vectors
from interdash.queries.sample import FITS, interactions, sample_numbers
from interdash.runs.files import DamagedFileError
from interdash.runs.run import Run
from interdash.store.database import Store

NEAREST = 64  # masked versions over which an error is averaged


def sorted_strengths(store: Store, run: Run, epoch: int, *, split: str = "all", label: int = -1) -> pd.DataFrame:
    """Returns the strengths |I| of every sample at an epoch, each sample's strongest first, by rank.

    Columns: rank, and in nats mean, low and high (the middle 95 %) over the samples, and tau (its mean); samples, and
    salient (their mean number of salient interactions). A sample whose part is damaged or gone is left out.
    """
    strengths, problems = [], []
    for sample in sample_numbers(store, run.name, epoch, split=split, label=label):
        every = vectors.strongest(store, run, epoch, sample)
        problems += every.attrs["problems"]
        if len(every):
            strengths.append(every["strength"].to_numpy())
    most = max(map(len, strengths), default=0)
    table = np.zeros((len(strengths), most))  # [samples, ranks]; what is not there is 0
    for row, strength in zip(table, strengths, strict=True):
        row[: len(strength)] = strength
    ranks = np.unique(np.round(np.geomspace(1, most, 200)).astype(int)) if most else np.array([], int)
    drawn = table[:, ranks - 1] if most else np.zeros((1, 0))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    about = store.ask(
        f"""
        SELECT avg(tau) AS tau, avg(salient) AS salient FROM (FROM samples WHERE run = $run)
        JOIN (FROM sample_epochs WHERE run = $run AND network = 'target' AND epoch = $epoch) USING (sample)
        WHERE {FITS}
        """,
        {"run": run.name, "epoch": epoch, "split": split, "label": label},
        details=("sample_epochs",),
    ).iloc[0]
    rows = pd.DataFrame({"rank": ranks, "mean": drawn.mean(0), "low": low, "high": high})
    rows = rows.assign(tau=about["tau"], samples=len(strengths), salient=about["salient"])
    rows.attrs["problems"] = problems
    return rows


def matching(store: Store, run: Run, epoch: int, sample: int) -> pd.DataFrame:
    """Returns the outputs on all masked versions of a sample, smallest first, and those rebuilt from salient ones.

    Columns: rank, and in nats v, rebuilt (v(x_∅) + what the salient interactions add), error (root mean square of their
    difference over the `NEAREST` nearest ranks).

    Source: emergence (arXiv 2305.01939), figures of matching errors.
    """
    try:
        outputs = vectors.outputs(store, run, epoch, sample)
    except (DamagedFileError, FileNotFoundError):
        outputs = pd.DataFrame({"subset": [], "v": []})
    if outputs.empty:
        return pd.DataFrame(columns=["rank", "v", "rebuilt", "error"])
    salient = interactions(store, run.name, epoch, sample)
    v = outputs["v"].to_numpy(np.float64)
    rebuilt = v[0] + drilldown.triggered(outputs, salient)
    order = np.argsort(v, kind="stable")
    squares = pd.Series(np.square(rebuilt - v)[order])
    error = np.sqrt(squares.rolling(NEAREST, center=True, min_periods=1).mean())
    return pd.DataFrame({"rank": np.arange(1, len(v) + 1), "v": v[order], "rebuilt": rebuilt[order], "error": error})
