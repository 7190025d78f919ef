"""Printed figures as pgfplots source: lines and bars that a paper draws itself, in its own fonts."""

import html
import math
import re
from typing import Any

import plotly.graph_objects as go

from interdash.latex import escaped

PREAMBLE = r"\usepackage[utf8]{inputenc}\usepackage{pgfplots}\pgfplotsset{compat=1.17}\usetikzlibrary{plotmarks}"
_DASHES = {"dash": "dashed", "dot": "dotted", "dashdot": "dash dot", "longdash": "dash pattern=on 7pt off 2pt"} | {
    "longdashdot": "dash pattern=on 7pt off 2pt on 1pt off 2pt"
}
_MARKS = {"circle": "*", "circle-open": "o", "square": "square*", "square-open": "square", "diamond": "diamond*"} | {
    "diamond-open": "diamond", "x": "x", "triangle-right": "triangle*", "triangle-left": "triangle*",
    "triangle-up": "triangle*", "line-ns-open": "|",
}  # fmt: skip
_ANCHORS = {"middle left": "east", "middle right": "west", "top center": "south", "bottom center": "north"}


def source(figure: go.Figure) -> str | None:
    r"""Returns a tikzpicture of a printed figure, every number in it; None for maps and images.

    The document says `PREAMBLE`; sizes are those of the PDF, in the fonts of the document.
    """
    printed: Any = figure
    if any(trace.type not in ("scatter", "bar") for trace in printed.data) or _is_map(printed):
        return None
    traces = [trace for trace in printed.data if trace.x is not None and len(trace.x)]
    if not traces:
        return None
    colours: dict[str, str] = {}
    axes: dict[tuple[str, str], list[Any]] = {}
    for trace in traces:
        axes.setdefault((trace.xaxis or "x", trace.yaxis or "y"), []).append(trace)
    body: list[str] = []
    legend = [trace for trace in traces if trace.showlegend is not False and trace.name]
    for i, ((x, y), here) in enumerate(axes.items()):
        options = _axis(printed, x, y, colours)
        if i == 0 and printed.layout.showlegend and legend:
            options.append(
                "legend style={draw=none, fill=none, font=\\footnotesize, legend columns=3, cells={anchor=west}, "
                "at={(0,1)}, anchor=south west, yshift=5mm}"
            )
        body += [r"  \begin{axis}[", *(f"    {option}," for option in options), "  ]"]
        body += [line for shape in printed.layout.shapes for line in _shape(printed, shape, x, y, colours)]
        bases: dict[tuple[Any, bool], float] = {}
        for trace in here:
            at = (_places(trace.x, printed.layout[_axis_key(x)]), _places(trace.y, printed.layout[_axis_key(y)]))
            body += _bars(trace, *at, colours, bases) if trace.type == "bar" else _line(trace, *at, colours)
        if i == 0 and printed.layout.showlegend:
            for trace in legend:
                body.append(rf"    \addlegendimage{{{_look(trace, colours)}}}\addlegendentry{{{text(trace.name)}}}")
        body += [line for note in printed.layout.annotations for line in _note(printed.layout, note, x, y, axes)]
        body.append(r"  \end{axis}")
    names = [rf"  \definecolor{{{name}}}{{HTML}}{{{code}}}" for code, name in colours.items()]
    return "\n".join([r"\begin{tikzpicture}", *names, *body, r"\end{tikzpicture}"]) + "\n"


def document(picture: str) -> str:
    """Returns a whole document that draws one picture, to try it."""
    head = rf"\documentclass[border=2pt]{{standalone}}{PREAMBLE}"
    return f"{head}\n\\begin{{document}}\n{picture}\\end{{document}}\n"


def text(words: str) -> str:
    r"""Returns a text of Plotly, which reads a little HTML, as LaTeX writes it.

    >>> text("x<sub>∅</sub> &lt; <b>2</b>")
    'x\\textsubscript{$\\emptyset$} $<$ \\textbf{2}'
    """
    made = ""
    for piece in re.split(r"(</?(?:b|sub|sup)>|<br>)", re.sub("</?span[^>]*>", "", words)):
        opened = {"<b>": r"\textbf{", "<sub>": r"\textsubscript{", "<sup>": r"\textsuperscript{", "<br>": r"\\ "}
        made += opened.get(piece) or ("}" if piece.startswith("</") else escaped(html.unescape(piece)))
    return made


def _is_map(figure: Any) -> bool:
    """Returns whether a figure holds a map or an image: rectangles that lie on both axes."""
    return any(shape.type == "rect" and "domain" not in f"{shape.xref}{shape.yref}" for shape in figure.layout.shapes)


