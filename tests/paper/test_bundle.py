"""Figures as files: by the command, as a bundle with rows and provenance, as one HTML file."""

import hashlib
import io
import json
import re
import zipfile
from dataclasses import replace

import pandas as pd
import pytest
from click.testing import CliRunner

from interdash.commands.main import commands
from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.paper import bundle, chromium, provenance, tables, venues
from interdash.paper.settings import Settings, resolved
from interdash.queries.asking import Ask
from interdash.runs import parts
from interdash.runs import tables as tables_on_disk
from interdash.runs.run import Run


@pytest.mark.parametrize("forms", [("svg", "html"), ("html",), ("png", "svg"), ("pdf", "png")])
def test_latex_names_only_files_that_are_there(labelled_run, small_store, figures, forms):
    text = bundle.figures_tex(Ask(labelled_run, small_store), figures, Settings(formats=forms))
    named = re.findall(r"\\include(\w+)\[.*?\]\{tiny-\w{6}/figures/(\w+)\.(\w+)\}", text)
    assert {form for _, _, form in named} <= set(forms)
    assert [name for _, name, _ in named] == ([] if forms == ("html",) else list(figures))
    assert {command for command, _, _ in named} <= {"svg" if forms[0] == "svg" else "graphics"}
    assert (text == "") == (forms == ("html",))


def test_csv_is_exact():
    frame = pd.DataFrame({"x": [0.1 + 0.2, 1e-300], "members": [[1, 2], [3]], "image": [b"png", b"png"]})
    read = pd.read_csv(io.BytesIO(bundle.csv(frame)))
    assert read["x"].tolist() == frame["x"].tolist()
    assert read["members"].tolist() == ["[1, 2]", "[3]"]
    assert "image" not in read and read["image_sha256"].tolist() == [hashlib.sha256(b"png").hexdigest()] * 2


@pytest.mark.parametrize("missing", [None, pd.NA])
def test_lists_are_json_whatever_comes_first(missing):
    frame = pd.DataFrame({"members": [missing, (1, 2)], "image": [missing, b"png"]})
    lines = bundle.csv(frame).decode().splitlines()
    assert lines[1] == "," and lines[2].startswith('"[1, 2]",')


def test_settings_are_checked_and_come_back_from_json():
    settings = Settings(("dynamics",), "120mm", ("pdf", "svg"), looks={"font": "DejaVu Sans"})
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    with pytest.raises(ValueError, match="cannot be written as 'eps'"):
        Settings(formats=("eps",))
    with pytest.raises(ValueError, match="a bitmap of 1 dpi cannot be made; choose 30 to 2400"):
        Settings(dpi=1)


def export_command(root, *arguments):
    return CliRunner().invoke(commands, ["export", "--root", str(root), *map(str, arguments)], catch_exceptions=False)


def test_command_writes_a_figure(labelled_run, tmp_path, chromium):
    said = export_command(
        labelled_run.path.parent, "tiny", "--figure", "order_strength", "--venue", "icml-column", "--legend", "off",
        *("--format", "pdf", "--format", "svg", "--format", "png", "--dpi", 192, "--out", tmp_path),
    )  # fmt: skip
    assert said.exit_code == 0
    stem = "tiny-order_strength-epoch3"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{stem}.{form}" for form in ("pdf", "png", "svg")]
    svg = (tmp_path / f"{stem}.svg").read_text()
    assert 'width="3.25in"' in svg and "generalizable" not in svg
    assert int.from_bytes((tmp_path / f"{stem}.png").read_bytes()[16:20], "big") == 624


def test_the_command_says_which_figures_no_page_has_room_for(labelled_run, tmp_path, monkeypatch):
    monkeypatch.setattr(chromium, "drawn", lambda figure, forms, **how: dict.fromkeys(forms, b"%PDF"))
    spec = "removals/removal_doses/dynamics/order_map"
    for extra in ([], ["--bundle"]):
        said = export_command(labelled_run.path.parent, "tiny", "--panels", spec, "--venue", "icml-column", *extra,
                              "--out", tmp_path)  # fmt: skip
        assert said.exit_code == 0
        says = r"Warning: removals\+.*: 3.25 × \d+\.\d in is more than a page holds with its caption \(.* in\): choose"
        assert re.search(says, said.output)


