"""The calls of this process: the live ones by id, the last that ended, and room for more.

A place is taken before anything is spent on a caller and becomes the call's own when it is
run, so that two callers cannot both be promised the last one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from opusbridge.bridge.outbox import Socket
from opusbridge.errors import Ending

#: Calls that ended stay visible until this many others have. A describing dict is about 1 kB.
RECENT_CALLS = 200

ConnectModel = Callable[[], Awaitable[Socket]]
"""Opens a model session; called again when it must be replaced."""


class Bridge(Protocol):
    """A call on its sockets. ``run`` it once; the rest may be asked of it at any time."""

    @property
    def call_id(self) -> str: ...

    @property
    def ended(self) -> bool: ...

    async def run(self) -> Ending: ...

    def describe(self) -> dict[str, Any]: ...

    def hang_up(self) -> None: ...

    def transfer(self, destination: str, reason: str) -> None: ...

    def say(self, text: str) -> None: ...

    def pause_recording(self) -> None: ...

    def resume_recording(self) -> None: ...

    def say_goodbye(self, reason: str, *, aloud: bool = True) -> None: ...

    def rejected(self, kind: str) -> None: ...


class AudioCodesBridge(Bridge, Protocol):
    """Whether we placed a call is told when it starts, after it has an id of its own."""

    on_started: Callable[[Mapping[str, str]], None] | None

    def socket_lost(self) -> None: ...


AudioCodesBridgeFactory = Callable[[Socket, ConnectModel, str | None], AudioCodesBridge]
"""With the call's id, if it has one already: that of a call we placed."""


class TwilioBridge(Bridge, Protocol):
    """A transfer takes a call off its stream, and may bring it back on another."""

    @property
    def with_us(self) -> bool: ...

    def dial_ended(self, fields: Mapping[str, str]) -> bool: ...

    def call_over(self) -> None: ...

    async def resume(self, socket: Socket) -> None: ...


TwilioBridgeFactory = Callable[[Socket, ConnectModel, str | None], TwilioBridge]


class Place:
    """Room for one call that has not begun. Give it back, or run a call on it."""

    def __init__(self, places: set["Place"], on_released: Callable[[], None]) -> None:
        self._places, self._on_released = places, on_released
        places.add(self)

    def release(self) -> None:
        """Harmless when it was released before."""
        self._places.discard(self)
        self._on_released()


class Calls:
    """``max_calls`` 0 means no limit. The factories build a bridge for a new call's sockets."""

    def __init__(
        self,
        audiocodes: AudioCodesBridgeFactory,
        twilio: TwilioBridgeFactory,
        *,
        max_calls: int = 0,
        recent_calls: int = RECENT_CALLS,
    ) -> None:
        self.audiocodes = audiocodes
        self.twilio = twilio
        self.draining = False
        """Set for good when the process is to end: no new calls."""
        self._max_calls = max_calls
        self._recent_calls = recent_calls
        self._places: set[Place] = set()
        self._live: dict[str, Bridge] = {}
        self._recent: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._others: dict[str, str] = {}
        """Ids that calls have besides their own, which these are kept under."""
        self._nobody = asyncio.Event()
        """Neither live nor promised a place."""
        self._nobody.set()

    @property
    def count(self) -> int:
        """How many are live."""
        return len(self._live)

    @property
    def limit(self) -> int:
        """How many may be; 0: any number."""
        return self._max_calls

    @property
    def full(self) -> bool:
        """No room for a caller who was not promised a place."""
        return self.full_with(0)

    @property
    def crowded(self) -> bool:
        """No room even for a caller who was: live calls alone fill the house."""
        return 0 < self._max_calls <= len(self._live)

    @property
    def promised(self) -> bool:
        """Whether somebody may come for whom a place is kept."""
        return bool(self._places)

    @property
    def welcome(self) -> bool:
        """Whether new calls are."""
        return not self.draining and not self.full

    def full_with(self, others: int) -> bool:
        """The same once so many others are there."""
        return 0 < self._max_calls <= len(self._live) + len(self._places) + others

    def reserve(self) -> Place | None:
        """A place for one call, or ``None`` when new calls are not welcome."""
        if not self.welcome:
            return None
        self._nobody.clear()
        return Place(self._places, self._one_less)

    async def run(self, bridge: Bridge, place: Place) -> Ending:
        """The whole call, from here to its end, on a place reserved for it."""
        self._nobody.clear()
        self._live[bridge.call_id] = bridge
        place.release()  # only now: who waits for the last one to go would not see this one come
        try:
            return await bridge.run()
        finally:
            del self._live[bridge.call_id]
            self._remember(bridge)
            self._one_less()

    def also_known_as(self, other_id: str, call_id: str) -> None:
        """A call can be asked for by this id, too, until it is forgotten."""
        self._others[other_id] = call_id

    def live(self, call_id: str) -> Bridge | None:
        """The call, unless it is unknown or has ended."""
        bridge = self._live.get(self._others.get(call_id, call_id))
        return None if bridge is None or bridge.ended else bridge

    def describe(self, call_id: str) -> dict[str, Any] | None:
        """A live or recent call for the operator; ``None`` if it is neither."""
        call_id = self._others.get(call_id, call_id)
        bridge = self._live.get(call_id)
        return self._recent.get(call_id) if bridge is None else bridge.describe()

    def describe_all(self) -> list[dict[str, Any]]:
        """Live calls, then those that ended, the latest first."""
        live = [bridge.describe() for bridge in self._live.values()]
        return live + list(reversed(self._recent.values()))

    async def drain(self, seconds: float) -> bool:
        """Take no new calls and wait for those under way. ``False``: some are, still.

        Who was promised a place is waited for, too: no other process knows of him.
        """
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._nobody.wait()
        except TimeoutError:
            return False
        return True

    def take_leave(self, reason: str) -> None:
        """Take no new calls and say goodbye in those under way, which then end.

        Who was promised a place and has not come is not waited for any more.
        """
        self.draining = True
        for place in list(self._places):
            place.release()
        for bridge in list(self._live.values()):
            bridge.say_goodbye(reason)

    def _one_less(self) -> None:
        if not self._live and not self._places:
            self._nobody.set()

    def _remember(self, bridge: Bridge) -> None:
        self._recent[bridge.call_id] = bridge.describe()
        while len(self._recent) > self._recent_calls:
            gone, _ = self._recent.popitem(last=False)
            self._others = {one: own for one, own in self._others.items() if own != gone}
