"""The presets: complete, consistent with the data, and they overfit."""

from dataclasses import replace

import pytest

from interdash.config import RunConfig
from interdash.presets import PRESETS
from interdash.runs.run import check_name
from interdash.training import builtin, datasets, loop, networks
from interdash.training.spec import explained_samples


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_plain_configuration(name):
    preset = PRESETS[name].config
    assert check_name(preset.name) == name
    assert RunConfig.from_json(preset.to_json()) == preset
    assert preset.purpose.endswith(".")
    assert "\n" not in preset.purpose
    assert len(preset.purpose) <= 110
    assert preset.network.architecture in {*networks.ARCHITECTURES, "gpt"}  # of transformers
    assert len(loop.recorded_epochs(preset.training)) >= 12


@pytest.mark.parametrize("name", PRESETS)
def test_preset_fits_its_data(name):
    preset = PRESETS[name].config
    spec = datasets.load(preset)
    explained = explained_samples(spec, preset.masking.samples_per_split)
    assert len(explained) == 2 * preset.masking.samples_per_split
    assert explained.variables.n_variables == preset.masking.n_variables
    assert spec.network()(explained.inputs).shape == (len(explained), len(spec.class_names))


@pytest.mark.parametrize(
    ("name", "best_before", "gap_above"),
    [("digits", 35, 0.3), ("census", 15, 1.0), pytest.param("mnist", 30, 0.4, marks=pytest.mark.slow)],
)
def test_preset_overfits(tmp_path, name, best_before, gap_above):
    preset = PRESETS[name].config
    run = builtin.create_run(tmp_path, replace(preset, training=replace(preset.training, checkpoints=())))
    builtin.train_run(run)
    losses = run.metrics().set_index("epoch")
    gap = losses.test_loss - losses.train_loss
    assert losses.train_accuracy.iloc[-1] > 0.95
    assert gap.iloc[-1] > gap_above > gap.iloc[5]
    assert 2 < losses.test_loss.idxmin() < best_before
    assert losses.test_loss.iloc[-1] > losses.test_loss.min() + 0.1
