"""Dynamics: losses, strengths, H and orders of one run over its epochs."""

import pandas as pd
import streamlit as st

from interdash import queries, queries_removal, ui
from interdash.figures import dynamics, orders
from interdash.phase_words import phase_words
from interdash.two_phase import gap_start

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

    def by_order(normalised: bool) -> dict[str, pd.DataFrame]:
        settings = {**chosen, "types": types, "normalised": normalised}
        rows = page.ask(queries.order_strength, **settings)
        return {"orders": rows, "spindle": page.ask(queries.expected_orders, **settings)}

    def show_one_epoch() -> None:
        normalised = ui.choose_normalised()
        frames = by_order(normalised) | {"strength": strength}
        options = {"pinned": epoch, "normalised": normalised, "log": log}
        ui.show(orders.order_strength, frames, key="orders", note=page.note, **options)

    def show_six_epochs() -> None:
        normalised = ui.choose_normalised()
        options = {"epochs": ui.choose_epochs(page), "normalised": normalised}
        ui.show(orders.order_strength_row, by_order(normalised), key="six-epochs", note=page.note, **options)

    def show_map() -> None:
        for kind in types:
            maps = {"map": page.ask(queries.order_map, **chosen, type=kind), "phases": phases}
            ui.show(orders.order_map, maps, key=f"map-{kind}", note=page.note, log=log, type=kind)

    ui.sections({"Orders at one epoch": show_one_epoch, "Six epochs": show_six_epochs, "Order × epoch": show_map})
