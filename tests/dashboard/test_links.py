"""What stands in an address."""

import pytest

from interdash.dashboard import links


def test_number():
    assert links.number("12", range(20), "sample") == 12
    for text in ("20", "-1", "1.0", "", "x", "٣", "9" * 400, "1; DROP TABLE runs", "../etc"):
        with pytest.raises(ValueError, match=r"The link asks for sample .*which is not there"):
            links.number(text, range(20), "sample")


def test_interaction():
    assert links.interaction("and-37", 8) == ("and", 37)
    assert links.interaction("or-1", 1) == ("or", 1)
    assert links.interaction("none", 8) == ("", 0)
    for text in ("AND {5, 0}", "and{0,5}", " And { film , 5 } "):
        assert links.interaction(text, 8, ["film", "good"]) == ("and", 33)
    for text in (
        "xor-3",
        "and",
        "and-",
        "and--3",
        "and-1e3",
        "<script>",
        "AND {}",
        "AND {film}",
        "AND {99}",
        "AND {1,}",
    ):
        with pytest.raises(ValueError, match="one is written as and-37"):
            links.interaction(text, 8)
    for text in ("and-0", "or-256", "or-999999999", "OR {8}"):
        with pytest.raises(ValueError, match="there are 1 to 255"):
            links.interaction(text, 8)


def test_pin():
    assert links.pin("7-40", range(10), [0, 40]) == (7, 40)
    with pytest.raises(ValueError, match="the pinned epoch `41`, which is not there"):
        links.pin("7-41", range(10), [0, 40])
    with pytest.raises(ValueError, match=r"the pinned sample `` ?, which is not there"):
        links.pin("", range(10), [0])


@pytest.mark.parametrize("text", ["101", "-1", "9" * 400, "inf", "nan", "1e3", "", "٣"])
def test_amount(text):
    with pytest.raises(ValueError, match=r"The link asks for share `.*`.*; it is a number from 0 to 100\."):
        links.amount(text, 0, 100, "share")


def test_hostile_text_is_short_and_has_no_markup():
    assert links.shown("`" * 3 + "<b>" + "x" * 100).count("`") == 2
    assert "characters)" in links.shown("x" * 100)
    for text in ("a\n\n![x](https://a/b)", "a\r\r![x](https://a/b)", "a`\u2029`![x](https://a/b)"):
        assert "\n" not in links.shown(text) and "\r" not in links.shown(text) and links.shown(text).count("`") == 2
    assert links.plain("![x](http://a)\n# b") == r"\!\[x\]\(http\://a\) \# b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run `interdash demo`; my_run is 3 % done", "run `interdash demo`; my_run is 3 % done"),
        ("a\n\n![x](https://a/b)", r"a !\[x\](https\://a/b)"),
        ("```![x](https://a/b)`", r"\`\`\`!\[x\](https\://a/b)\`"),
        ("\\`![x](u)`", r"\\`![x](u)`"),  # a backslash, then code
        ("<img src=//a> :red[b] $c$ _d_", r"\<img src=//a\> \:red\[b\] \$c\$ \_d\_"),
    ],
)
def test_message(text, shown):
    assert links.message(text) == shown
