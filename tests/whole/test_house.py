"""The rules of the house: packages in the order of the flow, who may import what, how long and how many modules are."""

import ast
import graphlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted([ROOT / "app.py", *ROOT.glob("pages/*.py"), *ROOT.glob("interdash/**/*.py")])
# The way of the data: a package, or a module beside the packages, imports only what stands before it, lazy imports too.
ORDER = (
    *("home", "config", "presets", "formulas", "solver", "masking", "explanation", "runs", "training", "hf"),
    *("importing", "extraction", "labelling", "store", "queries", "pipeline", "figures", "paper"),
    *("upkeep", "dashboard", "commands", "study"),
)
OUTSIDE = {  # package: the only rooms that may import it
    "duckdb": ("interdash/store/", "app.py"),
    "plotly": ("interdash/figures/", "interdash/paper/", "interdash/dashboard/show.py", "app.py"),
    "streamlit": ("interdash/dashboard/", "pages/", "app.py"),
}
WITHOUT_TORCH = ("store", "queries", "figures", "paper", "dashboard", "runs.state", "runs.boundaries", "presets")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, as dotted names."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path} imports relatively"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules() -> dict[str, Path]:
    """The package's modules by dotted name."""
    inside = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in MODULES}
    return {module.removesuffix(".__init__"): path for module, path in inside.items() if module.startswith("interdash")}


def room(module: str) -> str:
    """The package below `interdash` that a module lies in, or its own name beside the packages."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module(path):
    where, lines = name(path), path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= (320 if where.startswith("pages/") else 400), "split it where it has two subjects"
    assert path.stem not in {"utils", "helpers", "common", "base", "misc"}, "name it after what it holds"
    packages = {module.partition(".")[0] for module in imports(path)}
    for package, rooms in OUTSIDE.items():
        assert package not in packages or where.startswith(rooms), f"{package} belongs into {', '.join(rooms)}"
    if where.startswith("interdash/formulas/"):
        assert (
            packages
            <= {"numpy", "scipy", "sklearn", "pandas", "torch", "jaxtyping", "interdash"} | sys.stdlib_module_names
        )


def test_a_package_imports_only_packages_before_it():
    """The list of packages is the way of the data; imports inside functions and for types alone count too."""
    known = modules()
    assert {room(module) for module in known} - {"", "__main__"} == set(ORDER)
    for module, path in known.items():
        own = room(module)
        if own in ("", "__main__"):  # the public names and the command line's door lead anywhere
            continue
        for other in (imports(path) & set(known)) - {"interdash"}:
            assert ORDER.index(room(other)) <= ORDER.index(own), f"{module} imports {other}, which comes after it"


def test_imports_inside_a_package_go_round_nowhere():
    """What modules import, inside functions too, has an order."""
    known = {module: path for module, path in modules().items() if path.name not in ("__init__.py", "__main__.py")}
    needs = {module: (imports(path) & set(known)) - {module} for module, path in known.items()}
    assert "interdash.store.database" in needs["interdash.queries.dynamics"]
    list(graphlib.TopologicalSorter(needs).static_order())  # raises CycleError with the round


def test_folders_hold_few_modules():
    beside = [path for path in (ROOT / "interdash").glob("*.py")]
    assert len(beside) <= 8, "a module belongs into a package"
    for folder in (ROOT / "interdash").glob("*/"):
        assert len(list(folder.glob("*.py"))) <= 17, f"{name(folder)} holds more than 16 modules and its door"


def test_tests_mirror_the_tree():
    """A folder of tests for each package, and `whole` for what crosses them."""
    folders = {path.parent.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders - {"."} <= set(ORDER) | {"whole"}
    assert {path.stem for path in (ROOT / "tests").glob("test_*.py")} <= {
        "test_explanation",
        "test_config",
        "test_home",
        "test_pipeline",
    }


def test_the_dashboard_side_never_imports_torch():
    """Every module that the dashboard's process imports, one after the other, in a process of their own."""
    own = [module for package in WITHOUT_TORCH for module in modules() if module.startswith(f"interdash.{package}")]
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += "    assert 'torch' not in sys.modules, name"
    done = subprocess.run([sys.executable, "-c", code, *own], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and len(own) > 50, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_kind_of_input_is_asked_for_by_name(path):
    """What sets a kind apart is a field of its entry in `masking.kinds.KINDS`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            kinds = [side for side in sides if "kind" in (getattr(side, "attr", ""), getattr(side, "id", ""))]
            assert not kinds or not {"image", "text", "table"} & {
                each.value for side in sides for each in ast.walk(side) if isinstance(each, ast.Constant)
            }, f"line {node.lineno}: make it a field of Kind"


def test_colours_stand_in_the_theme():
    theme, greys = "interdash/figures/theme.py", "interdash/paper/ink.py"  # greys: what print has in place of each
    coloured = {
        name(path) for path in MODULES if re.search(r'"[^"\n]*#[0-9A-F]{6}\b', path.read_text(encoding="utf-8"))
    }
    assert theme in coloured and coloured <= {theme, greys}


@pytest.mark.parametrize("path", sorted(ROOT.glob("interdash/figures/**/*.py")), ids=name)
def test_a_figure_asks_and_opens_no_store(path):
    """A figure's questions go through `Ask`: from the cache on a page, straight from the store for a file."""
    assert not [module for module in imports(path) if module.startswith("interdash.store")]
