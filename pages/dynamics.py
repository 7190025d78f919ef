"""Dynamics: losses, strengths, H and orders of one run over its epochs."""

import streamlit as st

from interdash import queries, queries_removal, spindle, ui
from interdash.boundaries import gap_start
from interdash.figures import dynamics, orders
from interdash.phase_words import phase_words

with ui.page("Dynamics") as page:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = ui.choose_split()
        types = ui.choose_types()
        log = ui.choose_log()
        with st.container(width=200):
            label = ui.choose_label(page)
    chosen = {"split": split, "label": label}
    epochs = page.ask(queries.epochs, **chosen)
    strength = page.ask(queries.strength, **chosen, types=types)
    phases = page.ask(queries.phases)
    epoch = ui.choose_epoch(page) if ui.labelled_epochs(page) else None
    if epoch is not None:
        ui.facts(epochs, epoch)
    floor = page.ask(queries_removal.robustness)  # of all samples, AND and OR together
    floor = floor if (split, label, types) == ("all", -1, ("all",)) else floor.head(0)
    frames = {"epochs": epochs, "strength": strength, "phases": phases, "noise floor": floor}
    st.subheader(dynamics.finding_text(epochs), anchor=False)
    pin = ui.pin_clicked("dynamics", page)
    marks = {"log": log, "pinned": epoch, "gap_start": gap_start(epochs)}
    ui.show(dynamics.dynamics, frames, key="dynamics", on_select=pin, note=page.note, **marks)
    ui.need_labels(page, samples=False)
    ui.choose_phases(page, phases, dynamics.phase_text(phases))
    st.markdown(phase_words(phases, epochs, page.ask(queries.order_strength, **chosen)))

    view, section = ui.choose_section(["Orders at one epoch", "Six epochs", "Order × epoch"])
    with section:
        if view == "Order × epoch":
            for kind in types:
                maps = {"map": page.ask(queries.order_map, **chosen, type=kind), "phases": phases}
                ui.show(orders.order_map, maps, key=f"map-{kind}", note=page.note, log=log, type=kind)
            st.stop()
        normalised = ui.choose_normalised()
        by_order = page.ask(queries.order_strength, **chosen, types=types, normalised=normalised)
        expected = page.ask(spindle.expected_orders, **chosen, types=types, normalised=normalised)
        frames = {"orders": by_order, "spindle": expected}
        if view == "Six epochs":
            options = {"epochs": ui.choose_epochs(page), "normalised": normalised}
            ui.show(orders.order_strength_row, frames, key="six-epochs", note=page.note, **options)
        else:
            options = {"pinned": epoch, "normalised": normalised, "log": log}
            ui.show(orders.order_strength, frames | {"strength": strength}, key="orders", note=page.note, **options)
