"""What stands between the parties: an engine, as far as the world knows it."""

from collections.abc import Sequence
from typing import Protocol

from opusbridge.call.policy import CallPolicy
from opusbridge.effects import Effect
from opusbridge.errors import Ending
from opusbridge.events import Event


class OutgoingLike(Protocol):
    """What an engine wants done, in order on each side."""

    @property
    def to_telephony(self) -> Sequence[str]: ...

    @property
    def to_model(self) -> Sequence[str]: ...

    @property
    def effects(self) -> Sequence[Effect]: ...


class EngineLike(Protocol):
    """A call with its two protocols: text in, text out."""

    @property
    def deadline(self) -> float | None: ...

    @property
    def ended(self) -> Ending | None: ...

    def telephony_said(self, text: str, now: float) -> OutgoingLike: ...

    def model_said(self, text: str, now: float) -> OutgoingLike: ...

    def happened(self, event: Event, now: float) -> OutgoingLike: ...

    def configured(self, policy: CallPolicy | None, now: float) -> OutgoingLike: ...
