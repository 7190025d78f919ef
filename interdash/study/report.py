"""The text of the study: every number and verdict comes from the measures; the prose around them only explains."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from interdash.study.claims import CLAIMS, FEW, MOST, above, below, counts, verdict
from interdash.study.first_phase import SOLVERS
from interdash.study.measures import HIGH, LOW

Measures = dict[str, Any]

HEAD = """# Study: what the built-in runs show of the papers' claims

Rebuilt by `make study`; this page is its output. Every number and every verdict is computed from the runs; the rules
stand beside them. Papers by short name: *three-phase* arXiv 2505.06993, *two-phase* 2405.10262, *symbolic-dynamics*
2407.19198, *interactive-concepts* 2302.13091, *revisiting* 2502.10162. Definitions: [method.md](method.md).
"""


def report(runs: Sequence[Measures], first: Sequence[Measures], facts: dict[str, Any]) -> str:
    """Returns the Markdown text.

    Args:
        runs: what `measures.measure` gives for each run, with `case` and `seed` besides.
        first: what `first_phase.first_phase` gives, for some of them.
        facts: versions, samples, networks, labels, settings and minutes, as `__main__.facts` gives them.
    """
    sections = [HEAD, _runs(runs, facts), _claims(runs), _phases(runs), _removal(runs), _orders(runs), _seeds(runs)]
    return "\n".join([*sections, _first_phase(first), LIMITS])


LIMITS = """## What this study cannot say

- Small networks and 300 to 1,000 training samples. The papers' networks and data are larger.
- The seeds change weights and batches; data, random labels and explained samples stay the same. Intervals are over
  explained samples, 95 %, and not over seeds or data.
- G asks one baseline network, trained on the testing split. With another seed of it some labels flip:
  `interdash robustness RUN` measures that floor.
