"""Words as LaTeX writes them."""

PREAMBLE = r"\usepackage{graphicx,booktabs}"  # what figures.tex and the tables need

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "τ": r"$\tau$", "Σ": r"$\Sigma$", "∅": r"$\emptyset$",
    "κ": r"$\kappa$", "δ": r"$\delta$", "ρ": r"$\rho$", "×": r"$\times$", "≥": r"$\geq$", "−": "$-$", "ⁿ": "$^n$",
    "|": r"$|$", "<": r"$<$", ">": r"$>$", "\u202f": r"\,", "…": r"\dots{}",
    "\u2009": r"\,", "±": r"$\pm$", "α": r"$\alpha$", "→": r"$\to$", "–": "--", "²": "$^2$",
}  # fmt: skip


def escaped(text: str) -> str:
    """Returns a text as LaTeX writes it.

    >>> escaped("95 % of Σ|I|")
    '95 \\\\% of $\\\\Sigma$$|$I$|$'
    """
    return "".join(_LATEX.get(letter, letter) for letter in text)
