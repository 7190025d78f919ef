"""The configuration: to JSON and back, and what is refused as it is read."""

import pytest

from interdash.config import MaskingConfig, RunConfig, TrainingConfig
from interdash.presets import DIGITS


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("training", "optimizer", "sgdd", "optimizer is 'sgdd'; choose one of sgd, adam, user"),
        ("training", "checkpoints", "some", "checkpoints is 'some'; choose one of log, all"),
        ("masking", "layout", "middle", "layout is 'middle'; choose one of central, whole"),
        ("generalization", "vote", "all", "vote is 'all'; choose one of any, majority"),
        ("split", "kapa", 0.1, "does not fit this version of interdash: .*'kapa'; open the run with the version"),
    ],
)
def test_from_json_refuses_what_is_no_configuration(part, field, value, message):
    values = DIGITS.to_json()
    with pytest.raises(ValueError, match=message):
        RunConfig.from_json(values | {part: values[part] | {field: value}})


def test_a_wrong_word_is_refused_and_json_gives_what_was_written():
    with pytest.raises(ValueError, match="at is 'output'; choose one of input, first_activation"):
        MaskingConfig("image", at="output")  # pyright: ignore[reportArgumentType]
    assert TrainingConfig(checkpoints=(1, 2)).checkpoints == (1, 2)
    assert RunConfig.from_json(DIGITS.to_json()) == DIGITS
