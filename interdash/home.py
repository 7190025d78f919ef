"""Where the files lie that ship with the package: app.py, pages/, data/, docs/, .streamlit/, requirements.txt."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
SHIPPED = PACKAGE / "shipped"  # where a wheel has them; setup.py
HOME = SHIPPED if SHIPPED.exists() else PACKAGE.parent  # … and in a checkout they lie beside the package
