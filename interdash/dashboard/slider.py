"""The slider inside an animated chart: where it is let go, or its play is stopped, that epoch is pinned."""

from collections.abc import Callable

import streamlit as st
from streamlit.components import v2

_SCRIPT = """
export default function({data, setTriggerValue}) {
    let known;
    const listen = () => {  // again where the chart is drawn anew
        const graph = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
        if (!graph?.on || graph.on === known) return;
        known = graph.on;
        const pin = slider => setTriggerValue('epoch', Number(slider.steps[slider.active].label));
        graph.on('plotly_sliderend', event => pin(event.slider));
        graph.on('plotly_buttonclicked', ({button}) => {
            if (button.args[0]?.[0] === null) pin(graph._fullLayout.sliders[0]);
        });
    };
    const timer = setInterval(listen, 200);
    return () => clearInterval(timer);
}
"""
_slider = v2.component("interdash_slider", html="<span></span>", js=_SCRIPT)


def on_release(chart: str, choose: Callable[[int], None]) -> None:
    """Calls `choose` with the epoch at which the slider of a chart, by the chart's key, is let go."""
    key = f"slider-{chart}"

    def moved() -> None:
        if (epoch := st.session_state[key]["epoch"]) is not None:
            choose(int(epoch))

    _slider(key=key, data={"chart": chart}, on_epoch_change=moved)
