"""picows' parser as the lean sockets have it: silent, and with no larger a buffer than it needs.

Only what :mod:`opusbridge.bridge.which` chose may import this module: picows is an extra.
"""

import logging
from collections.abc import Callable

from picows import WSAutoPingStrategy
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs

from opusbridge.bridge.lean import LeanSocket

#: Bytes taken from the kernel at once, however large the buffer has grown.
#: (Of the callers' sockets the kernel itself holds no more: web/server.py.)
MOST_READ = 64 * 1024
#: Bytes a connection begins to read with: telephony's frames are some hundreds, and of the model
#: 200 ms of sound are two thousand, or 13 where they are linear.
READ_OF_TELEPHONY, READ_OF_MODEL = 4 * 1024, 8 * 1024

# Its lines tell addresses, and of every bad frame what we count ourselves.
_silent = logging.getLogger("opusbridge.picows")
_silent.setLevel(logging.CRITICAL + 1)

_get_buffer = WSProtocol.get_buffer


class Parser(WSProtocol):  # type: ignore[misc]  # a class written in C
    """picows' own protocol, whose buffer grows for a long message only, not for many at once.

    Left to itself it doubles whenever more than nine tenths of it were filled, and never shrinks:
    the call would keep that to its end. A model does that when it speaks faster than it is heard,
    and all callers when the loop was held up for a moment.
    """

    __slots__ = ("most", "size")

    def __init__(self, *settings: object) -> None:
        super().__init__(*settings)
        self.size = 0
        """Of the whole buffer, which only ever doubles."""
        self.most = 0
        """What is taken at once while nothing is left of what was taken before."""

    def get_buffer(self, hint: int) -> memoryview:
        buffer: memoryview = _get_buffer(self, hint)
        free = len(buffer)
        if free == self.size:
            return buffer[: self.most]
        if free > self.size:  # never before it has doubled: the last byte is not given away
            self.size = 2 * self.size or free
            self.most = min(self.size - self.size // 8, MOST_READ)
        # An eighth stays empty, unless the message that is being read fills all the rest.
        fits = free - self.size // 8
        return buffer[: min(fits, MOST_READ)] if fits > 0 else buffer[:-1]


def parser(
    listener: Callable[..., LeanSocket],
    largest: int,
    *,
    address: tuple[str, str] | None = None,
    headers: dict[str, str] | None = None,
    handshake_seconds: float | None = None,
) -> WSProtocol:
    """picows behind ``listener``; with an ``address`` (host and port, path) as a client."""
    host_port, path = address or (None, None)
    return Parser(
        host_port,
        path,
        address is not None,
        listener,
        _silent,
        True,  # an exception in our own code ends the socket
        handshake_seconds,
        False,  # its pings: we have our own
        *(20, 20, WSAutoPingStrategy.PING_PERIODICALLY),
        False,  # its pongs: we look at the frame first
        largest,
        headers,
        READ_OF_MODEL if address else READ_OF_TELEPHONY,
    )
