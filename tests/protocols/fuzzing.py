"""What a peer might send: the documented messages, with something in them that is not."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


def values(words: Sequence[str], scalars: Sequence[str]) -> st.SearchStrategy[Any]:
    """Of JSON, however odd; ``words`` as keys, and ``scalars`` among the strings, more often."""
    plain = (
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=True)
        | st.text(max_size=12)
        | st.sampled_from(scalars)
    )
    return st.recursive(
        plain,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(words) | st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=12,
    )


@st.composite
def mutated(draw: st.DrawFn, texts: Sequence[str], values: st.SearchStrategy[Any]) -> str:
    """A documented message with one value, somewhere inside, exchanged for another."""
    message = json.loads(draw(st.sampled_from(texts)))
    place: Any = message
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            break
        place = place[key]
    place[key] = draw(values)
    return json.dumps(message)


@st.composite
def torn(draw: st.DrawFn, texts: Sequence[str]) -> str:
    """A documented message with a stretch of its text cut out or written over."""
    text = draw(st.sampled_from(texts))
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 9)) :]
