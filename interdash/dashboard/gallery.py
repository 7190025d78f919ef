"""The list of a run's samples: a wall of thumbnails, or lines of text. No chart: a click redraws only a frame."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import pandas as pd
import streamlit as st
from streamlit.components import v2

from interdash.dashboard.show import below
from interdash.figures import inputs, theme


class Sort(NamedTuple):
    """One way to sort the samples, by a column: its words in addresses, what it is, and how its values are written."""

    words: str
    title: str
    form: str = ".0%"


SORTS = {  # by column, see `sample.SAMPLE_SORTS`
    "sample": Sort("number", "number", ".0f"),
    "label": Sort("label", "label", "s"),
    "loss": Sort("highest loss", "loss (nats)", ".3f"),
    "change": Sort("largest change by removal", "change of loss by removal (nats)", "+.2f"),
    "non_generalizable": Sort("strongest non-generalizable", "non-generalizable (nats)", ".2f"),
    "non_generalizable_share": Sort("most non-generalizable", "non-generalizable (%)"),
    "salient_strength": Sort("strongest", "salient strength (nats)", ".2f"),
    "salient": Sort("most interactions", "salient interactions", ".0f"),
    "confusion": Sort("most confusing", "confusion (%)"),
    "net_share": Sort("most cancelling", "ρ (%)"),
    "high_order_share": Sort("most high orders", "high orders (%)"),
    "highest_order": Sort("highest order", "highest order", ".0f"),
    "gap": Sort("largest certified gap", "certified gap (%)", ".1%"),
    "noise": Sort("largest noise", "largest |δ| (nats)", ".3f"),
    "stratum": Sort("stratum", "stratum of the final loss", ".0f"),
}
ABOUT = (
    "Removal: of its non-generalizable interactions. Confusion: the mean rank among the samples by how much its "
    "interactions cancel and by the share of high orders, of more than half of the variables [ours]. ρ = |ΣI| / Σ|I|: "
    "at 0 they cancel. Among equals, the one with the most non-generalizable strength comes first."
)
HOW = (
    "Click an image to look at that sample; below it stands what the list is sorted by. A vermillion cross marks a "
    "sample that the network gets wrong at this epoch, an orange frame the one shown, a question mark a random label, "
    "where it is known which are."
)
_STYLE = f"""
.gallery {{display: grid; grid-template-columns: repeat(auto-fill, 46px); gap: 5px; padding: 4px;}}
.gallery span {{font: 11px/13px var(--st-font, sans-serif); color: var(--st-text-color); white-space: nowrap;}}
button {{position: relative; width: 46px; padding: 0; border: 0; background: none; cursor: pointer;}}
button:hover, button:focus-visible {{outline: 2px solid var(--st-text-color); outline-offset: 1px;}}
button[aria-pressed=true] {{outline: 4px solid {inputs.CHOSEN}; outline-offset: 0;}}
img {{width: 100%; height: 46px; image-rendering: pixelated; display: block;}}
.wrong::after {{
    content: "✕"; position: absolute; top: 0; right: 0; width: 14px; font: bold 13px/14px sans-serif;
    color: {theme.NON_GENERALIZABLE}; background: #fff;
}}
.random::before {{
    content: "?"; position: absolute; top: 32px; left: 0; width: 14px; font: bold 13px/14px sans-serif;
    color: #000; background: {theme.ORANGE};
}}
"""
_SCRIPT = """
export default function({data, parentElement, setTriggerValue}) {
    const wall = parentElement.querySelector('.gallery');
    data.samples.forEach((sample, i) => {
        const button = wall.children[i] ?? wall.appendChild(document.createElement('button'));
        const image = button.firstChild ?? button.appendChild(document.createElement('img'));
        const value = button.lastChild === image
            ? button.appendChild(document.createElement('span')) : button.lastChild;
        value.textContent = sample.value;
        if (image.src !== sample.image) Object.assign(image, {src: sample.image, alt: ''});
        button.title = sample.words;
        button.setAttribute('aria-label', sample.words);
        button.setAttribute('aria-pressed', sample.sample === data.chosen);
        button.className = [!sample.correct && 'wrong', sample.random && 'random'].filter(Boolean).join(' ');
        button.onclick = () => setTriggerValue('sample', sample.sample);
    });
    while (wall.children.length > data.samples.length) wall.lastChild.remove();
}
"""
_wall = v2.component("interdash_gallery", html='<div class="gallery" role="group"></div>', css=_STYLE, js=_SCRIPT)


def gallery(
    samples: pd.DataFrame, choose: Callable[[int], None], *, chosen: int | None = None, sort: str = "sample"
) -> None:
    """Draws the thumbnails, under each the value by which they are sorted.

    Args:
        samples: rows of `sample.samples` of a run on images, and as many thumbnails.
        choose: called with the number of a sample that is clicked.
        chosen: number of the sample shown beside.
        sort: one of `SORTS`.
    """
    if samples.empty:
        st.caption("No image fits these filters.")
        return

    def clicked() -> None:
        if st.session_state["gallery"]["sample"] is not None:
            choose(int(st.session_state["gallery"]["sample"]))

    images = (inputs.data_uri(png) for png in samples["image"])
    thumbnails = [
        {"sample": int(row.sample), "image": image, "words": words(row), "correct": bool(row.correct)}
        | {"random": bool(inputs.true_label_text(row._asdict())), "value": value}
        for row, image, value in zip(cast(Any, samples.itertuples()), images, values(samples, sort), strict=True)
    ]
    _wall(key="gallery", data={"samples": thumbnails, "chosen": chosen}, on_sample_change=clicked)
    below(f"Under each: {SORTS[sort].title}.", HOW, {"gallery": samples.drop(columns="image")}, "gallery")


def values(samples: pd.DataFrame, sort: str) -> list[str]:
    """Returns by what each sample is sorted, as text."""
    column, form = "label_name" if sort == "label" else sort, SORTS[sort].form
    return ["–" if pd.isna(value) else f"{value:{form}}".replace("-", "−") for value in samples[column].tolist()]


def list_of_texts(samples: pd.DataFrame, sort: str = "sample") -> pd.DataFrame:
    """Returns rows of `sample.samples` as a list for people: by what it is sorted first, shares in per cent."""
    said = [inputs.true_label_text(row) for row in samples.to_dict("records")]
    words = {
        "input": [inputs.summary_text(display) for display in samples["display"]],
        "label": samples["label_name"],
        **({"true label": said} if any(said) else {}),
        "answer": ["right" if correct else "wrong" for correct in samples["correct"]],
        "split": samples["split"],
    }
    numbers = {
        title: samples[column] * (100 if form.endswith("%") else 1)
        for column, (_, title, form) in SORTS.items()
        if title not in words
    }
    first = {name: numbers[name] for name in ("number", SORTS[sort].title) if name in numbers}
    return pd.DataFrame(first | words | numbers)


def words(sample: Any) -> str:
    """Returns what hovering over a sample says, and a screen reader."""
    share = (
        "" if pd.isna(sample.non_generalizable_share) else f"\n{sample.non_generalizable_share:.0%} non-generalizable"
    )
    stratum = "" if pd.isna(sample.stratum) else f", stratum {sample.stratum:.0f} of the final loss"
    true = inputs.true_label_text(sample._asdict())
    return (
        f"sample {sample.sample}, {sample.split}{stratum}"
        f"{true and f'{chr(10)}{true}'}"
        f"\nlabel {sample.label_name}, {'right' if sample.correct else 'wrong'}"
        f"\nloss {sample.loss:.3f} nats{share}"
        f"\nhighest order {sample.highest_order}, certified gap {sample.gap:.1%}"
    )
