"""A short way for the frames that calls consist of: a small text, whole as it was read or is sent.

``websockets`` can take any frame apart, in five generators one within the other, and that was a
sixth of what a call cost on the default sockets. A text that is one whole frame, between others,
needs none of them. Whatever else comes stays with ``websockets``, whose state is asked each time
and is as if the text had never been (RFC 6455, section 5.2, for the bytes).
"""

import os
from typing import Any

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # the one it chose
from websockets.protocol import Protocol, State
from websockets.streams import StreamReader

#: A text that begins and ends with its frame, of which nothing is packed.
_WHOLE_TEXT = 0x81
_MASKED = 0x80
#: Lengths up to this stand in the second byte, and up to that in the two behind it.
_SHORT, _MEDIUM = 125, 0xFFFF
_IN_TWO_BYTES = 126

_AWAITS_A_FRAME = StreamReader.at_eof.__code__


def between_frames(protocol: Protocol) -> bool:
    """Whether what is read next is the beginning of a message, and nothing before it waits."""
    if protocol.state is not State.OPEN or protocol.current_size is not None:
        return False
    # It asks whether there is anything just there: in a frame it asks for so many bytes.
    at: Any = protocol.parser
    while (within := at.gi_yieldfrom) is not None:
        at = within
    return at.gi_code is _AWAITS_A_FRAME


def whole_texts(data: bytes, masked: bool) -> tuple[list[bytes], bytes]:
    """The texts at the beginning of ``data``, and what is left: what is no such text, or not
    whole. ``masked``: as it comes from a client."""
    texts: list[bytes] = []
    at, size = 0, len(data)
    while size - at > 1 and data[at] == _WHOLE_TEXT:
        length, start = data[at + 1], at + 2
        if (length >= _MASKED) is not masked:
            break
        length &= ~_MASKED
        if length == _IN_TWO_BYTES:
            length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif length > _SHORT:
            break
        if masked:
            key, start = data[start : start + 4], start + 4
        if (end := start + length) > size:
            break
        text = data[start:end]
        texts.append(apply_mask(text, key) if masked else text)
        at = end
    return texts, data[at:]


def frame_of(text: bytes, masked: bool) -> bytes | None:
    """``text`` in a frame; ``None`` if it is too long for this way."""
    length = len(text)
    bit = _MASKED if masked else 0
    if length <= _SHORT:
        head = bytes((_WHOLE_TEXT, bit | length))
    elif length <= _MEDIUM:
        head = bytes((_WHOLE_TEXT, bit | _IN_TWO_BYTES, length >> 8, length & 0xFF))
    else:
        return None
    if not masked:
        return head + text
    key = os.urandom(4)
    return head + key + apply_mask(text, key)