def _axis(figure: Any, x: str, y: str, colours: dict[str, str]) -> list[str]:
    """Returns the options of an axis: its place in inches, as Plotly set it, scale, titles and numbers."""
    layout = figure.layout
    margin = layout.margin
    width = (layout.width - margin.l - margin.r) / 96
    height = (layout.height - margin.t - margin.b) / 96
    options = ["scale only axis", "axis on top=false", "enlarge x limits=0.04", "tick align=outside", "tick pos=left"]
    options += ["axis line style={draw=black!50}", "label style={font=\\footnotesize, align=center}"]
    options += [
        "tick label style={font=\\scriptsize, align=center}",
        "title style={font=\\footnotesize}",
        "clip mode=individual",
        "xlabel near ticks",
        "ylabel near ticks",
    ]
    if (layout.template.layout.separators or ".").startswith(","):
        options.append("/pgf/number format/use comma")
    for letter, name, length in (("x", x, width), ("y", y, height)):
        axis = layout[_axis_key(name)]
        over = layout[_axis_key(axis.overlaying)] if axis.overlaying else axis
        low, high = over.domain or (0, 1)
        side = "width" if letter == "x" else "height"
        options += [f"{side}={(high - low) * length:.4f}in"]
        options.append(f"{letter}shift={low * length:.4f}in")
        options.append(f"{letter}label={{{text(axis.title.text or '')}}}")
        if axis.type == "log":
            options.append(f"{letter}mode=log")
            if axis.exponentformat != "power":
                options.append("log ticks with fixed point")
        if axis.range is not None and axis.type != "category":
            ends = [10**end for end in axis.range] if axis.type == "log" else list(axis.range)
            options += [f"{letter}min={_number(min(ends))}", f"{letter}max={_number(max(ends))}"]
            options += [f"enlarge {letter} limits=false"] + [f"{letter} dir=reverse"] * (ends[0] > ends[1])
        elif axis.type == "category":
            options += [f"{letter}min=-0.6", f"{letter}max={len(axis.categoryarray) - 0.4:g}"]
            options += [
                f"enlarge {letter} limits=false",
                f"{letter}tick={{{','.join(map(str, range(len(axis.tickvals))))}}}",
            ]
            options.append(f"{letter}ticklabels={{{','.join(f'{{{text(word)}}}' for word in axis.ticktext[::-1])}}}")
        elif axis.rangemode == "tozero" and letter == "y" and min(_values(figure, y), default=0) >= 0:
            options.append("ymin=0")
        if axis.tickvals is not None and axis.type != "category":
            options.append(f"{letter}tick={{{','.join(map(_number, axis.tickvals))}}}")
            options.append(f"{letter}ticklabels={{{','.join(f'{{{text(word)}}}' for word in axis.ticktext)}}}")
        elif axis.dtick and not axis.type and (values := _values(figure, name)):
            start = float(axis.tick0 or 0)
            steps = range(math.ceil((min(values) - start) / axis.dtick), int((max(values) - start) / axis.dtick) + 1)
            options.append(f"{letter}tick={{{','.join(_number(start + step * axis.dtick) for step in steps)}}}")
        if axis.showticklabels is False:
            options.append(f"{letter}ticklabels={{}}")
        if axis.tickformat and "%" in axis.tickformat:
            options.append(
                f"{letter}ticklabel={{\\pgfmathparse{{100*\\tick}}\\pgfmathprintnumber{{\\pgfmathresult}}\\,\\%}}"
            )
        if axis.side == "right":
            options += ["ytick pos=right", "yticklabel pos=right", r"xtick=\empty", "xticklabels={}", "xlabel={}"]
    return options


def _values(figure: Any, name: str) -> list[float]:
    """Returns all that is drawn along an axis."""
    found = []
    for trace in figure.data:
        if trace.x is not None and (trace[f"{name[0]}axis"] or name[0]) == name:
            found += _places(trace[name[0]], figure.layout[_axis_key(name)])
    return [value for value in found if value is not None]


def _line(trace: Any, x: list[Any], y: list[Any], colours: dict[str, str]) -> list[str]:
    pieces: list[list[str]] = [[]]
    for one, other in zip(x, y, strict=True):
        if one is None or other is None:
            pieces.append([])
        else:
            pieces[-1].append(f"({_number(one)},{_number(other)})")
    end = r" \closedcycle" if trace.fill == "tonexty" else " -- cycle" if trace.fill == "toself" else ""
    look = rf"    \addplot[{_look(trace, colours)}, forget plot] coordinates"
    lines = _error_bars(trace, x, y, colours) + [f"{look} {{{' '.join(piece)}}}{end};" for piece in pieces if piece]
    return lines + _texts(trace, x, y) if trace.mode and "text" in trace.mode else lines


