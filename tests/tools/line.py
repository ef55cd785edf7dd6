"""Somebody on the line, for tools that ask something of the call."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from opusbridge.errors import TransferRefused, WishRefused
from opusbridge.tools import Digits


class Line:
    """Notes what it was asked, in which thread, and lets the caller type ``digits``."""

    def __init__(self, digits: Digits | None = None, refusal: str | None = None) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.threads: set[threading.Thread] = set()
        self._digits, self._refusal = digits, refusal

    def hang_up(self, reason: str) -> None:
        self._note("hang-up", reason)

    def transfer(self, destination: str, reason: str, summary: str) -> None:
        if self._refusal is not None:
            raise TransferRefused(self._refusal)
        self._note("transfer", destination, reason, summary)

    def send_dtmf(self, digits: str) -> None:
        if self._refusal is not None:
            raise WishRefused(self._refusal)
        self._note("dtmf", digits)

    def play(self, path: Path, words: str) -> None:
        self._note("play", path, words)

    def pause_recording(self, paused: bool) -> None:
        self._note("pause", paused)

    def read(self, path: Path, words: str) -> Callable[[], None]:
        return partial(self.play, path, words)

    def hold(self, on: bool) -> None:
        self._note("hold", on)

    async def collect_digits(
        self, length: int | None, terminator: str, seconds: float, secret: bool
    ) -> Digits:
        self._note("digits", length, terminator, seconds, secret)
        if self._digits is None:
            raise RuntimeError("another tool collects digits already")
        return self._digits

    def _note(self, *what: object) -> None:
        self.asked.append(what)
        self.threads.add(threading.current_thread())
