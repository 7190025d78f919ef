import pandas as pd

from interdash.queries.phase_words import finding, phase_table

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


def rows(**places):
    return [line[2:-2].split(" | ") for line in phase_table(boundaries(**places), EPOCHS, FLOWS).splitlines()[2:]]


def test_finding_in_words():
    assert finding(boundaries(first=2, second=5), FLOWS) == (
        "Up to epoch 2, 90% of what is removed is non-generalizable. Of what is learned, 75% generalizes up to epoch 2 "
        "(25% by chance), 50% from there to 5 (10%), 10% from there to 9 (5%)."
    )
    whole = finding(boundaries(), FLOWS)
    assert whole.startswith("Phases 1, 2 and 3 cannot be told apart. Up to epoch 9, 77% of what is removed")
    assert whole.endswith("Of what is learned, 35% generalizes up to epoch 9 (11% by chance).")
    assert finding(boundaries(first=2), FLOWS).startswith("Phases 2 and 3 cannot be told apart. Up to epoch 2, 90%")
    assert finding(boundaries(), FLOWS.head(0)) == ""


def test_three_phases_with_what_was_learned_and_removed():
    first, second, third = rows(first=2, second=5)
    assert first == [
        "1",
        "0–2",
        "2 nats, 90% non-generalizable, order 4.0",
        "4 nats, 75% generalizable (25% by chance), order 1.0",
        "0% → 71%",
        "0.00 → 0.10 nats",
        "yes: *noise is removed, simple generalizable interactions are learned*",
    ]
    assert second[3] == "6 nats, 50% generalizable (10% by chance), order 2.0" and second[5] == "0.10 → −0.30 nats"
    assert second[6].startswith("yes: *increasingly complex")
    assert third[2] == "nothing" and third[6].startswith("yes: *mostly non-generalizable")


def test_claims_that_do_not_hold_are_not_confirmed():
    def verdicts(**changed):
        table = phase_table(boundaries(first=2, second=5), EPOCHS, FLOWS.assign(**changed))
        return [line.split(" | ")[-1].split(":")[0] for line in table.splitlines()[2:]]

    assert verdicts(removed_other=[0.1, 0.5, 0]) == ["partly", "yes", "yes"]
    assert verdicts(learned_size=[20.0, 6.0, 40.0], removed_other=[0.1, 0, 0], learned_by_chance=[3.0, 0, 0]) == [
        "no", "no", "yes",
    ]  # fmt: skip
    assert verdicts(learned_generalizable=[3.0, 3.0, 9.0]) == ["yes", "yes", "partly"]  # the gap grows all the same


def test_phases_that_are_missing():
    both, last = rows(second=5)
    assert both[:3] == ["1–2, not told apart", "0–5", "3 nats, 77% non-generalizable, order 3.3"]
    assert both[6].startswith("not told apart: *noise is removed") and last[:2] == ["3", "5–9"]
    assert rows(first=2)[1][:2] == ["2–3, not told apart", "2–9"]
    (whole,) = rows()
    assert whole[:2] == ["1–3, not told apart", "0–9"] and whole[4] == "0% → 45%"
    assert rows(first=9, second=9)[1] == ["2", "9", "–", "–", "–", "–", "no recorded epoch in it"]
    phases = pd.DataFrame({"boundary": ["1|2"], "epoch": [2.0]})
    assert phase_table(pd.DataFrame(), EPOCHS, FLOWS) == phase_table(phases, EPOCHS, FLOWS.head(0)) == ""