def contents(path):
    """Returns the files of a bundle, by their names in its folder."""
    with zipfile.ZipFile(path) as archive:
        assert all(name.startswith(f"{path.stem}/") for name in archive.namelist())
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def test_bundle_is_made_again_from_its_provenance(ready_run, tmp_path, chromium, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    root = ready_run.path.parent
    made = export_command(root, "tiny", "--bundle", "--figure", "dynamics", "--figure", "input_image", "--format",
                          "pdf", "--format", "html", "--sample", 2, "--out", tmp_path / "a")  # fmt: skip
    assert made.exit_code == 0
    (first,) = (tmp_path / "a").iterdir()
    before = contents(first)
    picture = "input_image-sample2-epoch3-input"
    assert {
        *("figures/dynamics.pdf", "figures/dynamics.html", "figures.tex"),
        *(f"rows/{picture}.parquet", f"rows/{picture}.csv", "tables/phases.tex"),
    } <= set(before)
    assert b"image_sha256" in before[f"rows/{picture}.csv"]
    (tmp_path / "provenance.json").write_bytes(before["provenance.json"])
    again = export_command(root, "--from", tmp_path / "provenance.json", "--out", tmp_path / "b")
    assert again.exit_code == 0
    assert (tmp_path / "b" / first.name).read_bytes() == first.read_bytes()
    after = contents(tmp_path / "b" / first.name)
    for name in [name for name in before if name.endswith(".parquet")]:
        frames = [pd.read_parquet(io.BytesIO(files[name])) for files in (before, after)]
        pd.testing.assert_frame_equal(*frames)
    Run(ready_run.path).record_metrics("target", 2, train_loss=1.0, test_loss=2.0, train_accuracy=0, test_accuracy=0)
    changed = export_command(root, "--from", first, "--out", tmp_path / "c")
    assert changed.exit_code == 1 and "rows/dynamics-epochs.csv is not what it was when" in changed.output


def test_a_changed_pixel_changes_the_rows():
    frame = pd.DataFrame({"image": [b"one pixel"]})
    assert bundle.csv(frame) != bundle.csv(frame.assign(image=[b"One pixel"]))


def test_provenance_says_what_everything_was_made_from(two_runs, two_store, undrawn):
    tiny, twin = (Run(two_runs / name) for name in ("tiny", "twin"))
    settings = Settings(("dynamics", "curves"), formats=("html",), choice=Choice(runs=("twin",)))
    _, _, said = bundle.bundle(two_store, tiny, settings, others=[twin])
    assert said["settings"]["choice"]["epoch"] == 3 and said["settings"]["choice"]["other_epoch"] == 3
    assert said["settings"]["choice"]["epochs"] == (0, 1, 3)
    assert said["data_versions"] == {
        "format": tables_on_disk.FORMAT, "algorithm": parts.ALGORITHM, "labelling": parts.LABELLING
    }  # fmt: skip
    assert set(said["runs"]) == {"tiny", "twin"}
    for name, run in (("tiny", tiny), ("twin", twin)):
        made = said["runs"][name]
        assert made["config"] == run.manifest["config"] and made["explained_sha256"] == run.explained_hash()
        assert made["checkpoints_sha256"]["target"]["3"] == run.checkpoint_hash("target", 3)
    everything = resolved(Ask(tiny, two_store), Settings())
    assert list(everything.figures) == catalogue.offered(Ask(tiny, two_store), Choice())


def test_all_is_the_bundle_and_from_takes_no_other_choice(labelled_run, tmp_path, undrawn):
    root = labelled_run.path.parent
    said = export_command(root, "tiny", "--figure", "all", "--format", "html", "--out", tmp_path)
    assert said.exit_code == 0
    (bundled,) = tmp_path.iterdir()
    assert re.fullmatch(r"tiny-\w{6}\.zip", bundled.name)
    for options in (["--grey"], ["--epoch", "1"], ["--figure", "dynamics", "--venue", "icml"], ["--html"]):
        said = export_command(root, "--from", bundled, *options, "--out", tmp_path / "again")
        assert said.exit_code == 2
        for option in options[::2]:
            assert "--from makes the same bundle again; leave out" in said.output and option in said.output


def test_provenance_of_something_else(labelled_run, tmp_path):
    (tmp_path / "other.json").write_text('{"format": 7}')
    with pytest.raises(ValueError, match=r"is no provenance of figures .format 7 is not 2.; take the provenance.json"):
        provenance.read(tmp_path / "other.json")
    said = export_command(labelled_run.path.parent)
    assert said.exit_code == 2 and "which run? give its name, or --from provenance.json" in said.output


def test_compared_runs(two_runs, two_store):
    ask, choice = Ask(Run(two_runs / "tiny"), two_store), Choice(runs=("twin",))
    found = catalogue.names(ask, choice)
    assert found[-3:] == ["curves", "difference", "difference_by_order"]
    for name in found[-3:]:
        made = bundle.printed(catalogue.drawing(ask, name, choice), venues.venue("cvpr-column"))
        assert made.data and made.layout.width == 312


def test_docs_name_every_venue_and_option():
    text = (ui.FOLDER.parent / "docs" / "figures.md").read_text()
    for name, venue in venues.VENUES.items():
        assert f"| {name} | {venue.width:.4g} | {venue.font} | {venue.label:g}, {venue.tick:g} |" in text
    for option in commands.commands["export"].params:
        if option.name not in {"run", "root", "out", "dpi", "as_bundle", "source"}:
            assert option.opts[0] in text, option.opts


def test_handout_holds_all_it_needs(labelled_run, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "CHARTS", catalogue.CHARTS[::5])  # of all of them: test_browser
    said = export_command(labelled_run.path.parent, "tiny", "--html", "--out", tmp_path)
    assert said.exit_code == 0
    text = (tmp_path / "tiny.html").read_text()
    assert text.count("Plotly.newPlot") > 6 and "peak of H" in text
    headings = {*re.findall("<h2>(.*?)</h2>", text)}
    assert "Generalizable share (H)" in headings <= {*tables.TITLES.values(), "Configuration"}
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)


