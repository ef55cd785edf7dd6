"""The telephony side's WebSocket as a bridge sees it: texts in, texts out, one way to end.

What a peer should not have sent (binary, giant frames) is counted and left out here, so that
nobody further in has to know that it exists.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from opusbridge.bridge.outbox import Socket
from opusbridge.bridge.pacing import TOO_FAST, Pace
from opusbridge.errors import PeerGone

#: Twilio's messages are a few hundred bytes.
MAX_FRAME_BYTES = 64 * 1024
#: Seconds a peer that does not read may hold up our closing the socket.
CLOSE_SECONDS = 2.0


#: Where our protocols (web/direct.py, web/lean.py) leave the way to themselves in the ASGI scope.
LEAN = "opusbridge.lean"
#: And where uvicorn's own, as we have it (web/pings.py), leaves itself.
PINGS = "opusbridge.pings"

OnBad = Callable[[str], None]
"""Told the kind of each frame that was left out."""


class Pinger(Protocol):
    """What can send WebSocket pings."""

    on_pong: Callable[[bytes], None] | None

    def ping(self, payload: bytes) -> None: ...


class Seam(Socket, Protocol):
    """A telephony side's socket."""

    on_bad: OnBad
    longest_text: int
    """In bytes; a longer one is left out."""

    def unread(self, texts: Iterable[str]) -> None:
        """Texts that were received already; they come again, first and in this order."""


Take = Callable[[WebSocket, OnBad], Seam | None]
"""Gives the socket itself; ``None`` if it was lost while it was accepted."""


class WebSocketSeam:
    """A seam over an accepted WebSocket. One task receives; any may send.

    ``on_bad`` is told the kind of each frame that was left out: ``binary``, ``oversized`` or
    ``bad-utf8`` (which the server answers by closing); and :data:`.TOO_FAST` when the peer is
    read more slowly for the first time. It may be replaced at any time.
    """

    def __init__(self, socket: WebSocket, on_bad: OnBad) -> None:
        self._socket = socket
        self.on_bad = on_bad
        self.longest_text = MAX_FRAME_BYTES
        self._gone: PeerGone | None = None
        self._unread: deque[str] = deque()
        self._pinger: Pinger | None = socket.scope["extensions"].get(PINGS)
        self._on_pong: Callable[[bytes], None] = _ignore
        self._pace = Pace()

    @property
    def on_pong(self) -> Callable[[bytes], None]:
        """Told the payload of each pong that we have asked for with :meth:`ping`."""
        return self._on_pong

    @on_pong.setter
    def on_pong(self, told: Callable[[bytes], None]) -> None:
        self._on_pong = told
        if self._pinger is not None:
            self._pinger.on_pong = told

    def ping(self, payload: bytes) -> None:
        """Send one now, if the server can; never raises."""
        if self._pinger is not None:
            self._pinger.ping(payload)

    def unread(self, texts: Iterable[str]) -> None:
        self._unread.extendleft(reversed(list(texts)))

    async def receive_text(self) -> str:
        if self._unread:
            return self._unread.popleft()
        while self._gone is None:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code") or 1006
                if code == 1007:
                    self.on_bad("bad-utf8")
                self._gone = PeerGone("telephony", "telephony-lost", code)
            else:
                if pause := self.too_fast(1):
                    await asyncio.sleep(pause)  # the server does not read on meanwhile
                if self._fits(text := message.get("text")):
                    return str(text)
        raise self._gone

    def too_fast(self, messages: int) -> float:
        """So many more came: for how many seconds reading is to pause, mostly 0."""
        pace = self._pace
        pace.spare -= messages
        if pace.spare >= 0 or not (seconds := pace.pause(asyncio.get_running_loop().time())):
            return 0.0
        if pace.is_news():
            self.on_bad(TOO_FAST)
        return seconds

    def _fits(self, text: str | None) -> bool:
        """Whether it is of use to anybody; ``None`` stands for bytes."""
        if text is None:
            self.on_bad("binary")
        elif _size(text) > self.longest_text:
            self.on_bad("oversized")
        else:
            return True
        return False

    async def send_text(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            # Which of the two depends on who closed first, the peer or ourselves.
            raise PeerGone("telephony", "telephony-lost") from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Harmless when it is closed already."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            pass


def seam_over(socket: WebSocket, on_bad: OnBad) -> Seam:
    """The seam over an accepted WebSocket, by the shortest way there is."""
    take: Take | None = socket.scope["extensions"].get(LEAN)
    return (take and take(socket, on_bad)) or WebSocketSeam(socket, on_bad)


def _ignore(payload: bytes) -> None:
    """Nobody has asked yet."""


def _size(text: str) -> int:
    """In bytes. Asking whether a text is ASCII costs nothing, and nearly all are."""
    return len(text) if text.isascii() else len(text.encode())
