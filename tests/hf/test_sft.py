"""The preset `sft`: a language model that is fine-tuned by step, as small as it can be, to its pages and files."""

import json
import re
import sys
from dataclasses import replace

import pytest
import torch

from interdash import pipeline
from interdash.commands.info import run_report, run_text
from interdash.commands.main import main
from interdash.config import GeneralizationConfig
from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.paper import tables
from interdash.presets import PRESETS
from interdash.queries.asking import Ask
from interdash.runs.state import state
from interdash.training import builtin, datasets
from interdash.training.own import new_network
from tests.conftest import store_of

pytest.importorskip("transformers")
EPOCHS = re.compile(r"[Ee]pochs?\b|epoch\d")
SFT = PRESETS["sft"].config


def small(**training):
    """Returns the preset with 40 + 40 questions, four words of three of each split, three steps."""
    return replace(
        SFT,
        data=replace(SFT.data, n_train=40, n_test=40),
        masking=replace(SFT.masking, n_variables=4, samples_per_split=3),
        training=replace(SFT.training, **({"epochs": 3, "checkpoints": (0, 1, 3)} | training)),
        generalization=GeneralizationConfig(baselines=1),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the preset, by step; its model is hardly pretrained. Not to be written to."""
    from interdash.training.hf import pretraining

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "EPOCHS", 0)
        made = builtin.create_run(tmp_path_factory.mktemp("sft"), small())
        builtin.train_run(made)
        pipeline.train_baselines(made)
    assert pipeline.extract_and_label(made, workers=0).problems == []
    return made


def test_it_is_recorded_by_step(run):
    assert state(run).word == "ready"
    assert run.checkpoint_epochs("target") == [0, 1, 3]
    losses = run.metrics().query("network == 'target'")
    assert losses["epoch"].tolist() == [0, 1, 3]
    assert losses["train_loss"].iloc[-1] < losses["train_loss"].iloc[0]  # a step is one batch, two of them an epoch
    explained = run.explained()
    pairs = zip(explained.variables.names, explained.display, strict=True)
    assert all(len(names) == 4 and set(names) <= set(words) for names, words in pairs)


def test_the_answer_is_one_token_of_the_whole_vocabulary_and_the_splits_share_nothing():
    spec = datasets.load(small())
    assert len(spec.train_inputs) == len(spec.test_inputs) == 40
    answers = {*spec.train_inputs[:, -1].tolist(), *spec.test_inputs[:, -1].tolist()}
    assert len(answers) == len(datasets.SUBPACKAGES)
    assert not {tuple(row) for row in spec.train_inputs.tolist()} & {tuple(row) for row in spec.test_inputs.tolist()}
    network = spec.network().eval()
    with torch.no_grad():
        v = network(spec.test_inputs)[:, 1]
        assert v.max() < 0  # one word of two thousand
        loss = network.loss(spec.test_inputs)
    assert torch.nn.functional.softplus(-v).mean().item() == pytest.approx(loss.item(), rel=1e-4)
    with pytest.raises(ValueError, match="n_train is 9999; scipy has between 1 and"):
        datasets.load(replace(small(), data=replace(SFT.data, n_train=9999)))


def test_pretraining_lowers_the_loss_of_the_next_token_by_its_seed(monkeypatch):
    from interdash.training.hf import pretraining

    texts = [f"a {noun} is a {noun}".split() for noun in ("cat", "dog", "fish")] * 100
    _, tokenizer = pretraining.small_language_model(texts)
    rows = tokenizer([" ".join(words) for words in texts])["input_ids"]
    ids, losses, weights = torch.tensor(rows), [], []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        model = pretraining.small_language_model(texts)[0]
        model.register_forward_hook(lambda module, inputs, output: output.logits)
        with torch.no_grad():
            before = torch.nn.functional.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        pretraining.pretrain(model, rows, seed)
        with torch.no_grad():
            after = torch.nn.functional.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        losses.append((before.item(), after.item()))
        weights.append(model.lm_head.weight.detach().clone())
    assert all(after < before - 0.5 for before, after in losses)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_training_begins_where_the_spec_says():
    def begin(network, seed):
        torch.nn.init.constant_(network.model.lm_head.weight, seed)

    spec = replace(datasets.load(small()), begin=begin)
    assert new_network(spec, 7).model.lm_head.weight.unique().tolist() == [7]


def test_charts_captions_and_tables_speak_of_steps(run):
    with store_of(run) as store:
        ask = Ask(run, store)
        for name in catalogue.names(ask, Choice()):
            for drawing in catalogue.each(ask, name, Choice()):
                figure = json.loads(drawing.figure().to_json())
                for trace in figure["data"]:
                    trace.pop("customdata", None)
                shown = json.dumps([figure, drawing.caption, drawing.how_to_read, drawing.in_file])
                assert not EPOCHS.findall(shown), name
        axis = catalogue.drawing(ask, "dynamics", Choice()).figure().layout.xaxis4.title.text
        assert axis == "step (log scale of step + 1)"
        for frame, caption in tables.captioned(ask).values():
            assert not EPOCHS.findall(f"{[*frame.columns]} {caption}")


def test_info_speaks_of_steps(run):
    assert run_report(run)["unit"] == "step"
    text = run_text(run)
    assert "\n  step  train loss" in text and not EPOCHS.findall(text)


@pytest.mark.parametrize("stem", ["dynamics", "sample", "removal", "theories", "figures"])
def test_pages_speak_of_steps(run, visit, stem):
    page = visit(stem, run.path.parent, run=run.name)
    widgets = [*page.select_slider, *page.multiselect, *page.selectbox]
    main = page.main  # the words of the sidebar are of all runs
    said = [each.value for each in (*main.markdown, *main.subheader, *main.caption)] + [each.label for each in widgets]
    assert not [text for text in said if EPOCHS.search(text)]
    assert any(re.search(r"\b[Ss]tep", text) for text in said)


def test_what_is_missing_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setattr("sys.argv", ["interdash", "demo", "--preset", "sft", "--no-serve", "--root", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert "a language model needs transformers: `pip install 'interdash[hf]'`" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]
