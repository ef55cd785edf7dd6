"""A call with its two protocols: text in, text out.

The same object runs behind real sockets, in the simulator, in replay and in the benchmark.
It is synchronous: whoever holds a text hands it over at once, and the order of the calls is
the order of what happened. A message that cannot be used costs that message and is counted;
nothing a peer says can raise from here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from types import MappingProxyType
from typing import Protocol, get_args, runtime_checkable

from opusbridge import effects, events
from opusbridge.audio.formats import quietly
from opusbridge.call.call import Call
from opusbridge.call.flow import SOONER_SECONDS, Flow, flow_of
from opusbridge.call.invariants import CHECKED, Invariants
from opusbridge.call.patience import FLOOD, Flood
from opusbridge.call.policy import CallPolicy
from opusbridge.call.prelude import Prelude
from opusbridge.call.tally import COUNTED, Tally
from opusbridge.call.turns import CallerLine
from opusbridge.effects import Effect
from opusbridge.errors import Ending, RemoteProtocolError
from opusbridge.events import Event
from opusbridge.protocols.realtime.protocol import RealtimeProtocol
from opusbridge.sound import sound_bytes

Observer = Callable[[Event | Effect, float], None]
Bystanders = Mapping[type, Sequence[Observer]]
"""By the types of what they want to see."""

#: A telephony frame is about 400 bytes; one longer than this takes no short cut.
LONGEST_TELEPHONY_TEXT = 65_536

#: What the tally counts, or the invariants are about.
JUDGED = COUNTED | CHECKED

#: What nobody sees of an answer in mid-flow; whoever watches these closes that short cut.
UNSEEN = {events.ModelSpoke, events.ModelWords, events.MarkReached, effects.PlaceMark}

TO_TELEPHONY = frozenset(get_args(effects.ToTelephony))
TO_MODEL = frozenset(get_args(effects.ToModel))


class TelephonyProtocol(Protocol):
    """What the engine needs of a telephony side's protocol object."""

    @property
    def peer(self) -> str:
        """Who sends what it receives, as the metrics name it."""

    @property
    def longest_text(self) -> int:
        """Characters; a longer text is refused unread."""

    @property
    def by_other_means(self) -> frozenset[type]:
        """The effects its wire cannot carry: the shell performs them."""

    @property
    def unknown_messages(self) -> int:
        """How many messages it has met that it does not know; they do no harm."""

    def receive(self, text: str) -> Sequence[events.FromTelephony | events.MessageRejected]: ...

    @property
    def frame_kind(self) -> str:
        """What the wire calls the messages of :meth:`frame`."""

    def frame(self, text: str) -> tuple[str, int | None] | None:
        """The whole samples of a plain frame of the caller's, in base64, and its wire's clock.

        :meth:`receive` would make a ``CallerSpoke`` of them. ``None``, and as if never asked, for
        everything else.
        """

    def masked(self, text: str) -> str:
        """The same without sound and keys, and without what we do not understand."""

    def send(self, effect: effects.ToTelephony) -> None: ...

    def call_ended(self, reason: str) -> None:
        """We end the call: a side that does not take a closed socket for that is told so."""

    def messages_to_send(self) -> list[str]: ...


@runtime_checkable
class FlowingProtocol(Protocol):
    """One whose wire plays what it is sent, and tells with marks what was heard."""

    def echo(self, text: str) -> str | None:
        """The name of the mark that comes back in a text; ``None`` for everything else."""

    @property
    def around(self) -> tuple[str, str]:
        """What stands around the sound in the first of the texts of :meth:`stream`."""

    def stream(self, sound: str, mark: str) -> list[str]:
        """The texts for sound in its format, in base64, and a mark behind it."""


@dataclass(frozen=True, slots=True)
class Flowed:
    """What one more piece of the agent's answer leads to: these texts for the telephony side."""

    to_telephony: Sequence[str] = ()
    sound: events.Delta | None = None
    """If it is sound, that leaves with a mark behind it, or behind each piece of it."""
    around: tuple[str, str] = ("", "")
    """What stands around it, or each piece, in the message that leaves."""


@dataclass(slots=True)
class Outgoing:
    """What one step leads to. Send the texts in order, to the telephony side first."""

    to_telephony: list[str]
    to_model: list[str]
    effects: list[Effect]
    """For the shell: tools to run, what the wire cannot carry, notes, and the end."""


#: Of a step that changed no deadline but by putting it off.
NOTHING = Outgoing([], [], [])
_WORDS = Flowed()


