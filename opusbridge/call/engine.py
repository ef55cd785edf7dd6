"""A call with its two protocols: text in, text out.

The same object runs behind real sockets, in the simulator, in replay and in the benchmark.
It is synchronous: whoever holds a text hands it over at once, and the order of the calls is
the order of what happened. A message that cannot be used costs that message and is counted;
nothing a peer says can raise from here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.invariants import Invariants
from opusbridge.call.tally import Tally
from opusbridge.effects import Effect
from opusbridge.errors import Ending, RemoteProtocolError
from opusbridge.events import Event
from opusbridge.protocols.realtime.protocol import RealtimeProtocol

Observer = Callable[[Event | Effect, float], None]

#: A telephony frame is about 400 bytes; a longer one than this is no telephony message.
LONGEST_TELEPHONY_TEXT = 65_536

TO_TELEPHONY = frozenset(get_args(effects.ToTelephony))
TO_MODEL = frozenset(get_args(effects.ToModel))


class TelephonyProtocol(Protocol):
    """What the engine needs of a telephony side's protocol object."""

    @property
    def peer(self) -> str:
        """Who sends what it receives, as the metrics name it."""

    @property
    def by_other_means(self) -> frozenset[type]:
        """The effects its wire cannot carry: the shell performs them."""

    @property
    def unknown_messages(self) -> int:
        """How many messages it has met that it does not know; they do no harm."""

    def receive(self, text: str) -> Sequence[events.FromTelephony | events.MessageRejected]: ...

    def send(self, effect: effects.ToTelephony) -> None: ...

    def messages_to_send(self) -> list[str]: ...


@dataclass(slots=True)
class Outgoing:
    """What one step leads to. Send the texts in order, to the telephony side first."""

    to_telephony: list[str]
    to_model: list[str]
    effects: list[Effect]
    """For the shell: tools to run, what the wire cannot carry, notes, and the end."""


class Engine:
    """``now`` is in seconds on the shell's clock. Observers see every event and effect."""

    def __init__(
        self,
        call: Call,
        telephony: TelephonyProtocol,
        model: RealtimeProtocol,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.call = call
        self.telephony = telephony
        self.model = model
        self.tally = Tally()
        self._invariants = Invariants()
        self._observers = tuple(observers)

    @property
    def ended(self) -> Ending | None:
        return self.call.ended

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`deadline_reached`."""
        return self.call.deadline

    def telephony_said(self, text: str, now: float) -> Outgoing:
        if len(text) > LONGEST_TELEPHONY_TEXT:
            return self._step([events.MessageRejected(self.telephony.peer, "oversized")], now)
        known = self.telephony.unknown_messages
        try:
            found = self.telephony.receive(text)
        except RemoteProtocolError as error:
            found = [events.MessageRejected(error.peer, error.kind)]
        unknown = self.telephony.unknown_messages != known
        return self._step(found, now, self.telephony.peer if unknown else None)

    def telephony_gone(self, now: float) -> Outgoing:
        return self._step([events.TelephonyLost()], now)

    def model_said(self, text: str, now: float) -> Outgoing:
        found: Sequence[Event]
        known = self.model.unknown_messages
        try:
            found = self.model.receive(text)
        except RemoteProtocolError as error:
            found = [events.MessageRejected(error.peer, error.kind)]
        return self._step(found, now, "model" if self.model.unknown_messages != known else None)

    def model_gone(self, reason: str, permanent: bool, now: float) -> Outgoing:
        """``reason`` is one of errors.REASONS."""
        return self._step([events.ModelLost(reason, permanent)], now)

    def deadline_reached(self, now: float) -> Outgoing:
        return self._step([events.DeadlineReached()], now)

    def happened(self, event: Event, now: float) -> Outgoing:
        """Something of the shell's: a tool finished, an operator asked for something."""
        return self._step([event], now)

    def _step(
        self, found: Sequence[Event], now: float, unknown_from: str | None = None
    ) -> Outgoing:
        for_shell: list[Effect] = []
        if unknown_from is not None:
            note = effects.Note("unknown-message", unknown_from)
            self._show(note, now, for_shell)
            for_shell.append(note)
        for event in found:
            self._show(event, now, for_shell)
            for effect in self.call.handle(event, now):
                self._show(effect, now, for_shell)
                self._route(effect, for_shell)
        # Acknowledgements the protocols owe by themselves leave here too.
        to_telephony = self.telephony.messages_to_send()
        return Outgoing(to_telephony, self.model.messages_to_send(), for_shell)

    def _route(self, effect: Effect, for_shell: list[Effect]) -> None:
        kind = type(effect)
        if kind in TO_MODEL:
            self.model.send(effect)  # type: ignore[arg-type]  # by TO_MODEL
        elif kind in TO_TELEPHONY and kind not in self.telephony.by_other_means:
            self.telephony.send(effect)  # type: ignore[arg-type]  # by TO_TELEPHONY
        else:
            if kind is effects.ReplaceModel:
                # Ids and formats of the old socket mean nothing on the new one.
                self.model = RealtimeProtocol()
            for_shell.append(effect)

    def _show(self, what: Event | Effect, now: float, for_shell: list[Effect]) -> None:
        for observer in self._observers:
            observer(what, now)
        for note in (*self.tally.observe(what, now), *self._invariants.observe(what, now)):
            self._show(note, now, for_shell)
            for_shell.append(note)
