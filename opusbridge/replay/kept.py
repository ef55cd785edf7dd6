"""An engine whose flight is kept, for calls in virtual time."""

from pathlib import Path

from opusbridge import effects, events
from opusbridge.call.engine import Engine, Outgoing
from opusbridge.call.policy import CallPolicy
from opusbridge.effects import Effect
from opusbridge.errors import Ending
from opusbridge.events import Event
from opusbridge.recording.facts import fact
from opusbridge.recording.flight import FlightRecording


class KeptEngine:
    """Stands in front of an engine that nothing has happened to yet.

    ``whole``: the sound that comes is kept, too. Call :meth:`finish` when the call is over. All
    may raise ``OSError``.
    """

    def __init__(self, engine: Engine, path: Path, *, whole: bool = False) -> None:
        self._engine = engine
        call = engine.call
        self._flight = FlightRecording(
            path, path.stem, None, began_at=call.began_at, policy=call.policy, whole=whole
        )

    @property
    def call(self) -> object:
        return self._engine.call

    @property
    def deadline(self) -> float | None:
        return self._engine.deadline

    @property
    def ended(self) -> Ending | None:
        return self._engine.ended

    def telephony_said(self, text: str, now: float) -> Outgoing:
        self._flight.said("telephony", "in", self._engine.for_the_record(text), now)
        return self._kept(self._engine.telephony_said(text, now), now)

    def model_said(self, text: str, now: float) -> Outgoing:
        self._flight.said("model", "in", text, now)
        return self._kept(self._engine.model_said(text, now), now)

    def happened(self, event: Event, now: float) -> Outgoing:
        self._flight.happened(event, now)
        self._told(event, now)
        return self._kept(self._engine.happened(event, now), now)

    def configured(self, policy: CallPolicy | None, now: float) -> Outgoing:
        event = events.CallConfigured(policy is not None)
        self._flight.happened(event, now, policy)
        self._told(event, now)
        return self._kept(self._engine.configured(policy, now), now)

    def finish(self) -> None:
        self._flight.finish()

    def _kept(self, out: Outgoing, now: float) -> Outgoing:
        for effect in out.effects:
            self._note(effect, now)
        for text in out.to_telephony:
            self._flight.said("telephony", "out", text, now)
        for text in out.to_model:
            self._flight.said("model", "out", text, now)
        return out

    def _note(self, effect: Effect, now: float) -> None:
        match effect:
            case effects.PauseRecording():
                self._flight.pause()
            case effects.ResumeRecording():
                self._flight.resume()
            case effects.Note("withheld", reason, ids):
                self._flight.withhold(ids, reason)
        self._told(effect, now)

    def _told(self, what: Event | Effect, now: float) -> None:
        if (line := fact(what)) is not None:
            self._flight.noted(line, now)
