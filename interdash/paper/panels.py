"""Several charts as one figure: panels (a), (b), (c) with one legend, plot areas and axes of epochs aligned."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from interdash.paper import ink, legends
from interdash.paper.layout import in_margins, template
from interdash.paper.venues import COLUMN, CORNERS, POINT, Venue

NARROWEST = 1.6  # inches of a chart; narrower ones are set below each other


def composed(rows: Sequence[Sequence[go.Figure]], venue: Venue, *, stretch: float = 1.0) -> go.Figure:
    """Returns charts of the screen as one printed figure, row by row; charts of a row share the width.

    Plot areas of a row begin and end at the same heights, and those in columns of one width at the same left and
    right; axes of the same title and scale cover the same range. One legend stands over all charts, or inside of one,
    if that of one of them names everything; else each has its own. `stretch` as in `layout.printed`.
    """
    rows = [line for row in rows for line in _fitting(row, venue)]
    colours = venue.colours
    printed = [[_part(figure, venue, len(row), with_legend=True, stretch=stretch) for figure in row] for row in rows]
    names = [_names(part, colours) for row in printed for part in row]
    shared = len(names) > 1 and any(one.keys() >= {key for other in names for key in other} for one in names)
    inside = names.index(max(names, key=len)) if shared and venue.legend in CORNERS else None  # of which chart
    if shared:
        numbers = iter(range(len(names)))
        printed = [
            [_part(figure, venue, len(row), with_legend=next(numbers) == inside, stretch=stretch) for figure in row]
            for row in rows
        ]
    tops = [part["layout"]["margin"]["t"] for row in printed for part in row]
    _align(printed)
    size, top, below = venue.label * POINT, 0.0, 0.0
    whole: dict[str, Any] = {"data": [], "layout": {"shapes": [], "annotations": []}}
    heights = [row[0]["layout"]["height"] for row in printed]
    known: set[tuple[str, str]] = set() if inside is None else {*names[inside]}
    if shared and inside is None:
        over: Any = go.Figure([*max(names, key=len).values()], {"showlegend": True})
        room = legends.legend(over, venue)
        top, below = 4 + room.above, room.below
        whole["layout"] |= {"legend": over.layout.legend, "showlegend": True}
    number, start, height = 0, 0.0, sum(heights)
    for row, high in zip(printed, heights, strict=True):
        for i, part in enumerate(row):
            left, down = i * venue.width / len(row) * 96, part["layout"]["margin"]["t"] - tops[number]
            has_own, place = not shared or number == inside, _Place(left, start, venue.width * 96, height)
            number += 1
            _name(part, set() if has_own else known, colours)
            if has_own and part["layout"].get("showlegend"):
                own = part["layout"]["legend"]
                if own["yref"] == "paper":
                    at = {"x": place.x(own["x"], part["layout"]), "y": place.y(own["y"], part["layout"])}
                else:
                    from_top = down if own["y"] else high
                    at = {"x": left / venue.width / 96, "y": 1 - (start + from_top) / height}
                named = [trace for trace in part["data"] if trace.get("showlegend")]
                wide = venue.width / len(row) * 96
                columns = legends.in_columns(own | at, len(named) * (len(row) > 1), wide, (venue.width * 96, height))
                for column, looks in enumerate(columns):
                    key = f"legend{number}" if len(columns) == 1 else f"legend{100 * number + column}"
                    whole["layout"][key] = looks
                    for trace in named[column :: len(columns)]:
                        trace["legend"] = key
            _add(whole, part, place, number, size)
        start += high
    _match(whole["layout"])
    layout = whole["layout"] | {
        "width": venue.width * 96,
        "height": math.ceil(top + height + below),
        "barmode": "relative",
    }
    layout |= {"bargap": 0.2, "hovermode": False, "template": template(venue)}
    layout["margin"] = {"l": 0, "r": 0, "t": top, "b": below, "pad": 0, "autoexpand": False}
    layout["meta"] = {"plots": sum(max(part["layout"]["meta"]["plots"] for part in row) for row in printed)}
    layout.setdefault("showlegend", inside is not None or not shared)
    made = go.Figure(whole["data"], layout)
    return ink.grey(made) if venue.colours == "grey" else made


class _Place:
    """Where a part lies in the whole, in pixels from the left and the top."""

    def __init__(self, left: float, top: float, width: float, height: float) -> None:
        self.left, self.top, self.width, self.height = left, top, width, height

    def x(self, share: float, layout: dict[str, Any]) -> float:
        """Returns where a share of the part's plot area lies, as a share of the whole."""
        margin = layout["margin"]
        inside = layout["width"] - margin["l"] - margin["r"]
        return min(max((self.left + margin["l"] + share * inside) / self.width, 0.0), 1.0)

    def y(self, share: float, layout: dict[str, Any]) -> float:
        margin = layout["margin"]
        inside = layout["height"] - margin["t"] - margin["b"]
        return min(max(1 - (self.top + margin["t"] + (1 - share) * inside) / self.height, 0.0), 1.0)


