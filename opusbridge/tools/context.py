"""What a tool may know of the call it runs in, and ask of it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from opusbridge.errors import TransferRefused, WishRefused

#: Seconds a tool in a thread waits for the call to take its wish: the call answers at once
#: or is gone.
LOOP_PATIENCE = 5.0

#: Seconds without a key after which nobody is waited for any longer.
KEY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, repr=False)
class Digits:
    """What the caller typed. Printing it shows nothing of that."""

    value: str
    complete: bool
    """Whether it is as long as asked for, or was ended by the terminator. If not, the caller
    stopped typing, or never began."""
    secret: bool = field(default=False, compare=False)
    """It is to be written down nowhere, and not for the model to read: it was asked for so, or
    typed so close behind a secret that it may be the end of that."""

    def __repr__(self) -> str:
        return "<Digits>"


class CallControl(Protocol):
    """What may be asked of a call; in the event loop. Nothing but ``collect_digits`` waits, and
    ``play`` and ``read`` for the disk."""

    def hang_up(self, reason: str) -> None: ...

    def transfer(self, destination: str, reason: str, summary: str) -> None: ...

    def send_dtmf(self, digits: str) -> None: ...

    def play(self, path: Path, words: str) -> None: ...

    def read(self, path: Path, words: str) -> Callable[[], None]:
        """In any thread: the file, ready for what is given back to play it in the event loop."""
        ...

    def hold(self, on: bool) -> None: ...

    def pause_recording(self, paused: bool) -> None: ...

    async def collect_digits(
        self, length: int | None, terminator: str, seconds: float, secret: bool
    ) -> Digits: ...


class CallContext:
    """The call, as a tool sees it: read-only but for ``state`` and what may be asked of it.

    ``state`` is the tools' own dict for this call; nothing else reads it, and it ends with the
    call. Tools of one call may run at the same time. Printing a context shows the call's id
    and nothing of the caller.
    """

    __slots__ = ("_control", "call_id", "callee", "caller", "parameters", "state")

    def __init__(
        self,
        call_id: str,
        *,
        caller: str | None = None,
        callee: str | None = None,
        parameters: Mapping[str, str] | None = None,
        control: CallControl | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:
        """Without ``control`` (in a user's own tests) a transfer and keys are refused, nobody
        types anything, and the rest does nothing.
        """
        self.call_id = call_id
        self.caller = caller
        """The number or address the call comes from, where the telephony side tells."""
        self.callee = callee
        self.parameters = MappingProxyType(dict(parameters or {}))
        """What the telephony side was told to hand over."""
        self.state: dict[str, Any] = {} if state is None else state
        self._control: CallControl = control or _NoCall()

    def hang_up(self, reason: str) -> None:
        """End the call when the caller has heard what is being said, as ``agent-hung-up``.

        Ask for it before whatever takes time: words said beside the call of a tool that does so
        within a second are the goodbye; of earlier ones nobody can tell, and it is said again.
        ``reason`` is for whoever reads the code, and kept nowhere: it may be the caller's words.
        """
        self._control.hang_up(reason)

    def transfer(self, destination: str, reason: str, summary: str = "") -> None:
        """Hand the caller over to one of the agent's destinations, by its name.

        ``summary`` is for whoever takes the caller over; with what was heard and what the tools
        found out it is the hand-over packet in ``call.json``. Raises :class:`TransferRefused`
        if a transfer cannot be; the text says why.
        """
        self._control.transfer(destination, reason, summary)

    def send_dtmf(self, digits: str) -> None:
        """Press keys (``0-9 * #``, at most 20) for the other end to hear, at once.

        Raises ``ValueError`` for other keys and :class:`WishRefused` where the line cannot.
        """
        self._control.send_dtmf(digits)

    def play(self, path: str | Path, words: str = "") -> None:
        """A WAV file (one channel; 8, 16 or 24 kHz; at most a minute) for the caller to hear,
        behind what is being said. The caller's speech cuts it like the agent's own.

        ``words`` are what is said in it: the model is told that it said so, and to a tool that
        replies ``if_silent`` it did; heard while the agent hangs up they are its goodbye. Raises
        :class:`WishRefused` for a file that cannot be used. An async function's is read in the
        event loop, which every call waits for: a disk that may be slow is for a plain one.
        """
        self._control.play(Path(path), words)

    def hold(self) -> None:
        """Put the caller on hold: the agent is silent and does not hear him; he is asked to
        hold from time to time, and hears what is played.

        Until :meth:`unhold`, at most until the tool has ended, however it does. Asked for by
        nobody that is at work in the call, it lasts five minutes, unless asked for again.
        """
        self._control.hold(True)

    def unhold(self) -> None:
        """Take the caller back; the model is told, and goes on."""
        self._control.hold(False)

    def pause_recording(self) -> None:
        """Keep nothing of what is said from now on, such as the number of a card.

        The recording is silent for as long, the transcript says that something was withheld.
        What begins in the pause is withheld to its end.
        """
        self._control.pause_recording(True)

    def resume_recording(self) -> None:
        """Keep what is said from now on, unless somebody else has paused it too."""
        self._control.pause_recording(False)

    async def collect_digits(
        self,
        length: int | None = None,
        terminator: str = "#",
        timeout: float = KEY_SECONDS,  # noqa: ASYNC109  # of a pause between keys, not of the call
        secret: bool = False,
    ) -> Digits:
        """What the caller types from now on, which nobody else is told.

        Ends after ``length`` keys, at ``terminator`` (which is none of them; empty: there is
        none), or ``timeout`` seconds after the last key, counted at first from the end of what
        the agent is saying. The tool's own ``timeout_seconds`` must leave room for that. Where
        no call is nothing was typed; when it ends, the tool is cancelled as it waits.

        ``secret``: the keys are in no recording, transcript, log or flight recording, and
        their tones do not reach the model, which does not hear the caller meanwhile either.
        Raises ``ValueError`` for what would never end, and ``RuntimeError`` in a tool that
        runs in a thread, or while another tool collects.
        """
        if length is not None and length < 1:
            raise ValueError("length must be 1 or more")
        if len(terminator) > 1 or not (terminator or length):
            raise ValueError("there must be a length, or a terminator of one key")
        if not 0 < timeout < inf:
            raise ValueError("timeout must be above 0, and a number of seconds")
        return await self._control.collect_digits(length, terminator, timeout, secret)

    def for_thread(self, loop: asyncio.AbstractEventLoop) -> "CallContext":
        """The same call for a tool that runs in a thread: its wishes are made in ``loop``."""
        return CallContext(
            self.call_id,
            caller=self.caller,
            callee=self.callee,
            parameters=self.parameters,
            control=_FromThread(self._control, loop),
            state=self.state,
        )

    def __repr__(self) -> str:
        return f"<CallContext {self.call_id}>"


class _NoCall:
    """Nobody is on the line."""

    def hang_up(self, reason: str) -> None:
        pass

    def transfer(self, destination: str, reason: str, summary: str) -> None:
        raise TransferRefused("this call cannot be transferred")

    def send_dtmf(self, digits: str) -> None:
        raise WishRefused("nobody hears any keys")

    def play(self, path: Path, words: str) -> None:
        pass

    def read(self, path: Path, words: str) -> Callable[[], None]:
        return lambda: None

    def hold(self, on: bool) -> None:
        pass

    def pause_recording(self, paused: bool) -> None:
        pass

    async def collect_digits(
        self, length: int | None, terminator: str, seconds: float, secret: bool
    ) -> Digits:
        return Digits("", False)


class _FromThread:
    """For a function called in a thread. A coroutine that it gives back runs in the loop itself,
    which must not wait for its own answer."""

    def __init__(self, control: CallControl, loop: asyncio.AbstractEventLoop) -> None:
        self._control, self._loop = control, loop

    def hang_up(self, reason: str) -> None:
        _in_loop(self._loop, self._control.hang_up, reason)

    def transfer(self, destination: str, reason: str, summary: str) -> None:
        _in_loop(self._loop, self._control.transfer, destination, reason, summary)

    def send_dtmf(self, digits: str) -> None:
        _in_loop(self._loop, self._control.send_dtmf, digits)

    def play(self, path: Path, words: str) -> None:
        # Here: the disk may be slow, and in the loop all calls would wait for it.
        _in_loop(self._loop, self.read(path, words))

    def read(self, path: Path, words: str) -> Callable[[], None]:
        return self._control.read(path, words)

    def hold(self, on: bool) -> None:
        _in_loop(self._loop, self._control.hold, on)

    def pause_recording(self, paused: bool) -> None:
        _in_loop(self._loop, self._control.pause_recording, paused)

    async def collect_digits(
        self, length: int | None, terminator: str, seconds: float, secret: bool
    ) -> Digits:
        if not _runs_here(self._loop):
            raise RuntimeError("digits are collected by async tools only")
        return await self._control.collect_digits(length, terminator, seconds, secret)


def _in_loop(loop: asyncio.AbstractEventLoop, wish: Callable[..., None], *arguments: Any) -> None:
    if _runs_here(loop):
        return wish(*arguments)

    async def make() -> None:
        wish(*arguments)

    asyncio.run_coroutine_threadsafe(make(), loop).result(LOOP_PATIENCE)


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # a thread
        return False