def test_two_bundles_in_one_folder_overwrite_nothing(labelled_run, small_store, tmp_path, undrawn):
    choices = (Choice(), Choice(epoch=1), Choice(sample=2), Choice(scale="nats"))
    every = [Settings(choice=choice) for choice in choices]
    every += [Settings(venue="icml", formats=("pdf", "png")), Settings(looks={"colours": "grey"})]
    count = 0
    for settings in every:
        settings = replace(settings, figures=("waterfall", "dynamics"))
        with zipfile.ZipFile(io.BytesIO(bundle.bundle(small_store, labelled_run, settings)[1])) as archive:
            archive.extractall(tmp_path)
            count += len(archive.namelist())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == count and len(list(tmp_path.iterdir())) == len(every)
    text = "".join(path.read_text() for path in files if path.suffix == ".tex")
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(labels) == len(set(labels)) == 7 * len(every)  # two figures, five tables
    assert any(path.name == "waterfall-sample0-epoch1.pdf" for path in files)
    assert any(re.fullmatch(r"fig:tiny-\w{6}-waterfall-sample2-epoch3", label) for label in labels)


def test_a_renamed_run_is_the_same_and_another_one_is_named(two_runs, two_store, undrawn):
    tiny, twin = (Run(two_runs / name) for name in ("tiny", "twin"))
    settings = Settings(("share_and_gap",), formats=("html",))
    one, other = (bundle.bundle(two_store, run, settings)[2] for run in (tiny, twin))
    assert provenance.changes(one, other) == []
    foreign = other | {"runs": {"twin": other["runs"]["twin"] | {"explained_sha256": "0"}}}
    (words,) = provenance.changes(one, foreign)
    assert words == "run twin explains other samples than tiny did: it is another run"
    less = other | {"rows_sha256": {}}
    words = "rows/share_and_gap-correlations.csv is not what it was when the bundle was made"
    assert words in provenance.changes(one, less)
