"""The built-in data: splits, scales, vocabulary and label noise, against facts about the sources."""

import hashlib
import re
from dataclasses import replace

import pytest
import torch

from interdash.presets import MOVIES, PRESETS
from interdash.training import datasets
from interdash.training.spec import Spec

NAMES = [name for name in datasets.DATASETS if name != "scipy"]  # whose answers are no classes, see tests/hf


def load(name: str, n_train: int = 200, n_test: int = 100, **changes: object) -> Spec:
    """Returns the spec of a data set's preset, with other sizes."""
    config = PRESETS[name].config
    data = replace(config.data, n_train=n_train, n_test=n_test, label_noise=0.0)
    return datasets.load(replace(config, data=replace(data, **changes)))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", NAMES)
def test_load_gives_the_sizes_asked_for_and_the_same_splits_again(name):
    first, again = load(name), load(name)
    assert len(first.train_inputs) == len(first.train_labels) == 200
    assert len(first.test_inputs) == len(first.test_labels) == 100
    assert torch.equal(first.train_inputs, again.train_inputs)
    assert torch.equal(first.test_labels, again.test_labels)
    assert first.train_labels.dtype == first.test_labels.dtype == torch.int64
    assert 0 <= first.test_labels.min() <= first.test_labels.max() < len(first.class_names)
    other = load(name, seed=1)
    assert other.train_inputs.shape != first.train_inputs.shape or not torch.equal(
        other.train_inputs, first.train_inputs
    )


@pytest.mark.parametrize("name", NAMES)
def test_load_puts_label_noise_on_the_training_labels_alone(name):
    clean = load(name)
    noisy = load(name, label_noise=0.5)
    assert torch.equal(noisy.test_labels, clean.test_labels)
    assert torch.equal(noisy.train_inputs, clean.train_inputs)
    changed = (noisy.train_labels != clean.train_labels).float().mean().item()
    n_classes = len(clean.class_names)
    assert changed == pytest.approx(0.5 * (1 - 1 / n_classes), abs=0.1)  # a drawn class may be the old one


@pytest.mark.parametrize(("name", "side"), [("digits", 8), ("mnist", 28), ("fashion", 28)])
def test_images_are_in_0_to_1_with_10_classes(name, side):
    data = load(name)
    assert data.train_inputs.shape == (200, 1, side, side)
    assert data.train_inputs.min() == 0
    assert data.train_inputs.max() == 1
    assert len(data.class_names) == 10


def test_images_of_each_class_are_as_many_as_the_sources_have():
    data = load("mnist", n_train=3000, n_test=2000)
    assert torch.cat([data.train_labels, data.test_labels]).bincount().tolist() == [500] * 10
    both = torch.cat([data.train_inputs, data.test_inputs]).flatten(1).double()
    assert len(torch.unique(both, dim=0)) == 5000
    data = load("fashion", n_train=3000, n_test=2000)
    assert data.train_labels.bincount().tolist() == [300] * 10
    assert data.test_labels.bincount().tolist() == [200] * 10
    boots = data.train_inputs[data.train_labels == data.class_names.index("Ankle boot")].mean(0)
    trousers = data.train_inputs[data.train_labels == data.class_names.index("Trouser")].mean(0)
    assert boots[0, 18:22].mean() > 0.5 > trousers[0, :, :5].mean() + 0.4  # names are in the source's order
    table = (datasets.DATA / "README.md").read_text()
    files = sorted([*datasets.DATA.glob("*.npz"), *datasets.DATA.glob("*.gz")])
    assert len(files) == 5
    for path in files:
        assert f"`{path.name}` | `{hashlib.sha256(path.read_bytes()).hexdigest()}`" in table


def test_census_is_scaled_by_the_training_split_alone():
    data = load("census")
    assert len(data.columns) == 12
    assert "loan" not in data.columns
    column = torch.tensor(data.column_of_feature)
    assert len(column) == data.train_inputs.shape[1]
    for i, name in enumerate(data.columns):
        train, test = data.train_inputs[:, column == i], data.test_inputs[:, column == i]
        if name in datasets.CENSUS_CATEGORIES:
            assert torch.equal(train.sum(1), torch.ones(200))
            assert set(test.sum(1).tolist()) <= {0.0, 1.0}  # 0: a category that the training split does not have
            assert (train.sum(0) > 0).all()
        else:
            assert train.shape[1] == 1
            assert train.mean().item() == pytest.approx(0, abs=1e-5)
            assert train.std(correction=0).item() == pytest.approx(1, abs=1e-4)
            assert test.mean().item() != pytest.approx(0, abs=1e-5)
    row = data.train_display[0]
    assert list(row) == list(data.columns)
    age = torch.tensor([float(each["age"]) for each in data.train_display])
    assert torch.allclose(data.train_inputs[:, 0], (age - age.mean()) / age.std(correction=0), atol=1e-5)


