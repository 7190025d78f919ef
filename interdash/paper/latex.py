r"""Words as LaTeX writes them, and the figures of a paper in their environments; pdfLaTeX, with `PREAMBLE`."""

import re
import unicodedata

PREAMBLE = r"\usepackage[T1]{fontenc}\usepackage{graphicx,booktabs}"  # what figures.tex and the tables need

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "τ": r"$\tau$", "Σ": r"$\Sigma$", "∅": r"$\emptyset$",
    "κ": r"$\kappa$", "δ": r"$\delta$", "ρ": r"$\rho$", "ε": r"$\varepsilon$", "×": r"$\times$", "≥": r"$\geq$",
    "≤": r"$\leq$", "−": "$-$", "ⁿ": "$^n$", "|": "$|$", "<": "$<$", ">": "$>$", "\u202f": r"\,", "\u2009": r"\,",
    "…": r"\dots{}", "±": r"$\pm$", "α": r"$\alpha$", "→": r"$\to$", "–": "--", "—": "---", "²": "$^2$",
    "·": r"$\cdot$", "σ": r"$\sigma$", "‖": r"$\|$", "ḡ": r"\=g", "θ": r"$\theta$", "∇": r"$\nabla$",
    "’": "'", "“": "``", "”": "''", "\u00a0": "~",
}  # fmt: skip
_MATHS = re.compile(r"v\(x(_∅)?\)|x_∅|\|Σ?I\||ḡ_te|½|1/2")  # what is set as a whole
_SET = {"v(x_∅)": r"$v(x_\emptyset)$", "v(x)": "$v(x)$", "x_∅": r"$x_\emptyset$", "|I|": "$|I|$", "½": "1/2"}
_SET |= {"|ΣI|": r"$|\Sigma I|$", "ḡ_te": r"$\bar g_{\mathrm{te}}$"}


def escaped(text: str) -> str:
    r"""Returns a text as LaTeX writes it; a letter that pdfLaTeX does not know as its plain one, or "?".

    >>> escaped("95 % of Σ|I|, from v(x_∅) on")
    '95\\% of $\\Sigma|I|$, from $v(x_\\emptyset)$ on'
    """
    pieces, end = [], 0
    for part in _MATHS.finditer(text):
        pieces += [*map(_letter, text[end : part.start()]), _SET.get(part[0], part[0])]
        end = part.end()
    pieces += map(_letter, text[end:])
    return re.sub(r"(?<=\d) \\%", r"\\%", "".join(pieces)).replace("$$", "")


def _letter(letter: str) -> str:
    if letter in _LATEX or letter < "\u0180":
        return _LATEX.get(letter, letter)
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return escaped(plain) or "?"


def figure(file: str, caption: str, label: str, reference: str = "", *, width: float, wide: bool) -> str:
    """Returns a figure `width` inches wide with caption and label, for a paper beside which the file lies.

    Args:
        file: its path; SVG needs the package svg and Inkscape.
        caption: plain text.
        label: without "fig:".
        reference: label of the figure whose caption says network, data and terms; "" = this one's does.
        width: of the figure.
        wide: whether it goes over both columns of a page.
    """
    environment = "figure*" if wide else "figure"
    command = "includesvg" if file.endswith(".svg") else "includegraphics"
    words = escaped(caption) + (rf" Network, data and terms as in Figure~\ref{{fig:{reference}}}." if reference else "")
    lines = [
        rf"\begin{{{environment}}}[t]",
        r"  \centering",
        rf"  \{command}[width={width:.4g}in]{{{file}}}",
        rf"  \caption{{{words}}}",
        rf"  \label{{fig:{label}}}",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines) + "\n"