def _fitting(row: Sequence[go.Figure], venue: Venue) -> list[Sequence[go.Figure]]:
    """Returns a row as it is, or in rows of fewer charts where they would be too narrow."""
    most = 1 if venue.width < COLUMN else max(1, min(len(row), int(venue.width / NARROWEST)))
    most = next(count for count in range(most, 0, -1) if len(row) % count == 0)
    return [row[i : i + most] for i in range(0, len(row), most)]


def _part(figure: go.Figure, venue: Venue, count: int, *, with_legend: bool, stretch: float) -> dict[str, Any]:
    """Returns a chart printed in its share of the width, as plain lists and dicts."""
    venue_of_part = replace(venue, width=venue.width / count, colours="colour")
    part: Any = ink.plain(in_margins(figure, venue_of_part, with_legend=with_legend, stretch=stretch))
    layout, size = part["layout"], venue.label * POINT
    legend = layout.get("legend", {})
    under_legend = with_legend and layout.get("showlegend") and (legend["yref"], legend["y"]) == ("container", 1.0)
    room = 1.3 * size if under_legend else max(0.0, 4 + 1.5 * size - layout["margin"]["t"])
    layout["margin"]["t"] += room  # for the letter
    layout["height"] += room
    return part


def _align(rows: list[list[dict[str, Any]]]) -> None:
    """Gives charts of a row one height and the same margins above and below, those of a column the same beside."""
    for row in rows:
        layouts = [part["layout"] for part in row]
        inside = max(each["height"] - each["margin"]["t"] - each["margin"]["b"] for each in layouts)
        top, below = (max(each["margin"][side] for each in layouts) for side in ("t", "b"))
        for each in layouts:
            each["margin"] |= {"t": top, "b": below}
            each["height"] = top + inside + below
    for count in {len(row) for row in rows}:
        for column in zip(*(row for row in rows if len(row) == count), strict=True):
            for side in ("l", "r"):
                margins = [part["layout"]["margin"] for part in column if _has_axis(part)]
                for margin in margins:
                    margin[side] = max(each[side] for each in margins)


def _has_axis(part: dict[str, Any]) -> bool:
    """Returns whether a chart has an axis to align: neither words nor an image."""
    return bool(part["data"]) and part["layout"].get("yaxis", {}).get("showticklabels") is not False


def _key(trace: dict[str, Any], colours: str) -> tuple[str, str]:
    """Returns what a trace is in a legend: its name, in grey also its type; ("", …) if it has no entry."""
    named = trace.get("showlegend") is not False and trace["type"] != "image"
    return (trace.get("name") or "") if named else "", trace["type"] if colours == "grey" else ""


