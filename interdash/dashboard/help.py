"""The texts of docs/, for the page Help: what there is, and a text in pieces that a page can show."""

import re

from interdash.home import HOME

FOLDER = HOME / "docs"
FIRST = (
    "tour",
    "charts",
    "method",
    "study",
    "published-code",
    "own-run",
    "commands",
    "environment",
    "run-folder",
    "scaling",
)
FOUND = sorted(path.stem for path in FOLDER.glob("*.md")) or ["tour"]  # which then is said to be missing
TEXTS = (*(name for name in FIRST if name in FOUND), *(name for name in FOUND if name not in FIRST))
IMAGE = re.compile(r"^!\[([^\]]*)\]\(([\w/.-]+)\)$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^):\s]+)\)")


def title(name: str) -> str:
    """Returns the first heading of a text."""
    return text(name).partition("\n")[0].removeprefix("# ")


def text(name: str) -> str:
    """Returns a text as it lies in docs/.

    Raises:
        FileNotFoundError: the installation lacks the text.
    """
    path = FOLDER / f"{name}.md"
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}, which comes with interdash; install it again")
    return path.read_text(encoding="utf-8")


def pieces(name: str) -> list[tuple[str, str]]:
    """Returns a text without its first heading as ("", Markdown) and (alt text, path of an image), in its order.

    Links to other texts lead to the page Help; what else they lead to, files of the checkout, is only named.
    """
    body = text(name).partition("\n")[2].strip()
    split = IMAGE.split(body)  # text, alt, path, text, alt, path, …, text
    parts = [("", LINK.sub(_link, split[0]))]
    for alt, path, after in zip(split[1::3], split[2::3], split[3::3], strict=True):
        parts += [(alt, str(FOLDER / path)), ("", LINK.sub(_link, after))]
    return [(alt, content) for alt, content in parts if content.strip()]


def _link(match: re.Match[str]) -> str:
    words, target = match.groups()
    stem = target.partition("#")[0].removesuffix(".md")
    return f"[{words}](help?text={stem})" if stem in TEXTS else words
