import pandas as pd

from interdash.queries.phase_words import finding, phase_words

FLOWS = pd.DataFrame(
    {
        "epoch_from": [0, 2, 5],
        "epoch_to": [2, 5, 9],
        "removed": [2.0, 1.0, 0.0],
        "removed_other": [1.8, 0.5, 0.0],
        "removed_size": [8.0, 2.0, 0.0],
        "learned": [4.0, 6.0, 10.0],
        "learned_generalizable": [3.0, 3.0, 1.0],
        "learned_by_chance": [1.0, 0.6, 0.5],
        "learned_size": [4.0, 12.0, 40.0],
    }
)
EPOCHS = pd.DataFrame(
    {"epoch": [0, 2, 5, 9], "generalization_power": [0, 0.71, 0.6, 0.45], "gap": [-0.001, 0.1, -0.3, 0.5]}
)


def boundaries(**places):
    named = {"boundary": ["1|2", "2|3"], "epoch": [places.get("first"), places.get("second")]}
    return pd.DataFrame(named, dtype=object)


def words(**places):
    return phase_words(boundaries(**places), EPOCHS, FLOWS).split("\n\n")


def test_finding_in_words():
    assert finding(boundaries(first=2, second=5), FLOWS) == (
        "Up to epoch 2, 90% of what is removed is non-generalizable. Of what is learned, 75% generalizes up to epoch 2 "
        "(25% by chance), 50% from there to 5 (10%), 10% from there to 9 (5%)."
    )
    assert "Of what is learned, 35% generalizes up to epoch 9 (11% by chance)." in finding(boundaries(), FLOWS)
    assert finding(boundaries(), FLOWS.head(0)) == ""


def test_three_phases_with_what_was_learned_and_removed():
    first, second, third = words(first=2, second=5)
    assert first == (
        "**Phase 1, epochs 0–2:** removed 2 nats a sample, 90% of it non-generalizable, mean order 4.0; learned 4 "
        "nats, 75% of it generalizable (25% by chance), mean order 1.0; H 0% → 71%; loss gap 0.00 → 0.10 nats. "
        "*Published: noise is removed, simple generalizable interactions are learned.*"
    )
    assert "learned 6 nats, 50% of it generalizable (10% by chance), mean order 2.0" in second
    assert "loss gap 0.10 → −0.30 nats" in second
    assert third.startswith("**Phase 3, epochs 5–9:** removed nothing; learned 10 nats, 10% of it generalizable")


def test_phases_that_are_missing():
    both, last = words(second=5)
    assert both.startswith("**Phases 1–2, not told apart, epochs 0–5:** removed 3 nats a sample, 77% of it non-")
    assert "learned 10 nats, 60% of it generalizable" in both and last.startswith("**Phase 3, epochs 5–9:**")
    assert words(first=2)[1].startswith("**Phases 2–3, not told apart, epochs 2–9:**")
    (whole,) = words()
    assert whole.startswith("**Phases 1–3, not told apart, epochs 0–9:**") and "H 0% → 45%" in whole
    assert "**Phase 2, epoch 9:** no recorded epoch in it." in words(first=9, second=9)
    phases = pd.DataFrame({"boundary": ["1|2"], "epoch": [2.0]})
    assert phase_words(pd.DataFrame(), EPOCHS, FLOWS) == phase_words(phases, EPOCHS, FLOWS.head(0)) == ""