def _names(part: dict[str, Any], colours: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Returns the first trace of each name in the legend of a part."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    if part["layout"].get("showlegend"):
        for trace in part["data"]:
            if _key(trace, colours)[0]:
                entries.setdefault(_key(trace, colours), trace)
    return entries


def _name(part: dict[str, Any], known: set[tuple[str, str]], colours: str) -> None:
    """Leaves the first trace of each name in the legend, of those that are not known from charts before."""
    entries = _names(part, colours)
    for trace in part["data"]:
        if trace["type"] != "image":
            key = _key(trace, colours)
            trace["showlegend"] = key in entries and entries[key] is trace and key not in known
            known |= {key}


def _add(whole: dict[str, Any], part: dict[str, Any], place: _Place, number: int, size: float) -> None:
    """Adds a part to the whole: its axes get numbers of their own, what lies in shares of its paper is moved."""
    layout, target = part["layout"], whole["layout"]
    first = 100 * number  # of its axes, which are fewer

    def renamed(reference: str) -> str:
        letter, index, rest = re.fullmatch(r"([xy])(\d*)( domain)?", reference).groups()  # pyright: ignore
        return f"{letter}{first + int(index or 1)}{rest or ''}"

    def moved(item: dict[str, Any]) -> dict[str, Any]:
        item = dict(item)
        for letter, where in (("x", place.x), ("y", place.y)):
            reference = item.get(f"{letter}ref") or letter
            keys = [key for key in (letter, f"{letter}0", f"{letter}1") if key in item]
            if reference == "paper":
                item |= {key: where(item[key], layout) for key in keys}
            else:
                item[f"{letter}ref"] = renamed(reference)
        return item

    for key in [key for key in layout if re.fullmatch(r"[xy]axis\d*", key)]:
        letter, axis = key[0], dict(layout[key])
        where = place.x if letter == "x" else place.y
        axis["domain"] = [where(share, layout) for share in axis.get("domain", (0, 1))]
        for name in ("anchor", "overlaying", "matches", "scaleanchor"):
            if re.fullmatch(r"[xy]\d*", str(axis.get(name, ""))):
                axis[name] = renamed(axis[name])
        axis.setdefault("anchor", renamed("y" if letter == "x" else "x"))
        target[f"{letter}axis{first + int(key[5:] or 1)}"] = axis
    for trace in part["data"]:
        trace |= {f"{letter}axis": renamed(trace.get(f"{letter}axis") or letter) for letter in "xy"}
        bar = trace.get("marker", {}).get("colorbar")
        if bar and trace["marker"].get("showscale"):
            low, high = (place.y(bar["y"] + side * bar["len"] / 2, layout) for side in (-1, 1))
            bar |= {"x": place.x(bar["x"], layout), "y": (low + high) / 2, "len": high - low}
        whole["data"].append(trace)
    for kind in ("shapes", "annotations"):
        target[kind] += [moved(item) for item in layout.get(kind, ())]
    target["annotations"].append(
        {
            "text": f"<b>({chr(ord('a') + number - 1)})</b>", "xref": "paper", "yref": "paper", "showarrow": False,
            "x": place.left / place.width, "y": place.y(1, layout), "xanchor": "left", "yanchor": "bottom",
            "yshift": 2, "font": {"size": size},
        }
    )  # fmt: skip


def _match(layout: dict[str, Any]) -> None:
    """Lets axes of the same title and scale, whose range follows what is drawn, cover the same range.

    All x axes do; the y axes of a chart follow those of the charts beside it, not its own other panels.
    """
    leaders: dict[tuple[Any, ...], str] = {}
    for key in [key for key in layout if re.fullmatch(r"[xy]axis\d+", key)]:
        axis, name, chart = layout[key], f"{key[0]}{key[5:]}", int(key[5:]) // 100
        title = (axis.get("title", {}).get("text") or "").replace("<br>", " ")
        fixed = {"range", "matches", "scaleanchor", "overlaying"} & axis.keys() or axis.get("type") == "category"
        if not title or fixed:
            continue
        row = () if key[0] == "x" else tuple(round(end, 6) for end in axis["domain"])  # at the same heights
        leader = leaders.setdefault((key[0], title, axis.get("type", ""), row), name)
        if leader != name and (key[0] == "x" or int(leader[1:]) // 100 != chart):
            axis["matches"] = leader
