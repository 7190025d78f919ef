"""Where theories put their turns in the runs of the study: the table, and the verdict on each two, beside chance."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from interdash.formulas.theories.agreement import by_chance, expected_steps, steps
from interdash.queries import agreement
from interdash.store.database import Store
from interdash.study.claims import FEW, MOST, NEAR
from interdash.study.words import Measures, between, number, table

CHANCE = 0.05  # so often at most may random turns be as often near as those of two theories that agree


def turns(store: Store, run: str) -> dict[str, dict[str, float | None]]:
    """Returns where each theory puts its turn, by name, with its interval; None where it finds none."""
    rows = agreement.turns(store, run).to_dict("records")
    columns = {"value": "epoch", "low": "low", "high": "high"}
    return {
        str(row["turn"]): {name: None if np.isnan(row[of]) else float(row[of]) for name, of in columns.items()}
        for row in rows
    }


def pairs(runs: Sequence[Measures]) -> list[dict[str, Any]]:
    """Returns for each two turns how far apart they lie, over the runs that have both, and the verdict.

    runs; steps and expected, mean distances in recorded epochs, of random epochs too; near and near_by_chance, how many
    runs have them within `NEAR`, and how many would by chance; tail, how often random epochs would in as many or more.
    """
    rows = []
    for first, second in combinations(agreement.TURNS, 2):
        both = [run for run in runs if all(_value(run, name) is not None for name in (first, second))]
        row: dict[str, Any] = {"first": first, "second": second, "runs": len(both)}
        if both:
            apart = [steps(run["recorded"], _value(run, first) or 0, _value(run, second) or 0) for run in both]
            counts = [len(run["recorded"]) for run in both]
            chances = np.array([by_chance(count, NEAR) for count in counts])
            near = sum(each <= NEAR for each in apart)
            row |= {"steps": float(np.mean(apart)), "expected": float(np.mean([*map(expected_steps, counts)]))}
            row |= {"near": near, "near_by_chance": float(chances.sum()), "tail": _tail(chances, near)}
        rows.append(row | {"verdict": verdict(row)})
    return rows


def verdict(row: dict[str, Any]) -> str:
    """Returns whether two theories agree: "agree", "partly", "not", "no more than chance", or "no run to ask"."""
    if not row["runs"]:
        return "no run to ask"
    share = row["near"] / row["runs"]
    if share <= FEW:
        return "not"
    if row["tail"] > CHANCE:
        return "no more than chance"
    return "agree" if share >= MOST else "partly"


def summary(runs: Sequence[Measures]) -> str:
    """Returns the section of the study's page, in Markdown: which theories turn near each other, beside chance."""
    known = [row for row in pairs(runs) if row["runs"]]
    near = [row for row in known if row["verdict"] in ("agree", "partly")]
    words = [
        f"*{row['first']}* and *{row['second']}* ({row['near']} of {row['runs']} runs within {NEAR} recorded epoch, "
        f"{number(row['near_by_chance'], 1)} by chance: {row['verdict']})"
        for row in sorted(near, key=lambda row: row["tail"])
    ]
    which = "; ".join(words) or "none"
    legend = _legend([name for name in agreement.TURNS if any(name in (row["first"], row["second"]) for row in near)])
    return (
        "## Do the theories agree where training turns?\n\n"
        f"Of {len(known)} pairs of turns found in the same runs, near each other more often than by chance: {which}. "
        f"{legend and f'({legend}.) '}Every turn with its interval, and every pair: "
        "[tables](study-tables.md#do-the-theories-agree-where-training-turns).\n"
    )


def section(runs: Sequence[Measures]) -> str:
    """Returns the section of the study's tables, in Markdown."""
    names = [name for name in agreement.TURNS if any(name in run["turns"] for run in runs)]
    places = [[run["run"], *(_place(run["turns"].get(name)) for name in names)] for run in runs]
    rows = [_cells(row) for row in pairs(runs) if row["runs"]]
    return (
        "## Do the theories agree where training turns?\n\n"
        f"Recorded epochs at which each theory puts its turn, with 95 % intervals ({_legend(names)}). "
        "“–”: not measured.\n\n"
        + table(["run", *names], places)
        + "\nEach two of them, over the runs that have both: mean distance in recorded epochs / of two random recorded "
        f"epochs; in how many runs they lie within {NEAR} / in how many random ones would; how often random ones would "
        f"in as many or more, runs taken as independent. They *agree* if they lie within {NEAR} in at least {MOST:.0%} "
        f"of the runs, do *not* if in at most {FEW:.0%}, else *partly*; neither if random ones are as often near in "
        f"more than {CHANCE:.0%}. 1|2 and 2|3 are of one curve, in this order; gap, testing loss and transfer all know "
        "the testing split; and seeds of one setting share their data.\n\n"
        + table(["turns", "runs", "apart / by chance", "near / by chance", "as often by chance", "verdict"], rows)
    )


def _legend(names: Sequence[str]) -> str:
    return "; ".join(f"*{name}*: {agreement.TURNS[name][1]}" for name in names)


def _cells(row: dict[str, Any]) -> list[str]:
    apart, near = f"{number(row['steps'], 1)} / {number(row['expected'], 1)}", number(row["near_by_chance"], 1)
    names, often = f"{row['first']} – {row['second']}", f"{row['tail']:.1%}"
    return [names, f"{row['runs']}", apart, f"{row['near']} / {near}", often, f"**{row['verdict']}**"]


def _value(run: Measures, name: str) -> float | None:
    return run["turns"].get(name, {}).get("value")


def _place(turn: dict[str, Any] | None) -> str:
    return "–" if turn is None else "not found" if turn["value"] is None else between(turn, 0, sign=False)


def _tail(chances: np.ndarray, least: int) -> float:
    """Returns the chance that at least so many of independent events happen, from the chance of each."""
    law = np.ones(1)
    for chance in chances:
        law = np.convolve(law, [1 - chance, chance])
    return float(law[least:].sum())
