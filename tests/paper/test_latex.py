"""LaTeX as it is handed out, compiled by a real pdfLaTeX: figures, captions, tables; one column of text and two."""

import io
import re
import shutil
import subprocess
import zipfile
from itertools import cycle

import pytest

from interdash.figures.choice import Choice
from interdash.paper import bundle, chromium, latex
from interdash.paper.settings import Settings
from tests.conftest import PATIENCE, store_of

PACKAGES = "texlive-latex-base texlive-latex-recommended texlive-fonts-recommended"
LAYOUTS = {  # venue: class, text width, what stands before the text
    "neurips": (r"\documentclass{article}", r"\usepackage[textwidth=5.5in,textheight=9in]{geometry}"),
    "icml-column": (r"\documentclass[twocolumn]{article}",
                    r"\usepackage[textwidth=6.75in,textheight=9in,columnsep=0.25in]{geometry}"),
}  # fmt: skip
WORDS = "Words of the paper stand around its figures, as many as a column needs to show where it ends. " * 12


def compiled(folder, name, body, venue="neurips"):
    """Compiles a document twice; returns what pdfLaTeX complains of: errors, boxes, references, labels, floats."""
    if shutil.which("pdflatex") is None:
        pytest.fail(f"pdflatex is missing; install it with `apt-get install --no-install-recommends {PACKAGES}`")
    kind, geometry = LAYOUTS[venue]
    text = rf"{kind}\usepackage{{times}}{latex.PREAMBLE}{geometry}\usepackage[hidelinks]{{hyperref}}\begin{{document}}"
    (folder / f"{name}.tex").write_text(f"{text}\n{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode"]
    for last in (["-draftmode", f"{name}.tex"], [f"{name}.tex"]):  # the first pass only looks for labels
        ran = subprocess.run([*command, *last], cwd=folder, capture_output=True, check=False, timeout=PATIENCE)
    log = (folder / f"{name}.log").read_text(errors="replace")
    wrong = re.findall(r"^(?:!|Overfull|\S+ (?:\S+ )?[Ww]arning:).*", log, re.MULTILINE)
    assert ran.returncode == 0 or wrong, log[-2000:]
    return wrong


def blank(figure, forms, **how):
    """Returns, as a file of one form, an empty PDF of a figure's size."""
    size = f"[0 0 {figure.layout.width * 0.75} {figure.layout.height * 0.75}]"
    parts = ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
             f"<</Type/Page/Parent 2 0 R/Resources<<>>/MediaBox{size}>>"]  # fmt: skip
    text, places = "%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(f"{len(text):010} 00000 n \n")
        text += f"{number} 0 obj{part}endobj\n"
    table = f"xref\n0 4\n0000000000 65535 f \n{''.join(places)}trailer<</Size 4/Root 1 0 R>>\n"
    return dict.fromkeys(forms, f"{text}{table}startxref\n{len(text)}\n%%EOF\n".encode())


def unzipped(content, folder):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


@pytest.mark.parametrize("venue", LAYOUTS)
@pytest.mark.parametrize("kind", ["image", "census", "movies"])
def test_a_bundle_compiles_without_a_warning(kind, venue, request, labelled_run, tmp_path, monkeypatch):
    """Every figure of a run, every table and caption, in one document; the figures in its columns.

    Of the first, every fifth figure is drawn; of the others, LaTeX sees empty pages of the figures' sizes.
    """
    drawers = cycle([chromium.drawn if (kind, venue) == ("image", "neurips") else blank, *[blank] * 4])
    monkeypatch.setattr(chromium, "drawn", lambda figure, forms, **how: next(drawers)(figure, forms, **how))
    run = labelled_run if kind == "image" else request.getfixturevalue("worded")[kind]
    choice = Choice(sample=1, top=5)
    with store_of(run) as store:
        panels = "gap/interactions" if venue == "icml-column" else "order_strength_row/dynamics,interactions"
        folder, content, _ = bundle.bundle(store, run, Settings(("all", panels), venue, choice=choice))
    unzipped(content, tmp_path)
    tables = sorted((tmp_path / folder / "tables").glob("*.tex"))
    body = [rf"\input{{{folder}/figures.tex}}", *(rf"\input{{{folder}/tables/{path.name}}}" for path in tables)]
    figures = (tmp_path / folder / "figures.tex").read_text()
    (tmp_path / folder / "figures.tex").write_text(re.sub(r"(\\end\{figure\*?\})", rf"\1\\clearpage {WORDS}", figures))
    assert not compiled(tmp_path, "paper", "\n\\clearpage ".join([WORDS, *body]), venue)
    assert len(tables) == 5 and figures.count(r"\label") == len(list((tmp_path / folder / "figures").iterdir()))
    assert r"\centering" in figures and r"\caption" in figures
