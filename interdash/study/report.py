"""The page of the study: the claims and one figure; every number and verdict comes from the measures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from interdash.study import agreement
from interdash.study.claims import CLAIMS, FEW, MOST, NEAR, counts, distance, verdict
from interdash.study.words import Measures, number, picture, table

HEAD = """# Study: what the built-in runs show of the papers' claims

Rebuilt by `make study`; this page and [its tables](study-tables.md) are its output. Every number and every verdict is
computed from the runs; the rules stand beside them. Papers by short name: *three-phase* arXiv 2505.06993, *two-phase*
2405.10262, *symbolic-dynamics* 2407.19198, *interactive-concepts* 2302.13091, *revisiting* 2502.10162. Definitions:
[method.md](method.md).
"""

LIMITS = """## What this study cannot say

- Small networks and 300 to 5,000 training samples. The papers' networks and data are larger.
- The seeds change weights and batches, and with the final losses the explained samples; data and random labels stay the
  same. Intervals are over explained samples (within strata) and, where G is asked, over three baseline networks, 95 %;
  not over seeds or data.
- Boundaries are read from what is learned between recorded epochs; how they are found: [method.md](method.md).
- Removal is post hoc: the network is not trained again without the interactions.
- Epochs of one run are not independent, so intervals of its rank correlation are too narrow.
"""

OLDER = {  # 2|3 by the rule on stocks of the version before, where its study found it: the same training runs
    **{"census-0-s0": 3, "census-0-s10": 13, "census-0-s20": 10, "census-20-s0": 3, "census-20-s10": 2},
    **{"census-20-s20": 4, "digits-20-s0": 10, "digits-20-s10": 10, "digits-20-s20": 6, "digits-5-s0": 8},
    **{"digits-5-s10": 13, "digits-5-s20": 13, "mnist-20-s0": 10, "mnist-20-s10": 8, "mnist-20-s20": 16},
}


def report(runs: Sequence[Measures], first: Sequence[Measures], facts: dict[str, Any]) -> str:
    """Returns the Markdown text.

    Args:
        runs: what `measures.measure` gives for each run, with `case` and `seed` besides.
        first: what `first_phase.first_phase` gives, for some of them.
        facts: versions, samples, networks, labels, settings and minutes, as `__main__.facts` gives them.
    """
    figure = picture("learned", "How much of what is learned generalizes above chance")
    return "\n".join([HEAD, _claims(runs), figure, _lowest(runs), agreement.summary(runs), _runs(runs, facts), LIMITS])


def _lowest(runs: Sequence[Measures]) -> str:
    """Returns how far the third phase begins from the lowest testing loss, against the older rule's and chance."""
    found = [(run, run["phases"].get("2|3", {}).get("value")) for run in runs]
    found = [(run, boundary) for run, boundary in found if boundary is not None]
    older = [(run, float(OLDER[run["run"]])) for run in runs if run["run"] in OLDER]
    rows = [
        [words, f"{len(some)}", *_distances([distance(run, boundary) for run, boundary in some])]
        for words, some in (("our rule", found), ("the rule on stocks, of the version before", older))
    ]
    places = [(run, epoch) for run, _ in found for epoch in run["recorded"][1:]]
    rows.append(
        [
            "any recorded epoch, of the runs of our rule",
            f"{len(found)}",
            *_distances([distance(*each) for each in places]),
        ]
    )
    return (
        "## Does the third phase begin where the testing loss is lowest?\n\n"
        "Distance of boundary 2|3 from the recorded epoch of the lowest testing loss, in recorded epochs; no rule "
        "knows that loss. By chance: each recorded epoch but the first once.\n\n"
        + table(["boundary", "runs", "mean distance", "median", f"within {NEAR}"], rows)
    )


def _distances(values: Sequence[int | None]) -> list[str]:
    known = [value for value in values if value is not None]
    if not known:
        return ["–", "–", "–"]
    return [
        number(float(np.mean(known)), 1),
        number(float(np.median(known)), 1),
        f"{np.mean(np.array(known) <= NEAR):.0%}",
    ]


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
        f"{facts['baselines']} baseline networks: figures are means over them, labels their majority.\n\n"
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
