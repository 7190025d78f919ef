"""The texts are complete and true: charts, commands, options, variables, pages; links lead on, code runs."""

import ast
import importlib
import importlib.util
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pyarrow as pa
import pytest

from interdash.commands import main
from interdash.dashboard import help
from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.labelling import noise_floor
from interdash.runs.run import Run
from interdash.store.loading import seal
from interdash.training.dry_run import dry_run
from interdash.training.network_of_run import network_builder, train_baseline
from interdash.training.own import logits_builder
from interdash.training.spec import load_spec
from interdash.upkeep import retention
from tests.conftest import PATIENCE

ROOT = Path(__file__).parents[2]
TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MODULES = [*ROOT.glob("*.py"), *ROOT.glob("interdash/**/*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("benchmarks/*.py")]


def script(name):
    """Returns what a script of docs/ defines."""
    return runpy.run_path(str(ROOT / f"docs/{name}.py"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(path, *languages):
    """Returns the fenced blocks of a text in these languages."""
    return [content for language, content in FENCE.findall(path.read_text(encoding="utf-8")) if language in languages]


def name(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", ["charts.md", "commands.md", "store.md", "published-code.md"])
def test_generated_pages_are_fresh(page):
    """Charts, commands with their options, tables with their columns."""
    assert read(f"docs/{page}") == script("generate")["made"]()[page], "stale: run `.venv/bin/python docs/generate.py`"


def test_every_chart_is_there_and_every_option_says_what_it_does():
    text = read("docs/charts.md")
    assert len(catalogue.CHARTS) >= 20
    for chart in catalogue.CHARTS:
        assert f"### {chart.name}\n\n{chart.caption}\n\n**How to read:** {chart.how_to_read}\n" in text
    assert "### sample_interactions\n" in text  # two of them on one sheet
    for command in main.commands.commands.values():
        assert command.help, command.name
        silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
        assert not silent, f"interdash {command.name}: options without help: {silent}"


def test_every_environment_variable_is_there():
    pattern = r"""environ(?:\.get\(|\[)"(\w+)"|envvar="(\w+)"|(?:export|ENV) ([A-Z_]+)\b|(?:ENV [^\n]*? )([A-Z_]+)="""
    pattern += r"|\$\{([A-Z_]+)(?::?[-?+][^}]*)?\}"  # compose.yaml
    sources = [*MODULES, ROOT / "Makefile", *ROOT.glob("Dockerfile*"), *ROOT.glob("compose*.y*ml")]
    found = {
        next(filter(None, groups))
        for path in sources
        for groups in re.findall(pattern, path.read_text(encoding="utf-8"))
    }
    assert {"INTERDASH_ROOT", "OMP_NUM_THREADS", "BROWSER_PATH", "INTERDASH_RUNS"} <= found
    missing = {variable for variable in found if f"| `{variable}` |" not in read("docs/environment.md")}
    assert not missing, f"docs/environment.md lacks {missing}"


def test_every_file_of_a_run_is_there(ready_run):
    """A run that was extracted, given a noise floor, compacted and loaded, with its locks: no file without a row."""
    table = pa.Table.from_pylist([], schema=noise_floor.SCHEMA)
    noise_floor.store_noise_floor(ready_run, table, {"network": "", "epoch": -1, "units": [], "rules": {}})
    seal(ready_run, ready_run.path / "tiny.duckdb")
    before = {path.name for path in ready_run.parts_dir.glob("*.parquet")}
    retention.compact(ready_run)
    assert before and len(list(ready_run.parts_dir.glob("*.parquet"))) == 4
    for name in ("target-00000-00000-0123456789abcdef", "extraction"):
        (ready_run.parts_dir / "locks").mkdir(exist_ok=True)
        (ready_run.parts_dir / "locks" / f"{name}.lock").touch()
    (ready_run.parts_dir / min(before)).touch()  # a part by itself
    cells = re.findall(r"^\| (`[^|]*`) \| .* \|$", read("docs/run-folder.md"), re.MULTILINE)
    names = [name for cell in cells for name in re.findall("`([^`]+)`", cell)]
    patterns = {name: re.escape(re.sub("<[^>]+>", "<>", name)).replace("<>", r"[\w-]+") for name in names}
    patterns = {name: pattern.replace("…", ".+").replace(r"\*", r"\w+") for name, pattern in patterns.items()}
    files = [path.relative_to(ready_run.path).as_posix() for path in ready_run.path.rglob("*") if path.is_file()]
    unknown = [file for file in files if not any(re.fullmatch(pattern, file) for pattern in patterns.values())]
    assert not unknown, "docs/run-folder.md lacks them"
    of_a_run = [name for name in names if "." in name]
    idle = [name for name in of_a_run if not any(re.fullmatch(patterns[name], file) for file in files)]
    assert not idle, "docs/run-folder.md names files that are not there"


def test_every_page_is_on_the_tour_and_every_text_in_the_help(monkeypatch, tmp_path):
    headings = re.findall(r"^## (\w+)$", read("docs/tour.md"), re.MULTILINE)
    assert headings == list(ui.pages().values())
    assert help.TEXTS[:2] == ("tour", "glossary") and len(set(help.TEXTS)) == len(help.TEXTS)
    assert set(help.TEXTS) == {path.stem for path in (ROOT / "docs").glob("*.md")}
    source = "see [it](store.md#tables), [that](decisions/0001-x.md) and [web](https://a.b)"
    expected = "see [it](help?text=store), that and [web](https://a.b)"
    assert help.LINK.sub(help._link, source) == expected
    monkeypatch.setattr(help, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"tour\.md, which comes with interdash; install it again"):
        help.text("tour")


def test_pictures_show_what_there_is():
    """Each picture of docs/ has a page, and a section or heading of it, to be taken from; none is left over."""
    pictures = script("screenshots")["PICTURES"]
    assert {f"{name}.png" for name in pictures} == {path.name for path in (ROOT / "docs/images").iterdir()}
    for name, (place, _, _) in pictures.items():
        page, _, heading = place.partition("#")
        stem, _, query = page.partition("?")
        source = read(f"pages/{stem}.py")
        headings = re.findall(r'subheader\((?:page\.worded\()?f?"([^"{]*)', source)
        known = [*headings, *catalogue.views(stem)]
        assert not heading or any(each.startswith(heading) for each in known), f"{name}: no {heading!r}"
        assert all(f'key="{part.partition("=")[0]}"' in source for part in query.split("&") if part), f"{name}: {query}"


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_somewhere(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text):
        target = target[0] or target[1]
        if re.match(r"https?:|mailto:", target):
            continue
        place, _, anchor = target.partition("#")
        found = (path.parent / place).resolve() if place else path
        assert found.exists(), f"{name(path)}: {target}"
        assert ROOT in found.parents
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{name(path)}: {target}; there is {slugs}"


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_files_that_are_named_exist(path):
    if path.name == "CHANGELOG.md":
        return  # tells of what was
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for found in re.findall(r"`((?:interdash|benchmarks|docs|pages|tests)/[\w./-]+)`", text):
        assert (ROOT / found).exists() or (ROOT / f"{found}.py").exists(), f"{name(path)}: {found}"


def lines_of_commands(path):
    """Returns the commands `interdash …` and `make …` that a text names, in blocks and between backticks."""
    text = path.read_text(encoding="utf-8")
    inline = re.findall(r"`((?:interdash|make) [^`\n]+)`", FENCE.sub("", text))
    block = [line for content in blocks(path, "", "sh", "bash") for line in content.splitlines()]
    found = [re.sub(r"\s+#.*|[;&|].*", "", line) for line in [*inline, *block]]
    return [line for line in found if re.match(r"(interdash|make) [a-z]", line) and "…" not in line]


@pytest.mark.parametrize("path", [path for path in TEXTS if path.name != "CHANGELOG.md"], ids=name)
def test_commands_exist(path):
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for line in lines_of_commands(path):
        program, *words = shlex.split(line)
        if program == "make":
            assert words[0] in targets, f"{name(path)}: {line}"
            continue
        command = main.commands.commands.get(words[0])
        assert command is not None, f"{name(path)}: {line}"
        known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
        unknown = [word for word in words[1:] if word.startswith("--") and word.split("=")[0] not in {*known, "--help"}]
        assert not unknown, f"{name(path)}: {line}: {unknown}"


def python_blocks():
    return [
        pytest.param(content, id=f"{name(path)}-{number}")
        for path in TEXTS
        for number, content in enumerate(blocks(path, "python"))
    ]


@pytest.mark.parametrize("content", python_blocks())
def test_python_names_exist(content):
    """Code in a text compiles, and what it takes from interdash is there; own-run.md is run as a whole below."""
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("interdash"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "interdash":
            module = importlib.import_module("interdash")
            assert hasattr(module, node.attr) or importlib.util.find_spec(f"interdash.{node.attr}"), node.attr


LIGHTNING = """
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from my_lightning import Classifier, Digits

every = ModelCheckpoint(save_top_k=-1)
Trainer(max_epochs=2, accelerator="cpu", callbacks=[every], enable_progress_bar=False).fit(Classifier(), Digits())
"""


ONE_BY_ONE = """
import json, runpy, sys
from interdash.commands.main import main

for words in json.loads(sys.argv[1]):
    sys.argv = words
    main() if words[0] == "interdash" else runpy.run_path(words[0], run_name="__main__")
"""


def test_own_run_runs(tmp_path):
    """The files of docs/own-run.md, each named in its first line, one after the other in one folder."""
    files = {}
    for content in blocks(ROOT / "docs/own-run.md", "python"):
        file = re.match(r"# (\w+\.py)\n", content)
        assert file, content
        files[file[1]] = content
    names = "my_run.py train.py callbacks.py my_lightning.py my_several.py fine_tune.py my_hf.py importing.py"
    assert list(files) == names.split()
    for file, content in files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    imports = ["reviews --checkpoints out/checkpoint-* --spec my_hf.py:spec"]
    imports.append("lit --checkpoints lightning_logs/version_0/checkpoints/*.ckpt --spec my_lightning.py:spec")
    (tmp_path / "fit.py").write_text(LIGHTNING, encoding="utf-8")
    scripts = [[f"{name}.py"] for name in ("train", "callbacks", "importing", "fine_tune", "fit")]
    commands = json.dumps(scripts + [["interdash", "import", *words.split()] for words in imports])
    done = subprocess.run(  # in one process, for each would import the same libraries
        [sys.executable, "-c", ONE_BY_ONE, commands], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    several = load_spec(f"{tmp_path / 'my_several.py'}:spec")
    assert len(dry_run(several, 5, 0, logits_builder(several.network, 10)())) == 10
    run, imported, reviews = (Run.open(tmp_path / "data/runs", name) for name in ("my-run", "imported", "reviews"))
    assert len(run.checkpoint_epochs("target")) >= 12 and run.n_explained() == 100
    assert run.metrics()["test_loss"].iloc[-1] < run.metrics()["test_loss"].iloc[0]
    train_baseline(run, 0)
    network_builder(run)().load_state_dict(run.load_checkpoint("baseline-0", 20))
    assert imported.networks() == ["target", "baseline-0"] and imported.checkpoint_epochs("baseline-0") == [20]
    assert reviews.checkpoint_epochs("target") == [1, 2, 3]
    assert Run.open(tmp_path / "data/runs", "lit").checkpoint_epochs("target") == [1, 2]


def test_quickstart_runs(tmp_path, monkeypatch, capsys):
    """The cells of the notebook, in order, in a folder of their own; then the run can be looked at."""
    monkeypatch.chdir(tmp_path)
    space: dict = {"__name__": "__main__"}
    values = []
    for cell in json.loads(read("docs/quickstart.ipynb"))["cells"]:
        if cell["cell_type"] == "code":  # as Jupyter does: run the statements, show the value of a last expression
            body = ast.parse("".join(cell["source"])).body
            last = body.pop() if isinstance(body[-1], ast.Expr) else None
            exec(compile(ast.Module(body, []), cell["id"], "exec"), space)
            if last is not None:
                values.append(eval(compile(ast.Expression(last.value), cell["id"], "eval"), space))
    space["store"].close()
    assert "certified gap" in capsys.readouterr().out
    rows, *figures = (value for value in values if value is not None)
    assert len(rows) == 8 and len(figures) == 2 and all(figure.data for figure in figures)
    summary = Run.open(tmp_path / "quickstart-runs", "quickstart").manifest["summary"]
    assert summary["word"] == "ready" and summary["peak_generalization_power"] > 0.3


@pytest.mark.parametrize("text", help.TEXTS)
def test_pieces(text):
    """What the page Help shows: the whole text, its pictures found, its links to other texts kept."""
    pieces = help.pieces(text)
    assert help.title(text) and not help.title(text).startswith("#")
    for alt, content in pieces:
        if alt:
            assert Path(content).exists() and len(alt) > 20
        else:
            assert "](../" not in content and ".md)" not in content
    assert sum(bool(alt) for alt, _ in pieces) == len(re.findall(r"^!\[", read(f"docs/{text}.md"), re.MULTILINE))
