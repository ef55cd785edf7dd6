"""Many callers in one process: each says 20 ms of sound every 20 ms and listens.

One timer paces them all, with their phases spread over the 20 ms. Audio is "played" by a clock
of each call's own, and marks come back when they would have been heard.
"""

import asyncio
import heapq
import re
import time
from array import array
from base64 import b64decode, b64encode
from typing import Any

from opusbridge.bench import stamps
from opusbridge.bench.frames import LeanSocket, upgrade
from opusbridge.bench.lines import Heard, Kind, TwilioLine, line
from opusbridge.bench.metronome import Metronome

FRAME_SECONDS = 0.02
#: Callers know nothing of one another: what is sent together is to be one frame, hardly more.
PACE_SECONDS = 0.0002
OPEN_SECONDS = 20.0
#: Every call's phase within the 20 ms: multiples of this never bunch.
_GOLDEN = 0.618034
_TOKEN = re.compile(rb'name="token" value="([^"]*)"')


class Crowd:
    """The callers of one run. Clocks are the event loop's, stamps the machine's."""

    def __init__(self, kind: Kind, host: str, port: int, *, webhook: bool) -> None:
        """``webhook``: ask for the call by HTTP first, as Twilio does; a relay has none."""
        self.kind, self.host, self.port, self.webhook = kind, host, port, webhook
        self.heard = stamps.Arrivals()
        # Paced lines get 100 ms at a time, the others the model's 200.
        ms = 200 if kind.name == "twilio" else 100
        self.delta_bytes = ms * kind.ms_bytes
        self.delta_tail = stamps.tail(self.delta_bytes).encode()
        self.delta_ms_letters = kind.ms_bytes * 4 / 3
        self.clears: list[tuple[int, int]] = []
        self.lost_calls = 0
        """Sockets that closed before they were told to."""
        self.calls: list[Caller] = []
        self.leaving = False
        self._speaking: list[Caller] = []
        self._first = 0
        self._echoes: list[tuple[float, int, bytes]] = []
        self._lateness: array[int] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = Metronome(PACE_SECONDS, self._pace)

    async def grow(self, calls: int, per_second: float) -> int:
        """Place so many calls more; returns how many were refused."""
        begun = self._loop.time()
        tasks = []
        for number in range(calls):
            await asyncio.sleep(begun + number / per_second - self._loop.time())
            caller = Caller(self, len(self.calls) + 1)
            self.calls.append(caller)
            tasks.append(asyncio.create_task(caller.dial()))
        return sum(not dialled for dialled in await asyncio.gather(*tasks))

    async def announce(self, line: TwilioLine) -> str | None:
        """The stream's token, from the answer to Twilio's webhook."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        body = (
            f"CallSid={line.call_sid}&AccountSid=AC{'0' * 32}"
            "&From=%2B15550100001&To=%2B15550100002&CallStatus=ringing"
        )
        writer.write(
            f"POST /twilio/voice HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            "Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        found = _TOKEN.search(await reader.read(-1))
        writer.close()
        return found[1].decode() if found else None

    def speak(self, caller: "Caller") -> None:
        """From its phase within the next 20 ms on."""
        now = self._loop.time()
        phase = caller.number * _GOLDEN % 1.0
        caller.due = (int(now / FRAME_SECONDS) + 1 + phase) * FRAME_SECONDS
        rest = self._speaking[self._first :] + self._speaking[: self._first]
        self._speaking, self._first = sorted([*rest, caller], key=lambda one: one.due), 0

    def hush(self) -> None:
        """Nobody says anything any more; they still listen."""
        self._speaking, self._first = [], 0

    def leave(self) -> None:
        self.leaving = True
        self.hush()
        self._timer.stop()
        for caller in self.calls:
            caller.close()

    def begin(self) -> None:
        self.heard.begin()
        self._lateness = array("I")

    def end(self) -> dict[str, Any]:
        lateness, self._lateness = self._lateness or array("I"), None
        return {"down": self.heard.end(), "generator_late_us": stamps.quantiles(lateness)}

    def echo(self, caller: "Caller", mark: bytes, at: float) -> None:
        heapq.heappush(self._echoes, (at, caller.number, mark))

    def echo_now(self, caller: "Caller") -> None:
        """A clear sends all marks of a call back at once."""
        cleared = [one for one in self._echoes if one[1] == caller.number]
        if cleared:
            self._echoes = [one for one in self._echoes if one[1] != caller.number]
            heapq.heapify(self._echoes)
            for _, _, mark in sorted(cleared):
                caller.say(caller.line.echo(mark))

    def _pace(self) -> None:
        now = time.monotonic()  # the loop's own has milliseconds only
        speaking, first, lateness = self._speaking, self._first, self._lateness
        count = len(speaking)
        # Of one round only: who is further behind than that is caught up with in the next.
        for _ in range(count):
            caller = speaking[first]
            if caller.due > now:
                break
            if lateness is not None:
                lateness.append(int((now - caller.due) * 1e6))
            caller.due += FRAME_SECONDS
            first = first + 1 if first + 1 < count else 0
            caller.sent += 1
            caller.say(caller.line.frame(caller.sent, time.monotonic_ns()))
        self._first = first
        while self._echoes and self._echoes[0][0] <= now:
            _, number, mark = heapq.heappop(self._echoes)
            caller = self.calls[number - 1]
            caller.say(caller.line.echo(mark))


class Caller:
    """One call."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd, self.number = crowd, number
        self.line = line(crowd.kind, number)
        self.sent = 0
        """Frames of sound."""
        self.due = 0.0
        self.socket: LeanSocket | None = None
        self._plays_until = 0.0
        self._part = b""  # of a piece that has begun

    async def dial(self) -> bool:
        """Whether the call came about."""
        crowd = self.crowd
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                token: str | None = ""
                if crowd.webhook and isinstance(self.line, TwilioLine):
                    token = await crowd.announce(self.line)
                if token is None:
                    return False
                request = upgrade(crowd.host, crowd.port, self.line.path)
                _, self.socket = await asyncio.get_running_loop().create_connection(
                    lambda: LeanSocket(request), crowd.host, crowd.port
                )
                self.socket.said, self.socket.closed = self._said, self._closed
                if await self.socket.opened != 101:
                    return False
        except (OSError, TimeoutError):
            return False
        for text in self.line.opening(token):
            self.say(text)
        if isinstance(self.line, TwilioLine):
            crowd.speak(self)
        return True

    def say(self, text: bytes) -> None:
        if self.socket is not None:
            self.socket.send(text)

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()

    def _closed(self) -> None:
        self.crowd.lost_calls += not self.crowd.leaving

    def _pieces(self, sound: bytes) -> list[bytes]:
        """As the model made them: what begins an answer comes in more of them, or in fewer."""
        size, letters = self.crowd.delta_bytes, stamps.STAMP + len(self.crowd.delta_tail)
        if len(sound) == letters and not self._part:
            return [sound]
        raw = self._part + b64decode(sound)
        whole = len(raw) - len(raw) % size
        self._part = raw[whole:]
        return [b64encode(raw[at : at + size]) for at in range(0, whole, size)]

    def _said(self, text: bytes) -> None:
        heard, what = self.line.hear(text)
        crowd = self.crowd
        if heard is Heard.AUDIO:
            now = time.monotonic_ns()
            for piece in self._pieces(what):
                crowd.heard.note(piece, crowd.delta_tail, now, self.number)
            length = len(what) / crowd.delta_ms_letters / 1000
            self._plays_until = max(now / 1e9, self._plays_until) + length
        elif heard is Heard.MARK:
            crowd.echo(self, what, self._plays_until)
        elif heard is Heard.CLEAR:
            now = time.monotonic_ns()
            crowd.clears.append((self.number, now))
            self._plays_until, self._part = now / 1e9, b""
            crowd.echo_now(self)
        elif heard is Heard.READY:
            crowd.speak(self)
        else:
            for answer in self.line.answers(text):
                self.say(answer)
