"""What each phase of a run shows, in words: what was removed, what was learned, at which orders. No torch."""

from typing import Any

import numpy as np
import pandas as pd

EXPECTED = {  # what three-phase says of each phase
    1: "noise is removed, simple generalizable interactions are learned",
    2: "increasingly complex interactions are learned",
    3: "mostly non-generalizable interactions are learned, and the loss gap grows",
}
NAMES = {"generalizable": "generalizable", "non_generalizable": "non-generalizable"}
SMALL = 0.005  # share of the largest strength of the run: a change below it is none


def phase_words(phases: pd.DataFrame, epochs: pd.DataFrame, orders: pd.DataFrame) -> str:
    """Returns one paragraph for each phase that was found, in Markdown; one for all if none was told apart.

    "" before the run is labelled.

    Args:
        phases: what `dynamics.phases` gives.
        epochs: what `dynamics.epochs` gives: losses and H.
        orders: what `dynamics.order_strength` gives for both types together, in nats.
    """
    if phases.empty or orders.empty:
        return ""
    recorded = sorted(set(orders["epoch"].tolist()))
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
    strengths = orders.pivot(index="epoch", columns="size", values=["generalizable", "non_generalizable"]).fillna(0.0)
    curve = epochs.set_index("epoch")
    return "\n\n".join(
        _phase(which, start, end, strengths, curve)
        for which, start, end in zip(numbers, edges[:-1], edges[1:], strict=True)
    )


def _phase(which: list[int], start: int, end: int, strengths: pd.DataFrame, curve: pd.DataFrame) -> str:
    # a last number without its boundary is not told apart: "phase 1", "phases 1–2"
    name = f"Phase {which[0]}" if len(which) == 1 else f"Phases {which[0]}–{which[-1]}, not told apart"
    if start == end:
        return f"**{name}, epoch {start}:** no recorded epoch in it."
    said = [_part(part, strengths[part], start, end) for part in NAMES]
    power, gap = ([_at(curve, epoch, column) for epoch in (start, end)] for column in ("generalization_power", "gap"))
    if None not in power:
        said.append(f"H {power[0]:.0%} → {power[1]:.0%}")
    if None not in gap:
        said.append(f"loss gap {gap[0]:z.2f} → {gap[1]:z.2f} nats".replace("-", "−"))
    expected = "; ".join(EXPECTED[number] for number in which)
    return f"**{name}, epochs {start}–{end}:** {'; '.join(said)}. *Published: {expected}.*"


def _at(curve: pd.DataFrame, epoch: int, column: str) -> float | None:
    value: Any = curve[column].get(epoch)
    return None if value is None or pd.isna(value) else float(value)


def _part(part: str, by_order: Any, start: int, end: int) -> str:
    """Returns what happened to one part between two epochs: what was learned, removed, and at which orders."""
    values = by_order.to_numpy(float)
    epochs = by_order.index.tolist()
    first, last = epochs.index(start), epochs.index(end)
    total = values.sum(1)
    change = values[last] - values[first]
    small = SMALL * total.max()
    said = f"{NAMES[part]} strength {total[first]:.3g} → {total[last]:.3g} nats"
    learned, removed = change.clip(min=0), (-change).clip(min=0)
    words = []
    if learned.sum() > small:
        words.append(f"learned at {_orders(learned)}")
    if removed.sum() > small:
        words.append(f"removed at {_orders(removed)}")
    inside = total[first : last + 1]
    lowest = int(inside.argmin())
    if 0 < lowest < len(inside) - 1 and inside[0] > 0 and inside[lowest] < 0.9 * inside[0]:
        words.append(f"{1 - inside[lowest] / inside[0]:.0%} of it gone at epoch {epochs[first + lowest]}")
    return said + (f" ({', '.join(words)})" if words else " (hardly any change)")


def _orders(change: np.ndarray) -> str:
    """Returns the smallest run of orders around the largest change that holds two thirds of it: "orders 1–2 (81 %)"."""
    whole = change.sum()
    low = high = int(change.argmax())
    while change[low : high + 1].sum() < 2 / 3 * whole:
        below = change[low - 1] if low > 0 else -1.0
        above = change[high + 1] if high + 1 < len(change) else -1.0
        low, high = (low - 1, high) if below >= above else (low, high + 1)
    share = change[low : high + 1].sum() / whole
    return f"order {low + 1} ({share:.0%})" if low == high else f"orders {low + 1}–{high + 1} ({share:.0%})"
