"""Questions about the lives of interactions: what is preserved, emerged or removed since a start epoch; life lines.

Sums by sample are read from the labels, those of one start epoch at a time; measures and their intervals are computed
from them here. See `formulas.life_cycle`, which says what each measure is.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from interdash.formulas.bootstrap import group, mean_intervals
from interdash.formulas.flows import share
from interdash.formulas.life_cycle import CLASSES, GROUPS, MEANS, class_measures
from interdash.queries.dynamics import PLACE, with_enough
from interdash.queries.sample import FITS
from interdash.store.database import Store

LIFE_LINES = GROUPS[1:]
AT_A_TIME = 40  # epochs whose sums are in memory together: all of a run of 200 epochs and 1,000 samples take 0.5 GiB
STRONGEST = -1  # in the place of the epoch: each interaction as at its strongest


def life_epochs(store: Store, run: str) -> pd.DataFrame:
    """Returns the epochs over which lives were followed: epoch, is_start, ends_first_phase, vectors."""
    return store.ask("SELECT * EXCLUDE (run) FROM life_epochs WHERE run = ? ORDER BY epoch", [run])


def first_start(store: Store, run: str) -> int | None:
    """Returns the start epoch unless another is chosen: boundary 1|2, or else the first; None without lives."""
    rows = life_epochs(store, run).sort_values("ends_first_phase", ascending=False, kind="stable")
    return int(rows["epoch"].iloc[0]) if len(rows) else None


def life_classes(
    store: Store, run: str, *, start: int | None = None, split: str = "all", label: int = -1
) -> pd.DataFrame:
    """Returns the measures of what is preserved, emerged and removed since a start epoch (None: `first_start`).

    One row for each recorded epoch from there on and class, with what `class_measures` gives and the ends of 95 %
    bootstrap intervals over samples as `_low` and `_high`; and as `_share` generalizable, other and whole strength and
    number of all that is there at the epoch, of the removed of all that was there at the start.
    """
    start = first_start(store, run) if start is None else start
    rows = _measures(store, run, start, CLASSES, split, label)
    of_start = rows["life"] == "removed"
    for whole, part in (("strength", ""), ("number", "_number")):
        total = rows[whole].mask(of_start).groupby(rows["epoch"]).transform("sum")
        total = total.mask(of_start, total.where(rows["epoch"] == start).max())
        for name in (whole, f"generalizable{part}", f"other{part}"):
            rows[f"{name}_share"] = share(rows[name].to_numpy(), total.to_numpy())
    return rows


def life_lines(store: Store, run: str, *, split: str = "all", label: int = -1) -> pd.DataFrame:
    """Returns the measures of the interactions of each life line at each recorded epoch, as `life_classes` has them."""
    return _measures(store, run, -1, LIFE_LINES, split, label, f"epoch <> {STRONGEST}")


def life_line_totals(store: Store, run: str, *, split: str = "all", label: int = -1) -> pd.DataFrame:
    """Returns the measures of each life line, every interaction that is ever salient as at its strongest epoch."""
    return _measures(store, run, -1, LIFE_LINES, split, label, f"epoch = {STRONGEST}")


def explained_losses(store: Store, run: str, *, split: str = "all", label: int = -1) -> pd.DataFrame:
    """Returns the mean losses of the explained samples by epoch: train_loss, test_loss and their gap, nats."""
    return store.ask(
        f"""
        SELECT epoch, avg(loss) FILTER (split = 'train') AS train_loss, avg(loss) FILTER (split = 'test') AS test_loss,
            test_loss - train_loss AS gap
        FROM (FROM sample_epochs WHERE run = $run AND network = $network)
        JOIN (FROM samples WHERE run = $run) USING (sample)
        WHERE {FITS}
        GROUP BY epoch ORDER BY epoch
        """,
        {"run": run, "network": "target", "split": split, "label": label},
        details=("sample_epochs",),
    )


def sample_life_lines(store: Store, run: str, epoch: int, sample: int) -> pd.DataFrame:
    """Returns how many interactions of a sample have each life line: salient at an epoch, and at any: `ever`."""
    return store.ask(
        """
        SELECT life_line, count(i.subset) AS salient, count(l.subset) AS ever
        FROM (SELECT unnest($names) AS life_line, unnest(range(len($names))) AS place)
        LEFT JOIN (FROM lives WHERE run = $run AND sample = $sample) l USING (life_line)
        LEFT JOIN (FROM interactions WHERE run = $run AND network = 'target' AND epoch = $epoch AND sample = $sample) i
            ON i.type = l.type AND i.subset = l.subset
        GROUP BY life_line, place ORDER BY place
        """,
        {"run": run, "epoch": epoch, "sample": sample, "names": list(LIFE_LINES)},
        details=("lives", "interactions"),
    )


TABLE = (  # rows of `life_table`: words, measure, format, its level by chance
    ("interactions a sample", "number", ".3~g", None),
    ("strength (nats)", "strength", ".3~g", None),
    ("mean order", "order", ".2f", None),
    ("γ, generalizable by number", "count_power", ".0%", "count_chance"),
    ("generalizable share (H), by strength", "power", ".0%", "chance"),
    ("H above chance", "above_chance", ".0%", None),
    ("ρ, what does not cancel", "net_share", ".0%", None),
    ("training loss alone (nats)", "train_loss", ".3f", None),
    ("testing loss alone (nats)", "test_loss", ".3f", None),
    ("gap alone (nats)", "gap", ".3f", None),
)


def life_table(life_classes: pd.DataFrame, epoch: int) -> str:
    """Returns the measures of the three sets at an epoch as a Markdown table, each with its interval; "" before it.

    Args:
        life_classes: what `life_classes` gives.
        epoch: recorded, at the start epoch or later.
    """
    of = {str(row["life"]): row for row in life_classes.loc[life_classes["epoch"] == epoch].to_dict("records")}
    if not of:
        return ""
    start = life_classes["epoch"].min()
    head = f"| epoch {epoch} | preserved since {start} | emerged since | removed, as at {start} |\n|---|---|---|---|"
    lines = [
        f"| {words} | {' | '.join(_cell(of[life], measure, form, level) for life in CLASSES)} |"
        for words, measure, form, level in TABLE
    ]
    return "\n".join([head, *lines])


def notes_text(life_epochs: pd.DataFrame, phases: pd.DataFrame) -> str:
    """Returns what limits the lives that were followed, in words: dropped vectors, a boundary moved since; "" if none.

    Args:
        life_epochs: what `life_epochs` gives.
        phases: what `dynamics.phases` gives.
    """
    if life_epochs.empty:
        return ""
    notes, starts = [], life_epochs["is_start"].tolist()
    if unknown := life_epochs["vectors"].tolist().count(False):
        notes.append(f"At {unknown} epochs the full vectors are dropped: an interaction below τ counts as gone there.")
    if not all(starts):
        notes.append(f"{starts.count(True)} of {len(starts)} recorded epochs can be the start.")
    then = life_epochs.loc[life_epochs["ends_first_phase"], "epoch"].tolist()
    now = phases.loc[(phases["boundary"] == "1|2") & phases["epoch"].notna(), "epoch"].tolist()
    if then != [int(epoch) for epoch in now]:
        place = f"epoch {then[0]}" if then else "none"
        notes.append(f"Life lines know another boundary 1|2 ({place}); `interdash extract` makes them anew.")
    return " ".join(notes)


def _cell(row: Any, measure: str, form: str, level: str | None) -> str:
    value, low, high = (row[f"{measure}{end}"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return "–"
    form = form.replace("~", "")
    text = f"**{value:{form}}** ({low:{form}} to {high:{form}})" if not pd.isna(low) else f"**{value:{form}}**"
    text = text.replace("-", "−")
    return text if level is None else f"{text}, by chance {row[level]:{form}}"


def _measures(
    store: Store, run: str, start: int | None, names: Sequence[str], split: str, label: int, at: str = "true"
) -> pd.DataFrame:
    """Returns the measures of some classes or life lines at the epochs that fit a condition, with intervals."""
    of = {"run": run, "start": start}
    about = f"FROM life_sums WHERE run = $run AND start = $start AND {at}"
    epochs = store.ask(f"SELECT DISTINCT epoch {about} ORDER BY epoch", of, details=("life_sums",))["epoch"].tolist()
    blocks = [epochs[i : i + AT_A_TIME] for i in range(0, len(epochs), AT_A_TIME)] or [[]]
    parts = [_measures_at(store, of | {"epochs": block}, about, names, split, label) for block in blocks]
    return with_enough(pd.concat(parts, ignore_index=True))


def _measures_at(
    store: Store, of: dict[str, Any], about: str, names: Sequence[str], split: str, label: int
) -> pd.DataFrame:
    """Returns `_measures` at some epochs."""
    sums = ", ".join(name for name in MEANS if not name.startswith(("train", "test")))
    rows = store.ask(
        f"""
        SELECT epoch, life, place, {sums}, (split = 'train')::INTEGER AS train, (split = 'test')::INTEGER AS test,
            train * loss AS train_loss, test * loss AS test_loss
        FROM ({about} AND epoch IN (SELECT unnest($epochs)))
        JOIN (SELECT *, {PLACE} AS place FROM samples WHERE run = $run) USING (sample)
        WHERE {FITS}
        ORDER BY epoch, list_position($names, life), sample
        """,
        of | {"names": list(names), "split": split, "label": label},
        details=("life_sums",),
    )
    of_class = rows[["epoch", "life"]].drop_duplicates(ignore_index=True)
    values = rows[[*MEANS]].to_numpy(float)
    values = values.reshape(len(of_class), -1 if len(of_class) else 1, len(MEANS))
    measures = class_measures(values.mean(1))
    drawn = group(rows["place"].head(values.shape[1]) if len(rows) else None, values.shape[1])
    for name, ends in mean_intervals(class_measures, values, drawn).items():
        measures |= {f"{name}_low": ends[0], f"{name}_high": ends[1]}
    return of_class.assign(samples=values.shape[1], **measures)