- Removal is post hoc: the network is not trained again without the interactions.
- Epochs of one run are not independent, so intervals of its rank correlation are too narrow.
"""


READ = {
    "strengths": (
        "**How to read:** one column a setting, one line a seed. Above, H rises while what is learned transfers to "
        "the baseline network, and sinks while more is learned that does not; diamonds are the boundaries that were "
        "found. Below, solid is the generalizable strength, dashed the non-generalizable one."
    ),
    "first-phase": (
        "**How to read:** one column a run; solid is the certified split, dashed the published SGD, on the same "
        "outputs. A line that falls is a first phase in which noise is removed; where only the dashed one starts "
        "high, that noise is the solver's."
    ),
}


def picture(name: str, what: str) -> str:
    """Returns a picture of docs/study/ with how to read it."""
    return f"\n![{what}](study/{name}.svg)\n\n{READ[name]}\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (columns, ["---"] * len(columns), *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) + "\n"


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """Returns a number, or a dash for none."""
    return "–" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def between(value: dict[str, Any], digits: int = 2, sign: bool = True) -> str:
    """Returns "value (low … high)"."""
    if value["value"] is None:
        return "–"
    said = number(value["value"], digits, sign)
    return said if value["low"] is None else f"{said} ({value['low']:.{digits}f} … {value['high']:.{digits}f})"


def _runs(runs: Sequence[Measures], facts: dict[str, Any]) -> str:
    cases = list(dict.fromkeys(run["case"] for run in runs))
    rows = [
        [case, facts["networks"][case], facts["noise"][case], facts["samples"][case], facts["variables"][case]]
        for case in cases
    ]
    seeds = {case: [run["seed"] for run in runs if run["case"] == case] for case in cases}
    rows = [[*row, ", ".join(map(str, seeds[row[0]]))] for row in rows]
    return (
        "## Runs\n\n"
        f"Settings: {len(cases)}; runs: {len(runs)} of {facts['planned']} planned. "
        f"Extraction of interactions took {facts['minutes']:.0f} minutes on one core, training not counted. "
        f"Versions: {facts['versions']}. Split: {facts['split']}. τ = {facts['tau']}, sign test, "
        "one baseline network.\n\n"
        + table(["setting", "network", "random labels", "explained, training + testing", "n", "seeds"], rows)
        + "\nTo look at them: `INTERDASH_ROOT=data/cache/study interdash serve`.\n"
    )


def _claims(runs: Sequence[Measures]) -> str:
    rows = []
    for claim in CLAIMS:
        holds, asked = counts(claim, runs)
        rows.append([claim.text, claim.source, claim.rule, f"{holds} of {asked}", f"**{verdict(claim, runs)}**"])
    return (
        "## Claims against measurements\n\n"
        f"A claim is *confirmed* if it holds in at least {MOST:.0%} of the runs that can be asked, *not* if in at most "
        f"{FEW:.0%}, else *partly*. “Interval” is a 95 % bootstrap interval over explained samples (of ρ: over "
        "epochs). Claims are put in our words; the rules are ours.\n\n"
        + table(["claim", "source", "it holds in a run if …", "runs", "verdict"], rows)
    )


def _epoch(value: dict[str, Any] | None) -> str:
    return "not found" if value is None or value["value"] is None else between(value, 0, sign=False)


def _phases(runs: Sequence[Measures]) -> str:
    rows = [
        [
            run["run"],
            _epoch(run["phases"].get("1|2")),
            _epoch(run["phases"].get("2|3")),
            number(run["gap_start"], 0),
            f"{run['peak']}",
            between(run["power"][run["recorded"].index(run["peak"])], sign=False),
            between(run["power"][-1], sign=False),
            f"{run['first_fall']['value'] / run['first_fall']['first']:.0%} of {run['first_fall']['first']:.2g} nats",
        ]
        for run in runs
    ]
    most = max(run["first_fall"]["value"] / max(run["non_generalizable"]) for run in runs)
    found = [sum(run["phases"].get(name, {}).get("value") is not None for run in runs) for name in ("1|2", "2|3")]
    return (
        "## Do the three phases appear, and where?\n\n"
        f"Boundary 1|2 is found in {found[0]} of {len(runs)} runs, 2|3 in {found[1]}. Epochs with their intervals; the "
        "rule is in [method.md](method.md). “Gap rises from” is the start of the second of the *two* phases of "
        "two-phase, beside ours: the last epoch at which the loss gap is at most 5 % of its largest value. “Removed”: "
        "how far non-generalizable strength falls from epoch 0 to its lowest epoch before H peaks; that is at most "
        f"{most:.1%} of the largest non-generalizable strength of its run, small beside what comes later.\n\n"
        + table(["run", "1|2", "2|3", "gap rises from", "H peaks at", "H there", "H at the end", "removed"], rows)
        + picture("strengths", "H and strengths by epoch")
    )


def _removal(runs: Sequence[Measures]) -> str:
    rows = [
        [run["run"], number(run["removal"]["before"]), *(between(run["removal"][name]) for name in _REMOVAL)]
        for run in runs
    ]
    shrinks = [run for run in runs if below(run["removal"]["gap"])]
    through = sum(run["removal"]["train"]["value"] > -run["removal"]["test"]["value"] for run in shrinks)
    grows = sum(bool(above(run["removal"]["gap"])) for run in runs)
    clear = {name: sum(bool(below(run["removal"][name])) for run in runs) for name in ("random", "generalizable")}
    less = {name: sum(bool(above(run["removal"][name])) for run in runs) for name in ("random", "generalizable")}
    return (
        "## Does removal shrink the gap?\n\n"
        "All salient interactions with G = 0 are removed from every explained sample at the last epoch. The gap of "
        f"the explained samples clearly shrinks in {len(shrinks)} of {len(runs)} runs and clearly grows in {grows}; "
        f"where it shrinks, it is mostly through the training loss in {through}. It shrinks clearly more than by "
        f"removing random salient interactions of the same strength in {clear['random']} runs, clearly less in "
        f"{less['random']}; against "
        f"generalizable ones of the same strength: more in {clear['generalizable']}, less in {less['generalizable']}. "
        "Nats; the excess is the change by the non-generalizable ones minus that by the control, negative = shrinks "
        "more. Samples that have fewer generalizable interactions than that lose all of them.\n\n"
        + table(
            ["run", "gap before", "gap", "training loss", "testing loss", "excess over random", "over generalizable"],
            rows,
        )
    )


_REMOVAL = ("gap", "train", "test", "random", "generalizable")


def _orders(runs: Sequence[Measures]) -> str:
    rows = [
        [
            run["run"],
            number(run["power_low"]),
            number(run["power_high"]),
            between(run["low_minus_high"]),
            between(run["order_growth"]),
            between(run["correlation"]),
            f"{number(run['similarity']['low'])} / {number(run['similarity']['high'])}",
        ]
        for run in runs
    ]
    return (
        "## Orders, and the share against the gap\n\n"
        f"At the last epoch: H of orders 1–{LOW} and of orders ≥ {HIGH}, their difference; the growth of the mean "
        "order since the peak of H; Spearman's ρ of the non-generalizable share, 1 − H, with the gap of the whole "
        "splits over the recorded epochs; the weighted Jaccard index of training and testing samples at low / high "
        "orders.\n\n"
        + table(
            ["run", "H low", "H high", "difference", "growth of the mean order", "ρ", "alike, low / high"],
            rows,
        )
    )


def _seeds(runs: Sequence[Measures]) -> str:
    rows = []
    for case in dict.fromkeys(run["case"] for run in runs):
        some = [run for run in runs if run["case"] == case]
        peaks = [run["power"][run["recorded"].index(run["peak"])]["value"] for run in some]
        widths = [
            run["power"][-1]["high"] - run["power"][-1]["low"] for run in some if run["power"][-1]["low"] is not None
        ]
        rows.append(
            [
                case,
                _range([run["peak"] for run in some], 0),
                _range(peaks),
                _range([run["power"][-1]["value"] for run in some]),
                number(float(np.mean(widths)) if widths else None),
                _range([run["removal"]["gap"]["value"] for run in some]),
                _range([run["correlation"]["value"] for run in some]),
            ]
        )
    return (
        "## The spread of seeds\n\n"
        "Median and range over the seeds; beside H at the end the mean width of its interval over samples. Where the "
        "range is wider than the interval, seeds matter more than samples.\n\n"
        + table(
            ["setting", "H peaks at", "H there", "H at the end", "interval's width", "change of the gap", "ρ"], rows
        )
    )


def _range(values: Sequence[float | None], digits: int = 2) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    return f"{np.median(known):.{digits}f} ({min(known):.{digits}f} … {max(known):.{digits}f})"


def _first_phase(first: Sequence[Measures]) -> str:
    text = (
        "## Does the published first phase survive an exact solver?\n\n"
        "The papers split outputs by gradient descent with an absolute learning rate (10,000 steps here, as written in "
        "`interdash/published.py`). Here the same games of the first epochs are split by both, target and baseline "
        "alike; the L1 ratio is Σ|I| over all interactions, which both minimise, published over certified, median over "
        "samples. “Removed” means: non-generalizable strength at its lowest epoch is below that at epoch 0.\n"
    )
    for found in first:
        rows = []
        for i, epoch in enumerate(found["epochs"]):
            pairs = [(found[solver][i]) for solver in SOLVERS]
            rows.append(
                [
                    f"{epoch}",
                    f"{found['ratio'][i]:.3g}",
                    *(f"{row['non_generalizable']:.3g}" for row in pairs),
                    *(number(row["power"]) for row in pairs),
                    *(number(row["high"]) for row in pairs),
                ]
            )
        text += (
            f"\n**{found['run']}**, {found['samples']} samples. " + " ".join(map(_fell, SOLVERS, 2 * [found])) + "\n\n"
        )
        names = [f"{name}, {solver}" for name in ("non-gen. strength (nats)", "H", "orders ≥ 4") for solver in SOLVERS]
        text += table(["epoch", "L1 ratio", *names], rows)
    return text + (picture("first-phase", "The first epochs under both solvers") if first else "")


def _fell(solver: str, found: Measures) -> str:
    """Returns whether non-generalizable strength falls after epoch 0 under a solver, in words."""
    curve = [row["non_generalizable"] for row in found[solver]]
    lowest = int(np.argmin(curve))
    end = found["epochs"][-1]
    if lowest == 0:
        return (
            f"Under the {solver} split nothing is removed: non-generalizable strength grows from {curve[0]:.3g} nats "
            f"to {curve[-1]:.3g} at epoch {end}."
        )
    return (
        f"Under the {solver} split {1 - curve[lowest] / curve[0]:.0%} of the {curve[0]:.3g} nats at epoch 0 are "
        f"removed by epoch {found['epochs'][lowest]}; at epoch {end} they are {curve[-1]:.3g}."
    )
