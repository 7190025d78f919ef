"""The long tables of the study, with what they mean; every number comes from the measures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from interdash.study import agreement
from interdash.study.claims import LEAST_FALL, above, below
from interdash.study.first_phase import SOLVERS
from interdash.study.measures import HIGH, LOW
from interdash.study.words import Measures, between, number, picture, table

HEAD = """# Study: the tables

Behind [the study's page](study.md); rebuilt with it by `make study`.
"""


def tables(runs: Sequence[Measures], first: Sequence[Measures], facts: dict[str, Any]) -> str:
    """Returns the Markdown text; arguments as of `report.report`."""
    sections = [
        _phases(runs),
        agreement.section(runs),
        _flicker(runs),
        _removal(runs),
        _orders(runs, facts),
        _shapes(runs),
        _seeds(runs),
    ]
    return "\n".join([HEAD, *sections, *([_first_phase(first, facts)] if first else [])])


def _epoch(value: dict[str, Any] | None) -> str:
    return "not found" if value is None or value["value"] is None else between(value, 0, sign=False)


def _phases(runs: Sequence[Measures]) -> str:
    rows, flows = [], []
    for run in runs:
        at_peak, curve, first, third = run["recorded"].index(run["peak"]), run["flows"], run["first"], run["third"]
        best = int(np.argmax([-1 if value is None else value for value in curve["above_chance"]]))
        rows.append(
            [
                *(run["run"], _epoch(run["phases"].get("1|2")), _with(run, "1|2")),
                *(_epoch(run["phases"].get("2|3")), _with(run, "2|3"), f"{run['lowest_test_loss']}"),
                *(number(run["gap_start"], 0), number(curve["above_chance"][best])),
                *(_power(run, at_peak) + f" at {run['peak']}", _power(run, -1)),
            ]
        )
        if first is None:
            continue
        shares = [between(first[name], sign=False) for name in ("removed", "difference")]
        orders = [number(first[name], 1) for name in ("removed_order", "learned_order")]
        last = f"{between(third['power'], sign=False)} / {number(third['chance'])}"
        flows.append(
            [run["run"], shares[0], number(first["by_chance"]), shares[1], *orders, between(third["growth"]), last]
        )
    found = [sum(run["phases"].get(name, {}).get("value") is not None for run in runs) for name in ("1|2", "2|3")]
    return (
        "## Do the three phases appear, and where?\n\n"
        f"Boundary 1|2 is found in {found[0]} of {len(runs)} runs, 2|3 in {found[1]}. Epochs with their intervals over "
        "samples and baseline networks; “each” has those with every baseline network alone. Up to 1|2 what is learned "
        "generalizes ever better above chance, from 2|3 on less than half as well as at its best, κ. “Gap rises from” "
        "is the start of the second of the *two* phases of two-phase, beside ours: the last epoch at which the loss "
        "gap has gone at most 5 % of the way from its smallest to its largest value. H with its interval, / its level "
        "by chance, at its highest epoch and at the end.\n\n"
        + table(
            [
                *("run", "1|2", "each", "2|3", "each", "testing loss lowest at", "gap rises from", "highest κ learned"),
                *("highest H / chance", "H at the end / chance"),
            ],
            rows,
        )
        + "\nWhat is removed and learned. First phase: the share of what is removed that is non-generalizable, the "
        "same by chance, the share of the learned that generalizes − that of the removed, mean orders of both. Then "
        "how much higher the mean order of what is learned after 1|2 is, and the share of what is learned after 2|3 "
        "that generalizes / by chance. Runs without 1|2 are left out.\n\n"
        + table(
            [
                *("run", "removed, non-gen.", "by chance", "learned − removed, gen.", "order removed", "order learned"),
                *("order learned, growth", "learned after 2|3, gen. / chance"),
            ],
            flows,
        )
        + picture("strengths", "H and strengths by epoch")
    )


def _with(run: Measures, boundary: str) -> str:
    """Returns where a boundary lies with each baseline network alone."""
    return ", ".join(number(epoch, 0) for epoch in run["with"][boundary]) or "–"


def _power(run: Measures, at: int) -> str:
    return f"{between(run['power'][at], sign=False)} / {number(run['chance'][at])}"


def _flicker(runs: Sequence[Measures]) -> str:
    rows = []
    for run in runs:
        true, salient = (run["flicker"][name] for name in ("true", "salient"))
        places = [f"{number(true[name], 0)} / {number(salient[name], 0)}" for name in ("1|2", "2|3")]
        more = salient["learned"] / true["learned"] - 1 if true["learned"] else None
        added = "–" if more is None else f"{more:+.0%}"
        rows.append([run["run"], number(true["learned"]), number(salient["learned"]), added, *places])
    return (
        "## What does flicker around τ count for?\n\n"
        "Flows count an interaction with its true value at the other epoch, salient or not. Where only salient values "
        "are known, the others count as 0, and one that flickers around τ adds all of τ each time. What is learned in "
        "the whole training, nats a sample, and the boundaries by true values / with 0.\n\n"
        + table(["run", "learned", "with 0", "added", "1|2", "2|3"], rows)
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
    asked = sum(run["removal"]["dose"] is not None for run in shrinks)
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
        f"strongest go first). There is such a dose in {asked} of the {len(shrinks)} runs; the gap shrinks clearly "
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
            f"{between(run['power_low'], sign=False)} / {number(run['chance_low'])}",
            f"{between(run['power_high'], sign=False)} / {number(run['chance_high'])}",
            between(run["above_low_minus_high"]),
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
        f"At the last epoch: H of orders 1–{LOW} and of orders ≥ {HIGH}, / by chance, and the difference of how far "
        "they are above chance. Spearman's ρ of the "
        "non-generalizable share, 1 − H, with the gap of the whole splits over the recorded epochs. Its interval takes "
        "epochs as independent, and they are not: for two independent random walks of as many points as the first run "
        f"has epochs the interval lies above 0 in {facts['chance']:.0%} of draws, so a share of runs near that says "
        "nothing. “Alike”: the weighted Jaccard index of training and testing samples at low / high orders, then "
        "divided by that of random groups of the same sizes (1: no less alike than chance groups are). An interval of "
        "the index would need every interaction of every sample, which the study does not keep; the claim asks the 95 "
        "% range of the random groups instead.\n\n"
        + table(
            [
                *("run", "H low / chance", "H high / chance", "difference above chance", "ρ"),
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
        rows.append(
            [
                case,
                _range([run["peak"] for run in some], 0),
                _range(peaks),
                _range(ends),
                number(width),
                _range([run["flips"] for run in some]),
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
        "differ between the first two baseline networks, at the last epoch; H means no more than that "
        "allows.\n\n"
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
    return text + picture("first-phase", "The first epochs under both solvers")


def _answer(first: Sequence[Measures]) -> str:
    """Returns the answer in words, from the intervals."""
    clear = {solver: [found["falls"][solver]["low"] > LEAST_FALL for found in first] for solver in SOLVERS}
    certified, published = (sum(clear[solver]) for solver in SOLVERS)
    both = sum(map(all, zip(*clear.values(), strict=True)))
    said = (
        "No run shows it clearly under the published SGD, so there is nothing that could survive"
        if not published
        else "It survives in every run that shows it"
        if both == published
        else f"It survives in {both} of the {published} that show it"
    )
    if certified > published:
        said += ", and the exact solver shows it clearly in more runs than the published one"
    count = f"{len(first)} run" + ("s" if len(first) > 1 else "")
    return (
        f"**In words:** of {count} split both ways, non-generalizable strength clearly falls after epoch 0 in "
        f"{published} under the published SGD and in {certified} under the certified split. {said}. "
        f"The intervals are of {first[0]['samples']} samples a run, so a fall that is not clear may still be there.\n\n"
    )


def _fell(solver: str, found: Measures) -> str:
    """Returns whether non-generalizable strength falls after epoch 0 under a solver, in words."""
    curve, fall = [row["non_generalizable"] for row in found[solver]], found["falls"][solver]
    end = found["epochs"][-1]
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