def test_census_and_movies_have_no_test_row_that_equals_a_training_row():
    data = load("census", n_train=8000, n_test=8000)
    train, test = ({tuple(row.values()) for row in split} for split in (data.train_display, data.test_display))
    assert not train & test
    assert len(train) < 8000  # the source does repeat rows
    data = load("movies", n_train=6000, n_test=4000)
    positive = torch.cat([data.train_labels, data.test_labels]).float().mean().item()
    assert positive == pytest.approx(0.5, abs=0.03)
    assert datasets.tokens("Don't <b>go</b>!") == ["don't", "b", "go", "b"]
    with pytest.raises(ValueError, match="n_test is 4072; movies has between 1 and 4,070 samples for it"):
        load("movies", n_train=6000, n_test=4072)  # two of them equal a training sentence


def test_movies_encode_words_of_the_training_vocabulary():
    data = load("movies", n_train=1000, n_test=500)
    vocabulary = datasets.vocabulary(data.train_display)
    assert vocabulary[datasets.PAD] == "<pad>"
    assert vocabulary[datasets.UNKNOWN] == "<unk>"
    assert data.train_inputs.max() == len(vocabulary) - 1
    known = set(vocabulary)
    for words, ids in zip(data.test_display[:50], data.test_inputs[:50].tolist(), strict=True):
        assert [vocabulary[i] for i in ids[: len(words)]] == [w if w in known else "<unk>" for w in words]
        assert set(ids[len(words) :]) <= {datasets.PAD}
    counts = {word: 0 for word in known}
    for words in data.train_display:
        for word in words:
            if word in counts:
                counts[word] += 1
    assert min(counts[word] for word in vocabulary[2:]) == datasets.MIN_WORD_COUNT
    share = (data.train_inputs == datasets.UNKNOWN).sum() / (data.train_inputs != datasets.PAD).sum()
    assert 0.02 < share < 0.3  # the token that masks words is trained
    train, test = ({tuple(words) for words in split} for split in (data.train_display, data.test_display))
    assert not train & test


@pytest.mark.parametrize(("name", "total"), [("digits", 1797), ("mnist", 5000), ("census", 32561)])
def test_load_refuses_more_samples_than_there_are(name, total):
    with pytest.raises(ValueError, match=f"n_train is {total}; {name} has between 1 and"):
        load(name, n_train=total, n_test=1)
    with pytest.raises(ValueError, match="n_test is 0; "):
        load(name, n_train=10, n_test=0)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("digits", {"kind": "table"}, "masking.kind is 'table', but the data are of kind 'image'; set it to that"),
        (
            "digits",
            {"baseline": "token"},
            "masking.baseline is 'token' for inputs of kind 'image'; use 'mean' or 'zero'",
        ),
        (
            "movies",
            {"baseline": "mean"},
            "masking.baseline is 'mean' for inputs of kind 'text'; use 'token' or 'embedding'",
        ),
        ("census", {"n_variables": 10}, "n_variables is 10, but the table has 12 columns, .* set it to that"),
    ],
)
def test_load_refuses_a_masking_that_does_not_fit(name, change, message):
    config = PRESETS[name].config
    with pytest.raises(ValueError, match=message):
        datasets.load(replace(config, masking=replace(config.masking, **change)))


def test_unknown_and_missing_data_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "DATA", tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no {tmp_path / 'mnist.npz'}, which comes with")):
        load("mnist")
    with pytest.raises(ValueError, match="no built-in data set 'user'; choose one of digits, mnist, fashion"):
        datasets.load(replace(MOVIES, data=replace(MOVIES.data, dataset="user")))


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_with_label_noise_refuses_what_is_no_share(share):
    with pytest.raises(ValueError, match=f"label_noise is {share}; it is a share"):
        datasets.with_label_noise(torch.zeros(3, dtype=torch.int64), share, 2, torch.Generator())
