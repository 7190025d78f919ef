"""The texts of docs/, for the page Help: what there is, a text in pieces that a page can show, and a search."""

import re
from collections.abc import Sequence
from functools import cache

from interdash.home import HOME

FOLDER = HOME / "docs"
FIRST = (
    *("tour", "glossary", "charts", "method", "study", "published-code", "own-run", "figures", "commands"),
    *("environment", "run-folder", "scaling"),
)
FOUND = sorted(path.stem for path in FOLDER.glob("*.md")) or ["tour"]  # which then is said to be missing
TEXTS = (*(name for name in FIRST if name in FOUND), *(name for name in FOUND if name not in FIRST))
IMAGE = re.compile(r"^!\[([^\]]*)\]\(([\w/.-]+)\)$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^):\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MARKS = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*`#]")


@cache
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


def search(query: str) -> list[tuple[str, str, str]]:
    """Returns where all words of a query stand: text, heading of the section, and the first line with one of them.

    The glossary comes first, then sections whose heading has one of the words, then those of the first texts.
    """
    words = query.lower().split()
    places = []
    for name in TEXTS:
        titles = HEADING.split(text(name))  # "", heading, section, heading, section, …
        for heading, section in zip(titles[1::2], titles[2::2], strict=True):
            if words and all(word in f"{heading}\n{section}".lower() for word in words):
                lines = [line for line in section.splitlines() if _any(words, line)]
                line = MARKS.sub(lambda match: match[1] or "", (lines or [""])[0].strip("| ").replace(" | ", ": "))
                places.append((name, heading.replace("_", " "), " ".join(line.split())))
    return sorted(places, key=lambda place: (place[0] != "glossary", not _any(words, place[1])))


def _any(words: Sequence[str], text: str) -> bool:
    return any(word in text.lower() for word in words)


@cache
def glossary() -> dict[str, str]:
    """Returns what the words of the pages mean, as Markdown; none if the installation lacks the text."""
    if "glossary" not in FOUND:
        return {}
    rows = [re.split(r"(?<!\\)\|", line) for line in text("glossary").splitlines() if line.startswith("| ")]
    return {row[1].strip(): row[2].strip() for row in rows[1:]}


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
