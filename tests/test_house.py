"""The rules of the house: who may import what, how long a module may be, and what a module may not be called."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from interdash.figures import theme

ROOT = Path(__file__).parents[1]
MODULES = sorted([ROOT / "app.py", *ROOT.glob("pages/*.py"), *ROOT.glob("interdash/**/*.py")])
FORMULAS = {  # numbers in, numbers out
    *("subsets", "interactions", "projection", "sparsify", "generalization", "phases", "bootstrap", "removal"),
    *("order_shape", "spindle"),
}
PAPER = {"paper", "ink", "panels", "venues", "export"}  # of interdash/figures: how a figure becomes a file
DASHBOARD = [
    "kinds",
    "presets",
    "asking",
    "store",
    "queries",
    "queries_sample",
    "queries_compare",
    "state",
    "boundaries",
    "phase_words",
    "drilldown",
    "links",
    "ui",
    "jobs",
    "figures",
]


def imports(path: Path) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module(path):
    where, found = name(path), imports(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, "split it where it has two subjects"
    assert path.stem not in {"utils", "helpers", "common", "base", "misc"}, "name it after what it holds"
    assert "duckdb" not in found or where in {"interdash/store.py", "interdash/loading.py"} or where == "app.py"
    assert (
        "plotly" not in found or where.startswith("interdash/figures/") or where in {"app.py", "interdash/ui_charts.py"}
    )
    assert "streamlit" not in found or where == "app.py" or "interdash/ui" in where or "pages/" in where
    assert not where.startswith("pages/") or len(path.read_text(encoding="utf-8").splitlines()) <= 320
    if path.stem in FORMULAS and path.parent.name == "interdash":
        assert found <= {"numpy", "scipy", "torch", "jaxtyping", "interdash"} | sys.stdlib_module_names
        mine = re.findall(r"^from interdash(?:\.(\w+))? import (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        of = {module or each.strip() for module, names in mine for each in names.split(",")}
        assert of <= {*FORMULAS, "config"}, "a formula reads no run, no table and no page"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_kind_of_input_is_asked_for_by_name(path):
    """What sets a kind apart is a field of its entry in `kinds.KINDS`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            kinds = [side for side in sides if "kind" in (getattr(side, "attr", ""), getattr(side, "id", ""))]
            assert not kinds or not {"image", "text", "table"} & {
                each.value for side in sides for each in ast.walk(side) if isinstance(each, ast.Constant)
            }, f"line {node.lineno}: make it a field of Kind"


def test_colours_stand_in_the_theme():
    greys = ROOT / "interdash/figures/ink.py"  # what print without colour has in place of each
    text = {path: path.read_text(encoding="utf-8") for path in MODULES if path not in {Path(theme.__file__), greys}}
    assert not {path for path in text if re.search(r'"[^"\n]*#[0-9A-F]{6}\b', text[path])} - {
        ROOT / "interdash/figures/dynamics.py"
    }
    assert "#0072B2" in Path(theme.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(ROOT.glob("interdash/figures/*.py")), ids=name)
def test_a_figure_knows_no_paper_no_page_and_no_store(path):
    text = path.read_text(encoding="utf-8")
    names = set(re.findall(r"^from interdash(?:\.figures)? import (.+)$", text, re.MULTILINE))
    modules = {each.strip() for line in names for each in line.split(",")}
    modules |= set(re.findall(r"^from interdash\.(?:figures\.)?(\w+) import", text, re.MULTILINE))
    assert path.stem in PAPER or not modules & {*PAPER, "store", "bundle", "ui", "ui_data", "links"}
    assert path.stem in PAPER or modules or path.stem in {"__init__", "sheet"}  # else the patterns find nothing


def test_imports_go_round_nowhere():
    """What modules import as they are loaded, imports inside functions left out, has an order."""
    paths = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in MODULES}
    paths = {module.removesuffix(".__init__"): path for module, path in paths.items()}
    needs = {}
    for module, path in paths.items():
        asked = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("interdash"):
                asked |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            elif isinstance(node, ast.Import):
                asked |= {alias.name for alias in node.names}
        needs[module] = asked & set(paths) - {module, "interdash"}  # the package itself is loaded by any of them
    assert "interdash.store" in needs["interdash.queries"]
    list(graphlib.TopologicalSorter(needs).static_order())  # raises CycleError with the round


@pytest.mark.parametrize("module", ["interdash", *(f"interdash.{module}" for module in DASHBOARD)])
def test_the_dashboard_side_never_imports_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
