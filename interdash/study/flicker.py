"""What flicker around τ counts for: flows with what is not salient taken as 0, against those with true values."""

from typing import Any

import numpy as np
import pandas as pd

from interdash.labelling.boundaries import ON_PHASES, find_boundaries
from interdash.labelling.flows import flow_tables, labelled_pairs
from interdash.runs import samples
from interdash.runs.plan import plan
from interdash.runs.run import Run


def flicker(run: Run) -> dict[str, Any]:
    """Returns both flows of a run whose vectors are kept: what is learned in all, in nats a sample, and the boundaries.

    Under "true" an interaction counts with its value at the other epoch, salient or not; under "salient" with 0 there.
    """
    planned = plan(run)
    pairs = labelled_pairs(planned)
    found: dict[str, Any] = {}
    for name, vectors in (("true", True), ("salient", False)):
        tables = flow_tables(planned, pairs, vectors=vectors)
        flows, each = (tables[table].to_pandas() for table in ("flows", "baseline_flows"))
        found[name] = {"learned": float(flows["learned"].sum() / flows["sample"].nunique())}
        found[name] |= {row["boundary"]: row["found"] for row in find_boundaries(_rows(run, flows, each))}
    return found


def _rows(run: Run, flows: pd.DataFrame, each: pd.DataFrame) -> pd.DataFrame:
    """Returns what `find_boundaries` reads: sums over both types, of each baseline, with the strata of the samples."""
    keys = ["epoch_from", "epoch_to", "sample", "type"]
    if not each.empty:
        flows = flows[[*keys, "learned"]].merge(each, on=keys)
    sums: Any = (
        flows.assign(baseline=flows.get("baseline", ""))
        .groupby(["epoch_from", "epoch_to", "sample", "baseline"], as_index=False)[[*ON_PHASES]]
        .sum()
    )
    strata = samples.strata(run.path)
    return sums.assign(stratum=np.nan if strata is None else strata[sums["sample"].to_numpy()])
