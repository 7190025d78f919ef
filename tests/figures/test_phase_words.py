import numpy as np
import pandas as pd

from interdash.figures.phase_words import phase_words

EPOCHS = [0, 2, 5, 9]
GENERAL = np.array([[0, 0, 0], [4, 1, 0], [6, 3, 0], [6, 3, 0.0]])  # by epoch and order, nats
OTHER = np.array([[0, 1, 2], [0, 1, 1], [0, 2, 2], [0, 2, 9.0]])


def frames(**places):
    named = {"boundary": ["1|2", "2|3"], "epoch": [places.get("first"), places.get("second")]}
    phases = pd.DataFrame(named, dtype=object)
    orders = pd.DataFrame(
        [
            {"epoch": epoch, "size": k + 1, "generalizable": GENERAL[i, k], "non_generalizable": OTHER[i, k]}
            for i, epoch in enumerate(EPOCHS)
            for k in range(3)
        ]
    )
    power = GENERAL.sum(1) / (GENERAL + OTHER).sum(1)
    epochs = pd.DataFrame({"epoch": EPOCHS, "generalization_power": power, "gap": [0.0, 0.1, 0.2, 0.5]})
    return phases, epochs, orders


def test_three_phases_with_what_was_learned_and_removed():
    first, second, third = phase_words(*frames(first=2, second=5)).split("\n\n")
    assert first.startswith("**Phase 1, epochs 0–2:** generalizable strength 0 → 5 nats (learned at order 1 (80%));")
    assert "non-generalizable strength 3 → 2 nats (removed at order 3 (100%))" in first
    assert "H 0% → 71%" in first and "loss gap 0.00 → 0.10 nats" in first and "Published: noise is removed" in first
    assert "learned at orders 1–2 (100%)" in second
    phases, epochs, orders = frames(first=2, second=5)
    fell = epochs.assign(gap=[-0.001, -0.3, 0.2, 0.5])
    assert "loss gap 0.00 → −0.30 nats" in phase_words(phases, fell, orders)
    assert "generalizable strength 9 → 9 nats (hardly any change)" in third
    assert "non-generalizable strength 4 → 11 nats (learned at order 3 (100%))" in third


def test_phases_that_are_missing():
    only_second = phase_words(*frames(second=5)).split("\n\n")
    assert [words.split(":")[0] for words in only_second] == [
        "**Phases 1–2, not told apart, epochs 0–5",
        "**Phase 3, epochs 5–9",
    ]
    assert "33% of it gone at epoch 2" in only_second[0]
    only_first = phase_words(*frames(first=2)).split("\n\n")
    assert only_first[1].startswith("**Phases 2–3, not told apart, epochs 2–9")
    none = phase_words(*frames())
    assert none.startswith("**Phases 1–3, not told apart, epochs 0–9:** generalizable strength 0 → 9 nats")
    assert "H 0% → 45%" in none and "\n\n" not in none
    assert phase_words(pd.DataFrame(), *frames()[1:]) == ""
    moved = phase_words(*frames(first=9, second=9))
    assert "**Phase 2, epoch 9:** no recorded epoch in it." in moved
