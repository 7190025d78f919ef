import numpy as np
import pandas as pd

from interdash.formulas.two_phase import gap_start


def test_the_gap_starts_to_rise_where_it_last_was_small_or_lowest():
    epochs = pd.DataFrame({"epoch": [0, 1, 2, 4, 8], "train_loss": [2.0, 1.5, 1.0, 0.5, 0.0]})
    gaps = [0.0, 0.2, 0.04, 0.5, 1.0]  # above 5 % of the largest from epoch 2 on; the bump at 1 went away
    assert gap_start(epochs.assign(test_loss=epochs["train_loss"] + gaps)) == 2
    assert gap_start(epochs.assign(test_loss=epochs["train_loss"] + 0.005)) is None
    assert gap_start(epochs.assign(test_loss=epochs["train_loss"] + np.arange(5) + 1)) == 0
    assert gap_start(epochs.assign(test_loss=np.nan)) is None
    gaps = [0.0, -0.4, -0.38, 0.0, 1.0]  # random training labels; it is near its lowest until epoch 2
    assert gap_start(epochs.assign(test_loss=epochs["train_loss"] + gaps)) == 2