def _error_bars(trace: Any, x: list[Any], y: list[Any], colours: dict[str, str]) -> list[str]:
    """Returns a line from low to high for each interval along x."""
    bars = trace.error_x
    if bars.array is None:
        return []
    colour = _colour(bars.color or trace.line.color or _one(trace.marker.color, 0), colours)[0]
    ends = zip(x, y, bars.arrayminus if bars.arrayminus is not None else bars.array, bars.array, strict=True)
    width = f"line width={0.75 * (bars.thickness or 2):.2f}pt"
    look = rf"    \addplot[{colour}, solid, {width}, mark=|, forget plot] coordinates"
    return [
        f"{look} {{({_number(one - low)},{_number(other)}) ({_number(one + high)},{_number(other)})}};"
        for one, other, low, high in ends
        if one is not None and other is not None and (low or high)
    ]


def _texts(trace: Any, x: list[Any], y: list[Any]) -> list[str]:
    words = [trace.text] * len(x) if isinstance(trace.text, str) else trace.text or ()
    places = (
        [trace.textposition] * len(x) if isinstance(trace.textposition, str) else trace.textposition or [""] * len(x)
    )
    lines = []
    for one, other, word, place in zip(x, y, words, places, strict=True):
        if word:
            at, anchor = f"(axis cs:{_number(one)},{_number(other)})", _ANCHORS.get(str(place), "south")
            lines.append(rf"    \node[font=\scriptsize, anchor={anchor}] at {at} {{{text(word)}}};")
    return lines


def _bars(
    trace: Any, x: list[Any], y: list[Any], colours: dict[str, str], bases: dict[tuple[float, bool], float]
) -> list[str]:
    """Returns one closed path a bar: they begin where those before ended, up and down apart, or where `base` says."""
    across = trace.orientation == "h"
    lines, ends = [], []
    for i, (place, length) in enumerate(zip(*((y, x) if across else (x, y)), strict=True)):
        if not length:
            continue
        key = (place, length > 0)
        start = float(trace.base[i]) if trace.base is not None else bases.get(key, 0.0)
        bases[key] = start + length
        sides = ((start, place - 0.4), (bases[key], place - 0.4), (bases[key], place + 0.4), (start, place + 0.4))
        corners = [f"{_number(a)},{_number(b)}" if across else f"{_number(b)},{_number(a)}" for a, b in sides]
        path = " -- ".join(f"(axis cs:{corner})" for corner in corners)
        lines.append(rf"    \draw[{_look(trace, colours, i).removesuffix(', area legend')}] {path} -- cycle;")
        ends += [f"({corners[0]})", f"({corners[2]})"]
    if ends:  # paths widen no axis
        lines.append(rf"    \addplot[draw=none, mark=none, forget plot] coordinates {{{' '.join(ends)}}};")
    return lines


def _shape(figure: Any, shape: Any, x: str, y: str, colours: dict[str, str]) -> list[str]:
    """Returns a band or line over the whole height or width of an axis, or nothing if it is another one's."""
    if (shape.xref or "x").split()[0] != x or (shape.yref or "y").split()[0] != y:
        return []
    corners = []
    for a, b in ((shape.x0, shape.y0), (shape.x1, shape.y1)):
        along = [f"rel axis cs:{_number(a)},0" if "domain" in (shape.xref or "") else f"axis cs:{_number(a)},1"]
        along.append(f"rel axis cs:0,{_number(b)}" if "domain" in (shape.yref or "") else f"axis cs:1,{_number(b)}")
        corners.append(f"({{{along[0]}}} |- {{{along[1]}}})")
    if shape.type == "rect":
        colour, opacity = _colour(shape.fillcolor, colours)
        look = f"draw=none, fill={colour}, fill opacity={opacity:g}"
        return [rf"    \path[{look}] {corners[0]} rectangle {corners[1]};"]
    look = ", ".join(["black!60", *filter(None, [_DASHES.get(shape.line.dash)])])
    return [rf"    \draw[{look}] {corners[0]} -- {corners[1]};"]


