"""What each phase of a run shows, in words: what was removed, what was learned, at which orders."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

EXPECTED = {  # what three-phase says of each phase
    1: "noise is removed, simple generalizable interactions are learned",
    2: "increasingly complex interactions are learned",
    3: "mostly non-generalizable interactions are learned, and the loss gap grows",
}
COLUMNS = (
    "phase",
    "epochs",
    "removed per sample",
    "learned per sample",
    "generalizable share (H)",
    "loss gap",
    "as published",
)


def phase_table(phases: pd.DataFrame, epochs: pd.DataFrame, flows: pd.DataFrame) -> str:
    """Returns a Markdown table, one row for each phase that was found; one for all if none was told apart.

    "" before two recorded epochs are labelled. The last column says whether the paper's claims of the phase hold here.

    Args:
        phases: what `dynamics.phases` gives.
        epochs: what `dynamics.epochs` gives: losses and H.
        flows: what `dynamics.flows` gives.
    """
    curve = epochs.set_index("epoch")
    rows, before = [], None
    for numbers, start, end in _spans(phases, flows):
        sums = _sums(flows, start, end)
        rows.append(_phase(numbers, start, end, sums, before, curve))
        before = sums
    head = [COLUMNS, ["---"] * len(COLUMNS)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *rows]) if rows else ""


def gap_text(epochs: pd.DataFrame, explained_losses: pd.DataFrame, epoch: int) -> str:
    """Returns the loss gap of the explained samples beside that of the whole splits at an epoch, in words."""
    gaps = [dict(zip(rows["epoch"], rows["gap"], strict=True)).get(epoch) for rows in (explained_losses, epochs)]
    own, whole = ("not known" if gap is None or pd.isna(gap) else f"{gap:.3f} nats" for gap in gaps)
    text = f"Loss gap at epoch {epoch}: {own} for the explained samples, {whole} for the whole splits, all classes."
    return text.replace(" -", " −")


def finding(phases: pd.DataFrame, flows: pd.DataFrame) -> str:
    """Returns in words what was removed in the first phase and learned in each; "" where nothing is known.

    Phases that are not told apart are named first.

    The arguments are those of `phase_words`.
    """
    learned, removed = [], ""
    for numbers, start, end in _spans(phases, flows):
        sums = _sums(flows, start, end)
        if len(numbers) > 1:
            removed = f"Phases {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} cannot be told apart. {removed}"
        if sums["removed"] and 1 in numbers:
            share = sums["removed_other"] / sums["removed"]
            removed += f"Up to epoch {end}, {share:.0%} of what is removed is non-generalizable. "
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


def _sums(flows: pd.DataFrame, start: int, end: int) -> dict[str, float]:
    within = ((flows["epoch_from"] >= start) & (flows["epoch_to"] <= end)).to_numpy()
    return {name: float(flows[name].to_numpy()[within].sum()) for name in flows.select_dtypes("number")}


def _phase(numbers: list[int], start: int, end: int, sums: Any, before: Any, curve: pd.DataFrame) -> tuple[str, ...]:
    # a last number without its boundary is not told apart: "1", "1–2"
    name = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}, not told apart"
    if start == end:
        return (name, f"{start}", *["–"] * 4, "no recorded epoch in it")
    power, gap = ([_at(curve, epoch, column) for epoch in (start, end)] for column in ("generalization_power", "gap"))
    verdict = "not told apart" if len(numbers) > 1 else _verdict(numbers[0], sums, before, gap)
    return (
        name,
        f"{start}–{end}",
        _flow(sums, "removed", "other", "non-generalizable"),
        _flow(sums, "learned", "generalizable", "generalizable"),
        "–" if None in power else f"{power[0]:.0%} → {power[1]:.0%}",
        "–" if None in gap else f"{gap[0]:z.2f} → {gap[1]:z.2f} nats".replace("-", "−"),
        f"{verdict}: *{'; '.join(EXPECTED[number] for number in numbers)}*",
    )


def _verdict(number: int, sums: Any, before: Any, gap: list[float | None]) -> str:
    """Returns "yes", "no" or "partly": how many of a phase's claims hold, by the values in its row."""
    learned, removed = sums["learned"] > 0, sums["removed"] > 0
    if number == 1:
        holds = [
            removed and sums["removed_other"] > sums["removed"] / 2,
            learned and removed and _order(sums, "learned") < _order(sums, "removed"),
            learned and sums["learned_generalizable"] > sums["learned_by_chance"],
        ]
    elif number == 2:
        holds = [learned and before is not None and before["learned"] > 0 and _order(sums) > _order(before)]
    else:
        holds = [learned and sums["learned_generalizable"] < sums["learned"] / 2]
        holds += [] if None in gap else [gap[1] > gap[0]]  # type: ignore[operator]
    return "yes" if all(holds) else "partly" if any(holds) else "no"


def _order(sums: Any, flow: str = "learned") -> float:
    return sums[f"{flow}_size"] / sums[flow]


def _flow(sums: Any, flow: str, part: str, word: str) -> str:
    """Returns nats, share and order of what is learned or removed: "4 nats, 75% generalizable (25% by chance), …"."""
    if not sums[flow]:
        return "nothing"
    chance = f" ({sums['learned_by_chance'] / sums[flow]:.0%} by chance)" if flow == "learned" else ""
    share = sums[f"{flow}_{part}"] / sums[flow]
    return f"{sums[flow]:.3g} nats, {share:.0%} {word}{chance}, order {_order(sums, flow):.1f}"


def _at(curve: pd.DataFrame, epoch: int, column: str) -> float | None:
    value: Any = curve[column].get(epoch)
    return None if value is None or pd.isna(value) else float(value)
