"""What tools and operators may ask of a call while it lasts, made events of it.

It decides nothing: whether and when a wish is granted is the call's to say.
"""

import asyncio
import copy
import re
import stat
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.bridge.flag import Flag
from opusbridge.errors import WishRefused
from opusbridge.privacy import Private
from opusbridge.speech import read_clip
from opusbridge.tools.context import Digits

#: Converting more at once would hold up the other calls' frames.
MOST_PLAYED_SECONDS = 60
#: At the most samples a second, with room for what else a WAV file says: more is not even read.
MOST_PLAYED_BYTES = MOST_PLAYED_SECONDS * 2 * 24_000 + 65_536

_KEYS = re.compile(r"[0-9*#]{1,20}", re.ASCII)


class Control:
    """The :class:`~opusbridge.tools.context.CallControl` of one call."""

    def __init__(
        self,
        agent: Agent,
        happened: Callable[[events.FromShell], None],
        may_transfer: Callable[[Private[str]], None],
        may_send_keys: Callable[[], None],
    ) -> None:
        """``may_transfer`` raises TransferRefused where no transfer there can be made,
        ``may_send_keys`` WishRefused where no keys can be sent."""
        self.agent = agent
        self._happened = happened
        self._may_transfer, self._may_send_keys = may_transfer, may_send_keys
        self._waiting: dict[str, asyncio.Future[effects.DeliverDigits]] = {}
        self._of_tools: set[str] = set()
        """Of those who wait."""
        self._over = Flag()
        self._collections = count(1)
        self._tool_call_id = ""

    def of_tool(self, tool_call_id: str) -> "Control":
        """The same, asked by this tool: what it asks for lasts no longer than it does."""
        one = copy.copy(self)
        one._tool_call_id = tool_call_id
        return one

    def hang_up(self, reason: str) -> None:
        """``reason`` is the agent's own words, and not written down."""
        by = self._tool_call_id
        self._happened(events.HangUpRequested("agent-hung-up", tool_call_id=by))

    def transfer(self, destination: str, reason: str, summary: str = "") -> None:
        target = self.agent.target(destination)
        self._may_transfer(target)
        said = in_words("reason", reason), in_words("summary", summary)
        self._happened(events.TransferRequested(target, *said, self._tool_call_id))

    def send_dtmf(self, digits: str) -> None:
        if not _KEYS.fullmatch(digits):
            raise ValueError("keys are 1 to 20 of 0-9 * #")
        self._may_send_keys()
        self._happened(events.DTMFRequested(Private(digits)))

    def play(self, path: Path, words: str) -> None:
        self.read(path, words)()

    def read(self, path: Path, words: str) -> Callable[[], None]:
        """Each time: the file may be another's words since, under the same name."""
        said = in_words("words", words)
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):  # a pipe would hold up every call
                raise WishRefused("the file cannot be played")
            if found.st_size > MOST_PLAYED_BYTES:
                raise WishRefused("the file is too large")
            rate_hz, pcm = read_clip(path)
        except (OSError, ValueError):
            raise WishRefused("the file cannot be played") from None
        if len(pcm) > 2 * rate_hz * MOST_PLAYED_SECONDS:
            raise WishRefused(f"the file is longer than {MOST_PLAYED_SECONDS} s")
        asked = events.PlayRequested(rate_hz, pcm, said, self._tool_call_id)
        return partial(self._happened, asked)

    def hold(self, on: bool) -> None:
        self._happened(events.HoldRequested(on, self._tool_call_id))

    def pause_recording(self, paused: bool) -> None:
        asked = events.RecordingPauseRequested if paused else events.RecordingResumeRequested
        self._happened(asked("agent"))

    async def collect_digits(
        self, length: int | None, terminator: str, seconds: float, secret: bool
    ) -> Digits:
        if self._over.is_set():
            # A tool is being cancelled; one that asks again and again must be reached by that.
            await asyncio.sleep(seconds if self._tool_call_id else 0)
            return Digits("", False)
        name = f"digits-{next(self._collections)}"
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[name] = waiting
        if self._tool_call_id:
            self._of_tools.add(name)
        self._happened(events.DigitsWanted(name, length, terminator, seconds, secret))
        try:
            delivered = await waiting
        finally:
            del self._waiting[name]
            self._of_tools.discard(name)
            if not waiting.done() or waiting.cancelled():
                self._happened(events.DigitsUnwanted(name))
        return as_digits(delivered)

    def deliver(self, effect: effects.DeliverDigits) -> None:
        """Whoever waits for them; nobody may any more."""
        waiting = self._waiting.get(effect.collection_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(effect)

    def call_ended(self) -> None:
        """Nobody types any more. Tools are cancelled; nobody else who waits is."""
        self._over.set()
        for name in self._waiting.keys() - self._of_tools:
            self.deliver(effects.DeliverDigits(name, Private(""), "timeout"))


def in_words(name: str, given: object) -> Private[str]:
    """What somebody says, nothing if it is ``None``. Raises ``TypeError`` for what is no text:
    further on it would cost the call, and nobody would know whose it was."""
    if given is not None and not isinstance(given, str):
        raise TypeError(f"{name} must be a str, not {type(given).__name__}")
    return Private(given or "")


def as_digits(delivered: effects.DeliverDigits) -> Digits:
    """For the tool that waited. Raises ``RuntimeError``: another one collects already."""
    if delivered.how == "busy":
        raise RuntimeError("another tool collects digits already")
    return Digits(delivered.digits.value, delivered.how != "timeout", delivered.secret)
