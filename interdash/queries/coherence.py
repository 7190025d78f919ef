"""Questions about the gradients of a run: their coherence by epoch, and that of each explained sample. No torch."""

from typing import Any

import pandas as pd

from interdash.formulas.correlation import rank_correlation
from interdash.store.database import Store

GROUPS = ("training, clean label", "training, noisy label", "training", "testing")


def coherence(store: Store, run: str, *, network: str = "target") -> pd.DataFrame:
    """Returns the measures of gradients by epoch: measure, part, layer, value, low, high, unit.

    measure: samples, m_coherence, rho, cosine, squares, contributing or transfer, see `formulas.coherence`; part: "" =
    all training samples, clean or noisy labels alone, "clean to noisy" and back (transfer), or the layer by number and
    name; layer: its number, 0 for no layer.
    """
    return store.ask(
        """
        SELECT epoch, split_part(measure, '/', 1) AS measure, regexp_replace(measure, '^[^/]*/?', '') AS part,
            coalesce(try_cast(regexp_extract(measure, '/layer ([0-9]+): ', 1) AS INTEGER), 0) AS layer,
            value, low, high, unit
        FROM measures
        WHERE run = $run AND network = $network AND source = 'gradients' AND value IS NOT NULL
        ORDER BY measure, layer, part, epoch
        """,
        {"run": run, "network": network},
    )


def sample_coherence(store: Store, run: str, epoch: int, *, network: str = "target") -> pd.DataFrame:
    """Returns one row an explained sample at an epoch: its gradient's coherence and its non-generalizable share.

    sample, split, label_name, noisy (null if not known), kind (one of `GROUPS`), coherence (mean cosine with the
    training samples' gradients), norm (nats), share (of its salient strength, that does not generalize). Samples
    without gradient or salient interactions are left out.
    """
    return store.ask(
        """
        SELECT sample, split, label_name, noisy,
            CASE WHEN split = 'test' THEN 'testing' WHEN noisy IS NULL THEN 'training'
                WHEN noisy THEN 'training, noisy label' ELSE 'training, clean label' END AS kind,
            coherence, norm, non_generalizable / salient_strength AS share
        FROM (FROM sample_gradients WHERE run = $run AND network = $network AND epoch = $epoch) g
        JOIN (FROM sample_epochs WHERE run = $run AND network = $network AND epoch = $epoch) e USING (sample)
        JOIN (FROM samples WHERE run = $run) s USING (sample)
        WHERE coherence IS NOT NULL AND salient_strength > 0 AND non_generalizable IS NOT NULL
        ORDER BY sample
        """,
        {"run": run, "network": network, "epoch": epoch},
        details=("sample_epochs",),
    )


def sample_correlation(store: Store, run: str, epoch: int, *, network: str = "target") -> pd.DataFrame:
    """Returns Spearman's ρ of coherence and non-generalizable share over samples: split, points, rho, low, high."""
    points: Any = sample_coherence(store, run, epoch, network=network)
    rows = []
    for split in ("train", "test"):
        some = points[points["split"] == split]
        x, y = some["coherence"].to_numpy(float), some["share"].to_numpy(float)
        rows.append((split, len(some), *rank_correlation(x, y)))
    return pd.DataFrame(rows, columns=["split", "points", "rho", "low", "high"])