class Engine:
    """``now`` is in seconds on the shell's clock. Observers see every event and effect.

    Bystanders see what is of their types only, and not the caller's sound where all that comes
    of it is that it goes on to the model: whoever asks :meth:`passes` knows of that.
    """

    def __init__(
        self,
        call: Call,
        telephony: TelephonyProtocol,
        model: RealtimeProtocol,
        observers: Sequence[Observer] = (),
        bystanders: Bystanders = MappingProxyType({}),
    ) -> None:
        self.call = call
        self.telephony = telephony
        self.model = model
        self.tally = Tally()
        self._flood = Flood()
        self._prelude = Prelude(call)
        self._invariants = Invariants()
        self._observers = tuple(observers)
        self._bystanders = bystanders
        self._unseen = not observers and bystanders.keys().isdisjoint(UNSEEN)
        self._looked = self._agreed = False  # whether ``_line`` and ``_flow`` are of now
        self._line: CallerLine | None = None
        self._flow: Flow | None = None
        self._flows_until = 0.0  # from then on a deadline may be due, whoever wakes first
        self._streams = telephony if isinstance(telephony, FlowingProtocol) else None

    @property
    def ended(self) -> Ending | None:
        return self.call.ended

    @property
    def deadline(self) -> float | None:
        """When :class:`~opusbridge.events.DeadlineReached` is to be told."""
        return self.call.deadline if self._prelude.over else self._prelude.deadline

    @property
    def wants_model(self) -> bool:
        """Whether there is somebody to talk to."""
        begun = self.call.conversation is not None or self._prelude.started
        return begun and self.ended is None

    @property
    def configurable(self) -> bool:
        """Whether it may still be said how the call is to be conducted."""
        return not self._prelude.over

    def configured(self, policy: CallPolicy | None, now: float) -> Outgoing:
        """How the call is to be conducted; ``None``: as it is. Too late, it changes nothing."""
        self._prelude.offer(policy)
        return self._step([events.CallConfigured(policy is not None)], now)

    def telephony_said(self, text: str, now: float) -> Outgoing:
        if len(text) > self.telephony.longest_text:
            return self._step([events.MessageRejected(self.telephony.peer, "oversized")], now)
        known = self.telephony.unknown_messages
        try:
            found = self.telephony.receive(text)
        except RemoteProtocolError as error:
            found = [events.MessageRejected(error.peer, error.kind)]
        unknown = self.telephony.unknown_messages != known
        return self._step(found, now, self.telephony.peer if unknown else None)

    def passes(self, text: str, now: float) -> tuple[str, int | None, int] | None:
        """A short cut for what comes fifty times a second: a frame of which nothing comes but
        that its sound goes on to the model (:func:`~.realtime.protocol.append`).

        Its sound, in base64; what its wire's clock said, in ms; and its size in bytes. ``None``,
        and as if never asked, for everything else: hand it to :meth:`telephony_said`, which makes
        the same of all.
        """
        if not self._looked:
            self._look()
        line = self._line
        if line is None or len(text) > LONGEST_TELEPHONY_TEXT:
            return None
        found = self.telephony.frame(text)
        if found is None:
            return None
        sound, stamp_ms = found
        size_bytes = sound_bytes(sound)
        return (sound, stamp_ms, size_bytes) if line.passes(size_bytes, stamp_ms, now) else None

    def flows(self, text: str, now: float) -> Flowed | None:
        """A short cut for what the model says ten times a second: more sound of the answer that
        is being played, or words of it. Nothing comes of it but what is returned; the
        :attr:`deadline` is put off at most.

        ``None``, and as if never asked, for everything else: hand it to :meth:`model_said`.
        """
        if not self._looked:
            self._look()
        flow, streams = self._flow, self._streams if self._agreed else None
        late = now >= self._flows_until
        if flow is None or late or (delta := self.model.delta(text)) is None:
            return None
        if delta[0] != "sound":
            return _WORDS if flow.words(delta, now) else None
        # The first sound of an answer is counted.
        played = flow.sound(delta, now) if streams is not None and self.tally.in_answer else None
        if streams is None or played is None:
            return None
        texts: list[str] = []
        self._invariants.received(*delta[2:4], sum(sent.audio.ms for sent, _ in played))
        for sent, mark in played:
            for observer in self._bystanders.get(effects.PlayAudio, ()):
                observer(sent.effect, now)
            texts += streams.stream(sent.audio.text, mark)
        return Flowed(texts, delta, streams.around)

    def echoes(self, text: str, now: float) -> Outgoing | None:
        """The same for a mark that comes back while more is played; mostly :data:`NOTHING`.
        ``None``, and as if never asked: it is for :meth:`telephony_said`."""
        if not self._looked:
            self._look()
        flow, streams = self._flow, self._streams
        if flow is None or streams is None or now >= self._flows_until:
            return None
        if (name := streams.echo(text)) is None:
            return None
        found = flow.mark(name, now)
        if found is None:
            return None
        came, sooner = found
        if not sooner:
            return NOTHING
        # The clock was set right, and whatever counts from the end of what is said with it.
        self._looked = False
        for_shell: list[Effect] = []
        self._carry(came, now, for_shell)
        return self._outgoing(for_shell)

    def _look(self) -> None:
        """Which short cuts are open until the next step."""
        self._looked = True
        talk = self.call.conversation
        self._agreed = talk is not None and talk.model_format == self.model.output_format
        seen = self._observers or not self._prelude.over
        self._line = None if seen else self.call.open_line
        straight = self._unseen and self._prelude.over
        self._flow = flow_of(self.call) if straight else None
        due = self.deadline
        # What a mark makes earlier by less is not looked at.
        self._flows_until = inf if due is None else due - SOONER_SECONDS

    def for_the_record(self, text: str) -> str:
        """A text of the telephony side as it may be written down, before it is handed in."""
        return self.telephony.masked(text) if self.call.secret else text

    def model_said(self, text: str, now: float) -> Outgoing:
        found: Sequence[Event]
        known = self.model.unknown_messages
        try:
            found = self.model.receive(text)
        except RemoteProtocolError as error:
            found = [events.MessageRejected(error.peer, error.kind)]
        return self._step(found, now, "model" if self.model.unknown_messages != known else None)

    def happened(self, event: Event, now: float) -> Outgoing:
        """Something of the shell's: a tool finished, a socket was lost, the deadline has come."""
        if type(event) is events.CallerReturns:
            # Ids and clocks of the line he left mean nothing on the one he comes back on.
            self.telephony = type(self.telephony)()
            self._streams = self.telephony if isinstance(self.telephony, FlowingProtocol) else None
        return self._step([event], now)

    def _step(
        self, found: Sequence[Event], now: float, unknown_from: str | None = None
    ) -> Outgoing:
        self._looked = False
        for_shell: list[Effect] = []
        if unknown_from == self.telephony.peer and self._flood.rises(now):
            found = [events.MessageRejected(unknown_from, FLOOD)]
        elif unknown_from is not None:
            note = effects.Note("unknown-message", unknown_from)
            self._show(note, now, for_shell)
            for_shell.append(note)
        for event in found:
            if type(event) is events.CallerSpoke and self.call.secret:
                # The tones of the keys are in his sound: nobody is to have it.
                event = replace(event, audio=quietly(event.audio))
            self._show(event, now, for_shell)
            decider = self.call if self._prelude.over else self._prelude
            self._carry(decider.handle(event, now), now, for_shell)
        return self._outgoing(for_shell)

    def _carry(self, found: Sequence[Effect], now: float, for_shell: list[Effect]) -> None:
        for effect in found:
            self._show(effect, now, for_shell)
            self._route(effect, for_shell)

    def _outgoing(self, for_shell: list[Effect]) -> Outgoing:
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
            if isinstance(effect, effects.EndCall) and effect.ending.reason != "telephony-lost":
                self.telephony.call_ended(effect.ending.reason)
            if kind is effects.ReplaceModel or kind is effects.ReleaseModel:
                # Ids and formats of the old socket mean nothing on the new one.
                self.model = RealtimeProtocol()
            for_shell.append(effect)

    def _show(self, what: Event | Effect, now: float, for_shell: list[Effect]) -> None:
        for observer in self._observers:
            observer(what, now)
        for observer in self._bystanders.get(type(what), ()):
            observer(what, now)
        if type(what) not in JUDGED:
            return
        for note in (*self.tally.observe(what, now), *self._invariants.observe(what, now)):
            self._show(note, now, for_shell)
            for_shell.append(note)


def by_type(watching: Iterable[tuple[Observer, Iterable[type]]]) -> Bystanders:
    """Those who watch, by the types of what each wants to see; a call keeps it."""
    found: dict[type, tuple[Observer, ...]] = {}
    for observe, kinds in watching:
        for kind in kinds:
            found[kind] = (*found.get(kind, ()), observe)
    return found
