"""Where a key of a script stands: every one is found, at its line, and nothing else is."""

import tomllib
from typing import Any

from opusbridge.sim.script.places import Path, nearest, places

TEXT = """\
name = "x"        # = not a [key]
many = ['a', "b]", {c = 1}, [2,
  3]]
"quoted key" = '''
a = 1
[b]
'''

[one.two]
date = 1979-05-27T07:32:00Z
three = { four = "}", five.six = true }

[[rows]]
value = 1
text = \"\"\"
several "quotes" here\\\\
[not.a.table]\"\"\"

  [[rows.cells]]
  n = 1e5
  [[rows.cells]]

[[rows]]
[rows.more]
last = [ ]
"""


def paths(value: Any, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    return found.union(*(paths(inner, (*path, key)) for key, inner in entries))


def test_every_key_and_entry_is_found_and_nothing_else() -> None:
    assert set(places(TEXT)) == paths(tomllib.loads(TEXT))


def test_each_is_at_its_line() -> None:
    found = places(TEXT)

    assert found["name",] == 1
    assert found["many", 2, "c"] == 2
    assert found["many", 3, 1] == 3
    assert found["quoted key",] == 4
    assert found["one", "two", "three", "five", "six"] == 11
    assert found["rows", 0, "text"] == 15
    assert found["rows", 0, "cells", 0, "n"] == 20
    assert (found["rows",], found["rows", 0], found["rows", 1]) == (13, 13, 23)
    assert found["one",] == 9
    assert found["rows", 1, "more", "last"] == 25


def test_what_is_missing_is_at_the_line_of_what_it_is_missing_from() -> None:
    found = places(TEXT)

    assert nearest(found, ("rows", 0, "colour")) == 13
    assert nearest(found, ("caller",)) is None
