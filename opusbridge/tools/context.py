"""What a tool may know of the call it runs in, and ask of it."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from opusbridge.errors import TransferRefused

#: Seconds a tool in a thread waits for the call to take its wish: the call answers at once
#: or is gone.
LOOP_PATIENCE = 5.0


class CallContext:
    """The call, as a tool sees it: read-only but for ``state`` and the two wishes.

    ``state`` is the tools' own dict for this call; nothing else reads it, and it ends with the
    call. Tools of one call may run at the same time. Printing a context shows the call's id
    and nothing of the caller.
    """

    __slots__ = (
        "_hang_up",
        "_recording",
        "_transfer",
        "call_id",
        "callee",
        "caller",
        "parameters",
        "state",
    )

    def __init__(
        self,
        call_id: str,
        *,
        caller: str | None = None,
        callee: str | None = None,
        parameters: Mapping[str, str] | None = None,
        hang_up: Callable[[str], None] | None = None,
        transfer: Callable[[str, str], None] | None = None,
        recording: Callable[[bool], None] | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:
        """``hang_up(reason)`` and ``transfer(destination, reason)`` are the call's own; they are
        called in the event loop and return at once. ``transfer`` takes one of the agent's names
        and raises :class:`TransferRefused`, whose text the model will read. ``recording(paused)``
        pauses or resumes what is kept of the call. Without them (in a user's own tests) a hang-up
        and a pause do nothing and a transfer is refused.
        """
        self.call_id = call_id
        self.caller = caller
        """The number or address the call comes from, where the telephony side tells."""
        self.callee = callee
        self.parameters = MappingProxyType(dict(parameters or {}))
        """What the telephony side was told to hand over."""
        self.state: dict[str, Any] = {} if state is None else state
        self._hang_up = hang_up or _nobody_to_hang_up
        self._transfer = transfer or _nobody_to_transfer
        self._recording = recording or _nobody_records

    def hang_up(self, reason: str) -> None:
        """End the call when the caller has heard what is being said."""
        self._hang_up(reason)

    def transfer(self, destination: str, reason: str) -> None:
        """Hand the caller over to one of the agent's destinations, by its name.

        Raises :class:`TransferRefused` if that cannot be; the text says why.
        """
        self._transfer(destination, reason)

    def pause_recording(self) -> None:
        """Keep nothing of what is said from now on, such as the number of a card.

        The recording is silent for as long, the transcript says that something was withheld.
        What begins in the pause is withheld to its end.
        """
        self._recording(True)

    def resume_recording(self) -> None:
        """Keep what is said from now on, unless somebody else has paused it too."""
        self._recording(False)

    def for_thread(self, loop: asyncio.AbstractEventLoop) -> "CallContext":
        """The same call for a tool that runs in a thread: its wishes are made in ``loop``."""

        def hang_up(reason: str) -> None:
            _in_loop(loop, self._hang_up, reason)

        def transfer(destination: str, reason: str) -> None:
            _in_loop(loop, self._transfer, destination, reason)

        def recording(paused: bool) -> None:
            _in_loop(loop, self._recording, paused)

        return CallContext(
            self.call_id,
            caller=self.caller,
            callee=self.callee,
            parameters=self.parameters,
            hang_up=hang_up,
            transfer=transfer,
            recording=recording,
            state=self.state,
        )

    def __repr__(self) -> str:
        return f"<CallContext {self.call_id}>"


def _nobody_to_hang_up(reason: str) -> None:
    pass


def _nobody_records(paused: bool) -> None:
    pass


def _nobody_to_transfer(destination: str, reason: str) -> None:
    raise TransferRefused("this call cannot be transferred")


def _in_loop(
    loop: asyncio.AbstractEventLoop, wish: Callable[..., None], *arguments: str | bool
) -> None:
    async def make() -> None:
        wish(*arguments)

    asyncio.run_coroutine_threadsafe(make(), loop).result(LOOP_PATIENCE)
