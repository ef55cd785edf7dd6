"""Simulated parties on real WebSockets, in real time.

``join`` runs any party on an open socket; ``place_call`` dials as a telephony provider
does. The line's 20 ms are counted on the monotonic clock from the call's beginning, so a
busy machine is late now and then but never drifts.
"""

import asyncio
from collections.abc import Callable, Mapping

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from opusbridge.errors import OpusbridgeError
from opusbridge.sim.callers import Caller, SimulatedAudioCodes
from opusbridge.sim.model.server import SimulatedModel
from opusbridge.sim.party import Party
from opusbridge.sim.unreached import Unreached, unreached

Socket = ClientConnection | ServerConnection

#: Told what happens in a call: a kind and a text. ``opened``, ``closed``, and the person's
#: deeds: ``speaks``, ``interrupts``, ``presses``, ``hangs-up``, ``drops``, ``gives-up-waiting``.
OnEvent = Callable[[str, str], None]

#: The largest text we take; a second of 24 kHz audio is 64 kB.
MAX_TEXT_BYTES = 4 * 1024 * 1024

#: Seconds for the opening handshake.
OPEN_SECONDS = 10.0

#: Seconds between a lost socket and the attempt to resume, and how many there are.
RESUME_AFTER_SECONDS = 0.5
RESUME_TRIES = 3


class CallRefused(OpusbridgeError):
    """The bridge did not open the socket at ``url``; ``status`` is its HTTP answer, if it gave
    one, and otherwise ``why`` says what kept us from it."""

    def __init__(
        self, status: int | None, url: str = "", why: Unreached = Unreached.NO_ANSWER
    ) -> None:
        super().__init__(status, url, why)
        self.status, self.url, self.why = status, url, why

    def __str__(self) -> str:
        return f"it answered {self.status}" if self.status else self.why


def bearer(token: str | None) -> dict[str, str]:
    """The headers AudioCodes presents."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


async def place_call(
    party: Party,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
    user_agent: str | None = None,
) -> None:
    """One whole call: returns when the socket is closed and nobody wants another.

    A caller over AudioCodes whose socket is lost dials again and resumes.

    :raises CallRefused: the first socket could not be opened.
    """
    tell = on_event or _nobody_listens
    socket = await _open(url, headers, user_agent)
    tell("opened", "")
    await join(party, socket, tell)
    tell("closed", "")
    if isinstance(party, SimulatedAudioCodes):
        await _resume(party, url, headers, tell)


async def _resume(
    party: SimulatedAudioCodes, url: str, headers: Mapping[str, str] | None, tell: OnEvent
) -> None:
    tries = RESUME_TRIES
    while party.reconnect_wanted and tries:
        tries -= 1
        await asyncio.sleep(RESUME_AFTER_SECONDS)
        try:
            socket = await _open(url, headers, None)
        except CallRefused:
            continue
        tell("opened", "again")
        party.resume(asyncio.get_running_loop().time())
        await join(party, socket, tell)
        tell("closed", "")


async def _open(
    url: str, headers: Mapping[str, str] | None, user_agent: str | None
) -> ClientConnection:
    try:
        return await connect(
            url,
            additional_headers=dict(headers or {}),
            user_agent_header=user_agent,
            compression=None,  # no provider offers it
            open_timeout=OPEN_SECONDS,
            max_size=MAX_TEXT_BYTES,
            proxy=None,
        )
    except InvalidStatus as error:
        raise CallRefused(error.response.status_code, url) from None
    except (InvalidHandshake, OSError, TimeoutError) as error:
        raise CallRefused(None, url, unreached(error)) from None


async def join(party: Party, socket: Socket, on_event: OnEvent | None = None) -> None:
    """Run a party on an open socket until either end closes it."""
    clock = asyncio.get_running_loop().time
    stirred = asyncio.Event()
    diary = _Diary(party, on_event)
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(_read(party, socket, stirred))
        try:
            while not reader.done():
                stirred.clear()
                deadline = party.deadline
                if deadline is not None and deadline <= clock():
                    party.wake(clock())
                diary.tell()
                for text in party.texts_to_send():
                    await socket.send(text)
                if party.closing is not None:
                    await _close(party, socket)
                    break
                await _rest(stirred, party.deadline)
        except ConnectionClosed:
            pass  # the reader sees it too
        except asyncio.CancelledError:
            socket.transport.abort()  # nobody is left to say goodbye
            raise
        finally:
            reader.cancel()
    party.gone(clock())
    diary.tell()


async def _read(party: Party, socket: Socket, stirred: asyncio.Event) -> None:
    clock = asyncio.get_running_loop().time
    try:
        async for text in socket:
            if isinstance(text, str):
                party.receive(text, clock())
            elif isinstance(party, SimulatedModel):
                party.receive_binary(clock())
            else:
                party.receive("a binary frame", clock())  # as little JSON as it is
            stirred.set()
    except ConnectionClosed:
        pass
    finally:
        stirred.set()


async def _rest(stirred: asyncio.Event, deadline: float | None) -> None:
    """Until something comes, or the deadline."""
    try:
        async with asyncio.timeout_at(deadline):
            await stirred.wait()
    except TimeoutError:
        pass


async def _close(party: Party, socket: Socket) -> None:
    assert party.closing is not None
    if party.closing.code is None:
        socket.transport.abort()
    else:
        await socket.close(party.closing.code, party.closing.reason)


class _Diary:
    """Passes on what a caller's person notes down, as it is noted."""

    def __init__(self, party: Party, on_event: OnEvent | None) -> None:
        self._deeds = party.person.diary if isinstance(party, Caller) else []
        self._tell = on_event or _nobody_listens
        self._told = len(self._deeds)

    def tell(self) -> None:
        for deed in self._deeds[self._told :]:
            self._tell(deed.kind, deed.text)
        self._told = len(self._deeds)


def _nobody_listens(kind: str, text: str) -> None:
    pass
