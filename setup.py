"""What pyproject.toml cannot say: a wheel holds the app, pages, data and texts that lie beside the package.

They come into the folder `shipped` of the package; interdash/home.py finds them there.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PATTERNS = (
    *("app.py", "pages/*.py", ".streamlit/config.toml", "requirements.txt", "requirements-view.txt"),
    *("data/README.md", "data/*.npz", "data/*.gz"),
    *("docs/*.md", "docs/images/*.png", "docs/study/*.svg"),  # the page Help
)
FILES = [path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
SHIPPED = [name for name in FILES if name != "docs/images/dynamics-dark.png"]  # README's alone


class BuildWithShipped(build_py):
    """The package and, unless it is installed to be edited, what ships with it."""

    def run(self):
        super().run()
        for name in () if self.editable_mode else SHIPPED:
            target = Path(self.build_lib, "interdash", "shipped", name)
            self.mkpath(str(target.parent))
            self.copy_file(str(ROOT / name), str(target))

    def get_source_files(self):
        return [*super().get_source_files(), *SHIPPED]  # so that a source distribution holds them


setup(cmdclass={"build_py": BuildWithShipped})
