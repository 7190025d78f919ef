"""The text of the study: every number and verdict comes from the measures; the prose around them only explains."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from interdash.study.claims import CLAIMS, FEW, LEAST_FALL, MOST, above, below, counts, verdict
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
    sections = [HEAD, _runs(runs, facts), _claims(runs), _phases(runs), _removal(runs), _orders(runs, facts)]
    return "\n".join([*sections, _shapes(runs), _seeds(runs), _first_phase(first, facts), LIMITS])


LIMITS = """## What this study cannot say

- Small networks and 300 to 1,000 training samples. The papers' networks and data are larger.
- The seeds change weights and batches; data, random labels and explained samples stay the same. Intervals are over
  explained samples, 95 %, and not over seeds or data.
- G asks one baseline network, trained on the testing split. With another seed of it some labels flip: the column
  "labels that flip" under the spread of seeds; `interdash robustness RUN` measures more such choices.
- Boundaries are read from what is learned between recorded epochs; how they are found: [method.md](method.md).
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


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Returns a number, or a dash for none."""
    return "–" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def between(value: dict[str, Any], digits: int = 2, *, sign: bool = True) -> str:
    """Returns "value (low … high)"."""
    if value["value"] is None:
        return "–"
    text = number(value["value"], digits, sign=sign)
    return text if value["low"] is None else f"{text} ({value['low']:.{digits}f} … {value['high']:.{digits}f})"


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
        holds, count = counts(claim, runs)
        rows.append([claim.text, claim.source, claim.rule, f"{holds} of {count}", f"**{verdict(claim, runs)}**"])
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
            _fall(run["first_fall"]),
        ]
        for run in runs
    ]
    most = max(
        (run["first_fall"]["value"] or 0) * run["first_fall"]["first"] / max(run["non_generalizable"]) for run in runs
    )
    count = [sum(run["phases"].get(name, {}).get("value") is not None for run in runs) for name in ("1|2", "2|3")]
    starts = [
        (run["phases"]["2|3"]["value"], run["gap_start"])
        for run in runs
        if run["phases"].get("2|3", {}).get("value") is not None and run["gap_start"] is not None
    ]
    before = sum(boundary < start for boundary, start in starts)
    return (
        "## Do the three phases appear, and where?\n\n"
        f"Boundary 1|2 is found in {count[0]} of {len(runs)} runs, 2|3 in {count[1]}. Epochs with their intervals; the "
        "rule is in [method.md](method.md). Up to 1|2 what is learned generalizes ever better, from 2|3 on less than "
        "half as well as at its best; “H peaks at” is the highest measured H, so that it and 1|2 may differ. “Gap "
        "rises from” is the start of the second of the *two* "
        "phases of two-phase, beside ours: the last epoch at which the loss gap has gone at most 5 % of the way from "
        "its smallest to its largest value (with random labels it is negative first: the clean testing labels are "
        f"fitted better than random training labels). Where both are known, 2|3 comes before the gap rises in {before} "
        f"of {len(starts)} runs. “Removed”: how far non-generalizable strength falls from epoch 0 to its lowest epoch "
        "before H peaks, as a share of that at epoch 0; the interval chooses the lowest epoch anew in every resample "
        "and measures the fall on the samples that were not drawn, so that a lowest epoch by chance counts for "
        f"nothing. The fall is at most {most:.1%} of the largest non-generalizable strength of its run, "
        "small beside what comes later.\n\n"
        + table(["run", "1|2", "2|3", "gap rises from", "H peaks at", "H there", "H at the end", "removed"], rows)
        + picture("strengths", "H and strengths by epoch")
    )


def _fall(fall: dict[str, Any]) -> str:
    """Returns the share that is removed, its interval, and of how much."""
    if fall["value"] is None:
        return "–"
    ends = "" if fall["low"] is None else f" ({fall['low']:.0%} … {fall['high']:.0%})"
    return f"{fall['value']:.0%}{ends} of {fall['first']:.2g} nats"


def _removal(runs: Sequence[Measures]) -> str:
    rows = []
    for run in runs:
        removal = run["removal"]
        dose = "–" if removal["dose"] is None else f"{removal['dose']} %"
        met = "–" if removal["met"] is None else f"{removal['met']:.0%}"
        changes = [between(removal[name]) for name in ("gap", "train", "test", "through", "random")]
        rows.append([run["run"], number(removal["before"]), *changes, met, dose, between(removal["generalizable"])])
    shrinks = [run for run in runs if below(run["removal"]["gap"])]
    through = sum(bool(above(run["removal"]["through"])) for run in shrinks)
    grows = sum(bool(above(run["removal"]["gap"])) for run in runs)
    controls = ("random", "generalizable")
    more = {name: sum(bool(below(run["removal"][name])) for run in shrinks) for name in controls}
    less = {name: sum(bool(above(run["removal"][name])) for run in shrinks) for name in controls}
    count = sum(run["removal"]["dose"] is not None for run in shrinks)
    weakest = min(run["power"][-1]["value"] for run in runs)
    return (
        "## Does removal shrink the gap?\n\n"
        "All salient interactions with G = 0 are removed from every explained sample at the last epoch. The gap of "
        f"the explained samples clearly shrinks in {len(shrinks)} of {len(runs)} runs and clearly grows in {grows}. Of "
        f"the {len(shrinks)}, the training loss rises by clearly more than the testing loss falls in {through} (column "
        "“training + testing”, above 0).\n\n"
        f"Against random salient interactions of the same strength, the gap of these {len(shrinks)} runs shrinks "
        f"clearly more in {more['random']} and clearly less in {less['random']}. That control is weak where H is low: "
        "what it draws is to 1 − H of its strength non-generalizable itself, so that at "
        f"H = {weakest:.2f} the random set is {1 - weakest:.0%} the same interactions. Against generalizable ones: "
        "where H is below one half there are fewer of them than are removed, so “met” says how much of the strength "
        "the control reaches at full dose, and the excess is taken at the largest dose at which it reaches 99 % (the "
        f"strongest go first). There is such a dose in {count} of the {len(shrinks)} runs; the gap shrinks clearly "
        f"more in {more['generalizable']} of them, clearly less in {less['generalizable']}. Nats; the excess is the "
        "change by the non-generalizable ones minus that by the control, negative = shrinks more.\n\n"
        + table(
            [
                *("run", "gap before", "gap", "training loss", "testing loss", "training + testing"),
                *("excess over random", "met", "dose", "excess over generalizable"),
            ],
            rows,
        )
    )


def _orders(runs: Sequence[Measures], facts: dict[str, Any]) -> str:
    rows = [
        [
            run["run"],
            between(run["power_low"], sign=False),
            between(run["power_high"], sign=False),
            between(run["low_minus_high"]),
            between(run["order_growth"]),
            between(run["correlation"]),
            *(
                f"{number(run['similarity'][f'{name}low'])} / {number(run['similarity'][f'{name}high'])}"
                for name in ("", "ratio_")
            ),
        ]
        for run in runs
    ]
    return (
        "## Orders, and the share against the gap\n\n"
        f"At the last epoch: H of orders 1–{LOW} and of orders ≥ {HIGH}, their difference; the growth of the mean "
        "order since the highest measured H. That epoch is chosen among others for a high H, and low orders generalize "
        "better, so it is one where low orders are strong: some growth is built in. Spearman's ρ of the "
        "non-generalizable share, 1 − H, with the gap of the whole splits over the recorded epochs. Its interval takes "
        "epochs as independent, and they are not: for two independent random walks of as many points as the first run "
        f"has epochs the interval lies above 0 in {facts['chance']:.0%} of draws, so a share of runs near that says "
        "nothing. “Alike”: the weighted Jaccard index of training and testing samples at low / high orders, then "
        "divided by that of random groups of the same sizes (1: no less alike than chance groups are). An interval of "
        "the index would need every interaction of every sample, which the study does not keep; the claim asks the 95 "
        "% range of the random groups instead.\n\n"
        + table(
            [
                *("run", "H low", "H high", "difference", "growth of the mean order", "ρ"),
                *("alike, low / high", "÷ random groups, low / high"),
            ],
            rows,
        )
    )


def _shapes(runs: Sequence[Measures]) -> str:
    rows = []
    for run in runs:
        cells = [run["run"]]
        for part in ("generalizable", "non_generalizable"):
            shape = run["shapes"][part]
            cells += [
                f"{number(shape['decay']['distance'])}, α = {number(shape['decay']['alpha'])}",
                f"{number(shape['spindle']['distance'])}, α = {number(shape['spindle']['alpha'])}, peak at "
                f"{'–' if shape['peak'] is None else shape['peak']}",
                between(shape["closer"]),
            ]
        rows.append(cells)
    names = ("decay", "spindle", "spindle − decay")
    return (
        "## Decay and spindle\n\n"
        "Distances (½ Σ |share − profile|, 0: the same shape, 1: no order in common) of the strengths at the last "
        "epoch from the best decay ∝ α^k and the best spindle ∝ C(n, k)·α^k, with the α that fits, the order at which "
        "the spindle peaks, and the difference of both distances with its interval: above 0 the decay is closer, below "
        "0 the spindle. A spindle of small α peaks at order 1 and is a decay itself; a decay with α ≥ 1 "
        "does not decay.\n\n"
        + table(["run", *(f"{part}: {name}" for part in ("gen.", "non-gen.") for name in names)], rows)
    )


def _seeds(runs: Sequence[Measures]) -> str:
    rows, wider = [], 0
    for case in dict.fromkeys(run["case"] for run in runs):
        some = [run for run in runs if run["case"] == case]
        peaks = [run["power"][run["recorded"].index(run["peak"])]["value"] for run in some]
        widths = [
            run["power"][-1]["high"] - run["power"][-1]["low"] for run in some if run["power"][-1]["low"] is not None
        ]
        ends = [run["power"][-1]["value"] for run in some]
        width = float(np.mean(widths)) if widths else None
        wider += width is not None and np.ptp(ends) > EXPECTED_RANGE * width
        flips = [run["flips"] for run in some if run["flips"]["value"] is not None]
        rows.append(
            [
                case,
                _range([run["peak"] for run in some], 0),
                _range(peaks),
                _range(ends),
                number(width),
                between(flips[0], sign=False) if flips else "–",
                _range([run["removal"]["gap"]["value"] for run in some]),
                _range([run["correlation"]["value"] for run in some]),
            ]
        )
    return (
        "## The spread of seeds\n\n"
        "Median and range over the seeds; beside H at the end the mean width of its interval over samples. Three draws "
        f"of one normal distribution range over {EXPECTED_RANGE:.2f} of the width of a 95 % interval on average (1.69 "
        f"of 3.92 standard deviations). The range of H at the end is wider than that in {wider} of {len(rows)} "
        "settings: there seeds add to the spread of the samples. “Labels that flip”: the share of labels G that "
        "another baseline network turns over, at the last epoch of one run (40 samples); H means no "
        "more than that allows.\n\n"
        + table(
            [
                *("setting", "H peaks at", "H there", "H at the end", "interval's width", "labels that flip"),
                *("change of the gap", "ρ"),
            ],
            rows,
        )
    )


EXPECTED_RANGE = 1.693 / 3.92  # of three draws, in widths of a 95 % interval; checked in tests


def _range(values: Sequence[float | None], digits: int = 2) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    return f"{np.median(known):.{digits}f} ({min(known):.{digits}f} … {max(known):.{digits}f})"


def _first_phase(first: Sequence[Measures], facts: dict[str, Any]) -> str:
    text = (
        "## Does the published first phase survive an exact solver?\n\n"
        + _answer(first)
        + "The papers split outputs by gradient descent with an absolute learning rate. No code of theirs runs here: "
        "the published solver is our own re-implementation from the papers' words, `interdash/solver/published.py`, "
        "with "
        f"10,000 steps and a learning rate of {facts['rate']:g}. Here the same games of the first epochs are split by "
        "both, target and baseline alike; the L1 ratio is Σ|I| over all interactions, which both minimise, published "
        "over certified, median over samples. “Removed” is as above.\n"
    )
    for case in first:
        rows = []
        for i, epoch in enumerate(case["epochs"]):
            pairs = [(case[solver][i]) for solver in SOLVERS]
            rows.append(
                [
                    f"{epoch}",
                    f"{case['ratio'][i]:.3g}",
                    *(f"{row['non_generalizable']:.3g}" for row in pairs),
                    *(number(row["power"]) for row in pairs),
                    *(number(row["high"]) for row in pairs),
                ]
            )
        text += f"\n**{case['run']}**, {case['samples']} samples. " + " ".join(map(_fell, SOLVERS, 2 * [case])) + "\n\n"
        names = [f"{name}, {solver}" for name in ("non-gen. strength (nats)", "H", "orders ≥ 4") for solver in SOLVERS]
        text += table(["epoch", "L1 ratio", *names], rows)
    return text + (picture("first-phase", "The first epochs under both solvers") if first else "")


def _answer(first: Sequence[Measures]) -> str:
    """Returns the answer in words, from the intervals."""
    if not first:
        return ""
    clear = {solver: [case["falls"][solver]["low"] > LEAST_FALL for case in first] for solver in SOLVERS}
    certified, published = (sum(clear[solver]) for solver in SOLVERS)
    both = sum(map(all, zip(*clear.values(), strict=True)))
    words = (
        "No run shows it clearly under the published SGD, so there is nothing that could survive"
        if not published
        else "It survives in every run that shows it"
        if both == published
        else f"It survives in {both} of the {published} that show it"
    )
    if certified > published:
        words += ", and the exact solver shows it clearly in more runs than the published one"
    count = f"{len(first)} run" + ("s" if len(first) > 1 else "")
    return (
        f"**In words:** of {count} split both ways, non-generalizable strength clearly falls after epoch 0 in "
        f"{published} under the published SGD and in {certified} under the certified split. {words}. "
        f"The intervals are of {first[0]['samples']} samples a run, so a fall that is not clear may still be there.\n\n"
    )


def _fell(solver: str, case: Measures) -> str:
    """Returns whether non-generalizable strength falls after epoch 0 under a solver, in words."""
    curve, fall = [row["non_generalizable"] for row in case[solver]], case["falls"][solver]
    end = case["epochs"][-1]
    if fall["lowest"] == 0:
        return (
            f"Under the {solver} split nothing is removed: non-generalizable strength grows from {curve[0]:.3g} nats "
            f"to {curve[-1]:.3g} at epoch {end}."
        )
    clearly = "clearly" if fall["low"] > LEAST_FALL else "not clearly"
    return (
        f"Under the {solver} split {_fall(fall)} at epoch 0 are removed by epoch {fall['lowest']}, {clearly}; at epoch "
        f"{end} they are {curve[-1]:.3g}."
    )
