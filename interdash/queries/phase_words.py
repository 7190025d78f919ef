"""What each phase of a run shows, in words: what was removed, what was learned, at which orders."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

EXPECTED = {  # what three-phase says of each phase
    1: "noise is removed, simple generalizable interactions are learned",
    2: "increasingly complex interactions are learned",
    3: "mostly non-generalizable interactions are learned, and the loss gap grows",
}


def phase_words(phases: pd.DataFrame, epochs: pd.DataFrame, flows: pd.DataFrame) -> str:
    """Returns one paragraph for each phase that was found, in Markdown; one for all if none was told apart.

    "" before two recorded epochs are labelled.

    Args:
        phases: what `dynamics.phases` gives.
        epochs: what `dynamics.epochs` gives: losses and H.
        flows: what `dynamics.flows` gives.
    """
    curve = epochs.set_index("epoch")
    return "\n\n".join(_phase(*span, flows, curve) for span in _spans(phases, flows))


def finding(phases: pd.DataFrame, flows: pd.DataFrame) -> str:
    """Returns in words what was removed in the first phase and learned in each; "" where nothing is known.

    The arguments are those of `phase_words`.
    """
    learned, removed = [], ""
    for numbers, start, end in _spans(phases, flows):
        sums = _sums(flows, start, end)
        if sums["removed"] and 1 in numbers:
            share = sums["removed_other"] / sums["removed"]
            removed = f"Up to epoch {end}, {share:.0%} of what is removed is non-generalizable. "
        if sums["learned"]:
            share, chance = (sums[f"learned_{name}"] / sums["learned"] for name in ("generalizable", "by_chance"))
            where = f"up to epoch {end}" if 1 in numbers else f"from there to {end}"
            verb, words = ("", "") if learned else ("generalizes ", " by chance")
            learned.append(f"{share:.0%} {verb}{where} ({chance:.0%}{words})")
    return f"{removed}Of what is learned, {', '.join(learned)}." if learned else ""


def _spans(phases: pd.DataFrame, flows: pd.DataFrame) -> Iterator[tuple[list[int], int, int]]:
    """Yields the phases that are told apart: their numbers, first and last epoch."""
    if phases.empty or flows.empty:
        return
    recorded = sorted({*flows["epoch_from"].tolist(), *flows["epoch_to"].tolist()})
    places = {str(row["boundary"]): row["epoch"] for row in phases.dropna(subset=["epoch"]).to_dict("records")}
    edges = [recorded[0]]
    numbers: list[list[int]] = [[1]]
    for after, name in ((2, "1|2"), (3, "2|3")):
        if name in places:
            edges.append(min(recorded, key=lambda epoch: abs(epoch - places[name])))
            numbers.append([after])
        else:
            numbers[-1].append(after)
    edges.append(recorded[-1])
    yield from zip(numbers, edges[:-1], edges[1:], strict=True)


def _sums(flows: pd.DataFrame, start: int, end: int) -> Any:
    return flows.loc[(flows["epoch_from"] >= start) & (flows["epoch_to"] <= end)].sum()


def _phase(which: list[int], start: int, end: int, flows: pd.DataFrame, curve: pd.DataFrame) -> str:
    # a last number without its boundary is not told apart: "phase 1", "phases 1–2"
    name = f"Phase {which[0]}" if len(which) == 1 else f"Phases {which[0]}–{which[-1]}, not told apart"
    if start == end:
        return f"**{name}, epoch {start}:** no recorded epoch in it."
    sums = _sums(flows, start, end)
    sentences = [_removed(sums), _learned(sums)]
    power, gap = ([_at(curve, epoch, column) for epoch in (start, end)] for column in ("generalization_power", "gap"))
    if None not in power:
        sentences.append(f"H {power[0]:.0%} → {power[1]:.0%}")
    if None not in gap:
        sentences.append(f"loss gap {gap[0]:z.2f} → {gap[1]:z.2f} nats".replace("-", "−"))
    expected = "; ".join(EXPECTED[number] for number in which)
    return f"**{name}, epochs {start}–{end}:** {'; '.join(sentences)}. *Published: {expected}.*"


def _removed(sums: Any) -> str:
    if not sums["removed"]:
        return "removed nothing"
    share, order = sums["removed_other"] / sums["removed"], sums["removed_size"] / sums["removed"]
    return f"removed {sums['removed']:.3g} nats a sample, {share:.0%} of it non-generalizable, mean order {order:.1f}"


def _learned(sums: Any) -> str:
    if not sums["learned"]:
        return "learned nothing"
    names = ("learned_generalizable", "learned_by_chance", "learned_size")
    share, chance, order = (sums[name] / sums["learned"] for name in names)
    return (
        f"learned {sums['learned']:.3g} nats, {share:.0%} of it generalizable ({chance:.0%} by chance), "
        f"mean order {order:.1f}"
    )


def _at(curve: pd.DataFrame, epoch: int, column: str) -> float | None:
    value: Any = curve[column].get(epoch)
    return None if value is None or pd.isna(value) else float(value)