def _note(layout: Any, note: Any, x: str, y: str, axes: Any) -> list[str]:
    """Returns a text on the axis it belongs to; one that lies on the paper belongs to the axis it stands over."""
    x_ref, y_ref = note.xref or "x", note.yref or "y"
    across, up = (layout[_axis_key(name)].domain or (0, 1) for name in (x, y))
    if x_ref == y_ref == "paper":
        if (x, y) != min(axes, key=lambda pair: _distance(layout, note, *pair)):
            return []
    elif x_ref not in (x, "paper") or y_ref not in (y, "paper"):
        return []
    if y_ref == "paper" and not up[0] <= note.y <= up[1] + 1e-6:
        return []
    ends = []
    for name, reference, value, (low, high) in ((x, x_ref, note.x, across), (y, y_ref, note.y, up)):
        if reference == "paper":
            ends.append(("rel axis cs:", _number((value - low) / (high - low))))
        else:
            ends.append(("axis cs:", _number(10**value if layout[_axis_key(name)].type == "log" else value)))
    place = f"({{{ends[0][0]}{ends[0][1]},1}} |- {{{ends[1][0]}1,{ends[1][1]}}})"
    sides = {"left": "west", "right": "east", "bottom": "south", "top": "north"}
    anchor = " ".join(filter(None, (sides.get(note.yanchor), sides.get(note.xanchor)))) or "center"
    look = f"font=\\scriptsize, anchor={anchor}, align=center" + (", rotate=-90" if note.textangle == 90 else "")
    return [rf"    \node[{look}] at {place} {{{text(note.text)}}};"]


def _distance(layout: Any, note: Any, x: str, y: str) -> float:
    """Returns how far a text on the paper is from the top of an axis."""
    across, up = (layout[_axis_key(name)].domain or (0, 1) for name in (x, y))
    return max(across[0] - note.x, note.x - across[1], 0) + abs(note.y - up[1])


def _axis_key(name: str) -> str:
    return f"{name[0]}axis{name[1:]}"


def _look(trace: Any, colours: dict[str, str], i: int = 0) -> str:
    """Returns the options of a trace: colours, dash, width, mark."""
    marker = trace.marker
    if trace.type == "bar":
        fill, opacity = _colour(_one(marker.color, i), colours)
        line = marker.line.width
        edge = _colour(_one(marker.line.color, i), colours)[0] if line and _one(line, i) else "none"
        return f"draw={edge}, fill={fill}, fill opacity={opacity:g}, area legend"
    if trace.fill:
        colour, opacity = _colour(trace.fillcolor, colours)
        return f"draw=none, fill={colour}, fill opacity={opacity:g}, mark=none, area legend"
    mode = trace.mode or "lines+markers"
    colour = _colour(trace.line.color or _one(marker.color, i), colours)[0]
    width = f"line width={0.75 * (trace.line.width or 1):.2f}pt"
    look = [colour, "solid", width] if "lines" in mode and trace.line.width else [colour, "only marks"]
    if "lines" in mode and (dash := _DASHES.get(trace.line.dash)):
        look.append(dash)
    if "markers" not in mode:
        return ", ".join([*look, "mark=none"])
    mark = _MARKS.get(str(_one(marker.symbol or "circle", i)), "*")
    fill = _colour(_one(marker.color, i) or trace.line.color, colours)[0]
    return ", ".join([*look, f"mark={mark}", f"mark size={0.375 * (_one(marker.size, i) or 6):.2f}pt",
                      f"mark options={{solid, draw={fill}, fill={fill}}}"])  # fmt: skip


def _colour(code: Any, colours: dict[str, str]) -> tuple[str, float]:
    """Returns the LaTeX name of a colour and its opacity; black for the ink, which has none."""
    if code is None or code == "#000000":
        return "black", 1.0
    opacity = 1.0
    if found := re.fullmatch(r"rgba?\((\d+), ?(\d+), ?(\d+)(?:, ?([\d.]+))?\)", str(code)):
        code = "#" + "".join(f"{int(part):02X}" for part in found.groups()[:3])
        opacity = float(found[4] or 1)
    return colours.setdefault(str(code)[1:].upper(), f"ink{len(colours)}"), opacity


def _one(value: Any, i: int) -> Any:
    return value if value is None or isinstance(value, str | int | float) else value[i]


def _places(values: Any, axis: Any) -> list[float | None]:
    """Returns where values lie on an axis; categories lie at whole numbers."""
    if axis.type == "category":
        known = list(axis.categoryarray)
        return [None if value is None else float(known.index(value)) for value in values]
    return [None if value is None or not math.isfinite(value) else float(value) for value in values]


def _number(value: float) -> str:
    return f"{float(value):.10g}"
