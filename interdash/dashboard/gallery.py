"""The samples of a run on images as a wall of thumbnails. Not a chart: a click redraws nothing but a frame."""

from collections.abc import Callable
from typing import Any, cast

import pandas as pd
import streamlit as st
from streamlit.components import v2

from interdash.dashboard.show import below
from interdash.figures import inputs, theme

CAPTION = "The samples that fit the filters, at the epoch shown on this page."
HOW = (
    "Click an image to look at that sample. A vermillion cross marks a sample that the network gets wrong at this "
    "epoch, an orange frame the one shown below, a question mark a random label, where it is known which are."
)
_STYLE = f"""
.gallery {{display: grid; grid-template-columns: repeat(auto-fill, 46px); gap: 5px; padding: 4px;}}
button {{position: relative; width: 46px; height: 46px; padding: 0; border: 0; background: none; cursor: pointer;}}
button:hover, button:focus-visible {{outline: 2px solid var(--st-text-color); outline-offset: 1px;}}
button[aria-pressed=true] {{outline: 4px solid {inputs.CHOSEN}; outline-offset: 0;}}
img {{width: 100%; height: 100%; image-rendering: pixelated; display: block;}}
.wrong::after {{
    content: "✕"; position: absolute; top: 0; right: 0; width: 14px; font: bold 13px/14px sans-serif;
    color: {theme.NON_GENERALIZABLE}; background: #fff;
}}
.random::before {{
    content: "?"; position: absolute; bottom: 0; left: 0; width: 14px; font: bold 13px/14px sans-serif;
    color: #000; background: {theme.ORANGE};
}}
"""
_SCRIPT = """
export default function({data, parentElement, setTriggerValue}) {
    const wall = parentElement.querySelector('.gallery');
    data.samples.forEach((sample, i) => {
        const button = wall.children[i] ?? wall.appendChild(document.createElement('button'));
        const image = button.firstChild ?? button.appendChild(document.createElement('img'));
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


def gallery(samples: pd.DataFrame, choose: Callable[[int], None], *, chosen: int | None = None) -> None:
    """Draws the thumbnails.

    Args:
        samples: rows of `sample.samples` of a run on images, and as many thumbnails.
        choose: called with the number of a sample that is clicked.
        chosen: number of the sample shown below.
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
        | {"random": bool(inputs.true_label_text(row._asdict()))}
        for row, image in zip(cast(Any, samples.itertuples()), images, strict=True)
    ]
    _wall(key="gallery", data={"samples": thumbnails, "chosen": chosen}, on_sample_change=clicked)
    below(CAPTION, HOW, {"gallery": samples.drop(columns="image")}, "gallery")


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
