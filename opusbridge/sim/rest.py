"""What Twilio's REST interface does to a caller, in virtual time: hang-ups and transfers.

A transfer takes him off his stream. If the bridge has said where to ask how to go on, nobody
takes his call there and he is still on the line, he comes back to it on another stream.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from opusbridge import events
from opusbridge.events import Event
from opusbridge.protocols.twilio import twiml
from opusbridge.sim.callers import Caller, SimulatedTwilio
from opusbridge.sim.surroundings import Surroundings

#: For the caller who comes back: his stream has no secrets in virtual time.
_PARAMETERS: dict[str, str] = {}
#: In whose words Twilio tells why nobody took a call: it knows of none who declines.
_TOLD = {"declined": "busy"}

#: So long takes a key of a ``<Play digits>``, with the pause behind it.
KEY_SECONDS = 0.2

Deed = Callable[[float], None]
"""Something done to a caller, on his own clock."""


class Carrier(Protocol):
    """Who carries the call."""

    def happened(self, event: Event) -> None:
        """The bridge learns of it, unless the call has ended."""

    def to_caller(self, deed: Deed) -> None:
        """On his stream as it is."""

    def again(self, deed: Deed) -> None:
        """On another one, unless the call has ended."""

    def let_go(self) -> None:
        """Nothing more of his stream is delivered."""

    def later(self, seconds: tuple[float, float], act: Callable[[], None]) -> None: ...


class PretendRest:
    """For one call."""

    def __init__(self, caller: Caller, carrier: Carrier, surroundings: Surroundings) -> None:
        self._caller, self._carrier, self._surroundings = caller, carrier, surroundings
        self._seconds = surroundings.rest_seconds
        self._hung_up = False

    def hang_up(self) -> None:
        self._carrier.later(self._seconds, self._hang_up)

    def transfer(self, target: str) -> None:
        self._carrier.later(self._seconds, partial(self._transfer, target))

    def press(self, digits: str) -> None:
        self._carrier.later(self._seconds, partial(self._press, digits))

    @property
    def _of_twilio(self) -> SimulatedTwilio:
        assert isinstance(self._caller, SimulatedTwilio), "nobody else has a REST interface"
        return self._caller

    def _hang_up(self) -> None:
        self._hung_up = True
        if self._of_twilio.closing is not None:  # there is no stream to end
            self._carrier.happened(events.CallerHungUp("caller-hung-up"))
        self._carrier.to_caller(self._of_twilio.hang_up_by_rest)

    def _transfer(self, target: str) -> None:
        caller, carrier = self._of_twilio, self._carrier
        refused = self._surroundings.transfer_fails
        if caller.closing is not None or not twiml.diallable(target):
            refused = "error"  # there is no such call any more, or nobody there to be dialled
        if refused is not None:
            carrier.happened(events.TransferFailed(refused))
            return
        if not self._surroundings.transfers_return:
            carrier.happened(events.TransferSucceeded())
            carrier.to_caller(caller.new_twiml)
            return
        carrier.to_caller(caller.new_twiml)
        carrier.happened(events.TransferUnderWay())
        ringing = caller.habits.ring_seconds
        carrier.later((ringing, ringing), self._dial_ended)

    def _press(self, digits: str) -> None:
        caller = self._of_twilio
        if caller.closing is not None:
            self._carrier.happened(events.TransferFailed("error"))
            return
        caller.pressed_by_bridge.append(digits)
        self._carrier.to_caller(caller.new_twiml)
        self._carrier.happened(events.TransferUnderWay())
        seconds = KEY_SECONDS * len(digits)
        self._carrier.later((seconds, seconds), partial(self._returns, "error"))

    def _dial_ended(self) -> None:
        outcome = self._of_twilio.habits.transfer_outcome
        if self._hung_up:
            return  # he is not asked where he wants to go
        if outcome == "answered":
            self._carrier.happened(events.TransferSucceeded())
            return
        self._returns(_TOLD.get(outcome, outcome))

    def _returns(self, reason: str) -> None:
        if self._hung_up:
            return
        self._carrier.let_go()
        self._carrier.happened(events.CallerReturns(reason))
        self._carrier.later(self._seconds, self._come_back)

    def _come_back(self) -> None:
        caller = self._of_twilio
        sid = f"MZ{caller.random.getrandbits(128):032x}"
        self._carrier.again(lambda now: caller.another_stream(sid, _PARAMETERS, now))
