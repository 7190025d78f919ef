"""Dynamics: losses, strengths, H and orders of one run over its epochs."""

import streamlit as st

from interdash import queries, ui
from interdash.figures import dynamics

with ui.page("Dynamics") as page:
    left, middle, right = st.columns(3)
    with left:
        split = ui.choose_split()
    with middle:
        label = ui.choose_label(page)
    with right:
        kind = ui.choose_type()
    types = ("and", "or") if kind == "apart" else (kind,)
    epochs = page.ask(queries.epochs, split=split, label=label)
    strength = page.ask(queries.strength, split=split, label=label, types=types)
    epoch = ui.choose_epoch(page)
    ui.show(dynamics.dynamics, {"epochs": epochs, "strength": strength}, key="dynamics", pinned=epoch)
    orders = page.ask(queries.order_strength, split=split, label=label, types=(types[0],))
    ui.show(dynamics.order_strength, orders, key="orders", pinned=epoch)
