"""What goes wrong between the parties of a simulated call: the ``faults`` block of a script.

The network's part only. What the model does wrong by itself are its knobs and faults.
"""

from random import Random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(strict=True, ge=-0.001, le=0.001)]
SomeSeconds = Annotated[float, Field(strict=True, gt=0, le=600)]

#: A connection whose pings go unanswered is closed after this long (20 s and 20 s more).
PINGS_UNANSWERED_SECONDS = 40.0

#: A slow reader takes a text in so many seconds: five a second.
SLOW_READ_SECONDS = 0.2

#: The bridge gives a peer up that is this many texts behind.
MOST_WAITING = 1_000


#: What the model says of these depends on nothing: others may overtake them.
INDEPENDENT = (
    '{"type":"conversation.item.input_audio_transcription.',
    '{"type":"rate_limits.updated"',
)


class _Block(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Mishap(_Block):
    """One thing that befalls one connection."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"kind": {"enum": ["drop", "half-open"]}}},
            "then": {"not": {"required": ["seconds"]}},
        }
    )

    kind: Literal["drop", "stall", "half-open", "slow"]
    """``drop``: the connection is lost, and the caller or the model's session with it; ``stall``:
    nothing arrives either way for some seconds, then all at once; ``half-open``: nothing arrives
    any more, and nobody says so until pings go unanswered; ``slow``: for some seconds the peer
    reads slower than is written."""
    side: Literal["telephony", "model"]
    at: Annotated[float, Field(strict=True, ge=0, le=36_000)]
    """Seconds from the beginning of the call."""
    seconds: SomeSeconds = 3.0
    """How long it lasts; of no meaning for ``drop`` and ``half-open``."""

    @property
    def noticed_after(self) -> float:
        """Seconds until both ends know that the connection is gone, where it is."""
        return PINGS_UNANSWERED_SECONDS if self.kind == "half-open" else 0.0

    @model_validator(mode="after")
    def _lasts(self) -> "Mishap":
        if self.kind in ("drop", "half-open") and "seconds" in self.model_fields_set:
            raise ValueError(f"a {self.kind} does not last: leave seconds out")
        return self


class Faults(_Block):
    """The ``faults`` block; empty: the network of a good day."""

    telephony_jitter: SomeSeconds | None = None
    """Seconds the slowest frame of the telephony side is late; order is kept."""
    model_jitter: SomeSeconds | None = None
    """The same for the model's socket."""
    clock_skew: Share = 0.0
    """By what share the telephony side's clock is faster than ours: 0.001 is 3.6 s an hour."""
    reorder: Annotated[float, Field(strict=True, ge=0, le=30)] = 0.0
    """Events of the model's that depend on nothing (transcriptions, rate limits) come up to so
    many seconds late, and others overtake them."""
    refused_dials: Annotated[int, Field(strict=True, ge=0, le=100)] = 0
    """So many attempts to open another model session are refused (429)."""
    network: tuple[Mishap, ...] = ()

    def befalling(
        self, side: Literal["telephony", "model"], call_seconds: float
    ) -> tuple[Mishap, ...]:
        """What befalls a side of a call that lasts so long; what comes later does nothing."""
        return tuple(one for one in self.network if one.side == side and one.at <= call_seconds)

    def lateness(self, call_seconds: float) -> float:
        """How much longer than usual a frame may be on its way to the caller, at most."""
        lost = sum(
            one.seconds if one.kind in ("stall", "slow") else PINGS_UNANSWERED_SECONDS
            for one in self.befalling("telephony", call_seconds)
        )
        return lost + abs(self.clock_skew) * call_seconds

    @property
    def delays_model(self) -> bool:
        """Whether what is said to the model and by it is later than on an ordinary day."""
        return self.model_jitter is not None or any(one.side == "model" for one in self.network)

    @classmethod
    def random(cls, random: Random) -> "Faults":
        """A bad day, drawn: what a call may be expected to survive or to end well in."""
        kinds: list[Literal["drop", "stall", "half-open", "slow"]] = [
            "drop", "stall", "stall", "half-open", "slow"
        ]  # fmt: skip
        network = []
        for _ in range(random.choice([0, 1, 1, 2])):
            kind = random.choice(kinds)
            side = random.choice([_TELEPHONY, _MODEL, _MODEL])
            at = round(random.uniform(0.5, 30.0), 2)
            if kind in ("drop", "half-open"):
                network.append(Mishap(kind=kind, side=side, at=at))
            else:
                seconds = round(random.uniform(0.3, 6.0), 2)
                network.append(Mishap(kind=kind, side=side, at=at, seconds=seconds))
        return cls(
            telephony_jitter=random.choice([None, 0.2, 0.5]),
            model_jitter=random.choice([None, 0.3, 0.8]),
            clock_skew=random.choice([0.0, 0.0002, -0.0002, 0.001, -0.001]),
            reorder=random.choice([0.0, 0.5, 3.0]),
            refused_dials=random.choice([0, 0, 1, 2]),
            network=tuple(network),
        )


_TELEPHONY: Literal["telephony", "model"] = "telephony"
_MODEL: Literal["telephony", "model"] = "model"
