"""How this server behaves where the real one may behave either way, and how it fails.

A :class:`Knobs` holds for a whole session. A :class:`Fault` befalls one response, named by its
ordinal: the first response in the default conversation that is not refused is number 1, its
repetition after a failure is number 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints


class FaultKind(StrEnum):
    FAILED = "failed"
    """Ends ``failed`` at once, with the detail as its error code."""
    FAILED_MIDWAY = "failed-midway"
    """The same, after half of its audio."""
    INCOMPLETE = "incomplete"
    """Cut short; the detail is ``max_output_tokens`` or ``content_filter``."""
    EMPTY = "empty"
    """Completes with no output at all."""
    CONTENTLESS = "contentless"
    """Completes with a message in which there is nothing."""
    WRITTEN = "written"
    """Answers in writing, though sound was asked for."""
    CREATED_WITHHELD = "created-withheld"
    """Holds the slot and says nothing, until cancelled or its time is over."""
    CREATED_LOST = "created-lost"
    """Everything but ``response.created`` is said."""
    DONE_WITHHELD = "done-withheld"
    """``response.done`` is never said, though the slot is free again."""
    DONE_STUCK = "done-stuck"
    """``response.done`` is never said and the slot stays taken until somebody cancels."""
    FREEZE = "freeze"
    """Half-way through, the session falls silent for good; the socket stays open."""
    DROP = "drop"
    """Half-way through, the socket is lost without a closing handshake."""


#: Ways to say nothing that can be heard.
UNHEARD = (FaultKind.EMPTY, FaultKind.CONTENTLESS, FaultKind.WRITTEN)
_DRAWN = [kind for kind in FaultKind if kind not in UNHEARD[1:]]

#: ``inference_rate_limit_exceeded`` is the one most often seen.
FAILURE_CODES = (
    "inference_rate_limit_exceeded",
    "rate_limit_exceeded",
    "server_error",
    "insufficient_quota",
    "credit_balance_exhausted",
)

_DETAILS: dict[FaultKind, tuple[str, ...]] = {
    FaultKind.FAILED: FAILURE_CODES,
    FaultKind.FAILED_MIDWAY: FAILURE_CODES,
    FaultKind.INCOMPLETE: ("max_output_tokens", "content_filter"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    kind: FaultKind
    detail: str = ""
    """What the kind needs to know more: an error code or a reason; empty takes the likeliest."""

    def __post_init__(self) -> None:
        known = _DETAILS.get(self.kind, ("",))
        if not self.detail:
            object.__setattr__(self, "detail", known[0])
        elif self.detail not in known:
            takes = f"one of {', '.join(known)}" if all(known) else "no detail"
            raise ValueError(f"{self.kind} takes {takes}")


@dataclass(frozen=True, slots=True)
class Knobs:
    """Durations in seconds unless the name says otherwise."""

    create_delay: float = 0.02
    """From accepting a ``response.create`` to ``response.created``; really up to 2."""

    auto_create_delay: float = 0.005
    """From the commit of a turn to the ``response.created`` that turn detection begins."""

    race_winner: Literal["server", "client"] = "server"
    """Whose response it is when turn detection and a client both ask within those delays."""

    auto_create_refusal: Literal["error", "silent"] = "error"
    """Turn detection finds a response active: an error nobody asked for, or nothing at all."""

    auto_response_on_client_commit: bool = False
    """Whether a client's own commit, with turn detection on, is answered like a detected turn."""

    refusal_text: Literal["current", "april-2025", "january-2025"] = "current"
    """The words of a refused create: with the occupier's id, without it, without a code."""

    refusal_order: Literal["after-created", "before-created"] = "after-created"
    """Whether a create that lost the race hears so after or before the winner is announced."""

    refusal_delay: float = 0.0
    """How late the error of a refused create comes; other events overtake it."""

    error_event_id: Literal["echo", "null"] = "echo"
    """Whether an error names the client event it answers."""

    cancel_latency: float = 0.0
    """How long a cancelled response goes on, for whatever reason it was cancelled."""

    cancel_finds_it_finished: bool = False
    """A client's cancel comes too late: the rest comes at once, ``completed``, then an error."""

    first_audio_delay: float = 0.25
    """From ``response.created`` to the first delta."""

    speed: float = 5.0
    """How much faster than it is heard the audio is produced; ``inf``: one burst."""

    delta_ms: tuple[int, int] = (100, 400)
    """The shortest and the longest piece of audio in one delta."""

    odd_deltas: bool = False
    """Pieces that are a whole number of samples but of nothing else."""

    message_items: int = 1
    """A spoken reply is split over this many message items, as the 2.x models do."""

    item_done_order: Literal["conversation-first", "output-first"] = "conversation-first"
    """``conversation.item.done`` against ``response.output_item.done``; both were seen."""

    stopped_items: Literal["closed", "left-open"] = "closed"
    """Whether an item in the middle of which a response is cancelled has its ``done`` events, or
    ``response.done`` alone tells."""

    goes_on_after_mcp: bool = False
    """Whether the result of an approved tool of an MCP server is answered without being asked."""

    rate_limits: Literal["late", "early", "absent"] = "late"
    """``rate_limits.updated`` after ``response.done``, after ``response.created``, or never."""

    usage: Literal["counted", "zero", "null"] = "counted"
    """What ``response.done`` says of tokens."""

    metadata_echoed: bool = True
    """Whether a response carries the metadata it was asked with.

    The real service always does; without it nobody can tell whose a response is.
    """

    obfuscation: bool = False
    """Deltas carry a padding string."""

    unknown_fields: bool = False
    """Every event has a field nobody has heard of."""

    unknown_events: bool = False
    """Now and then comes an event of a type nobody has heard of."""

    transcription: Literal["completed", "failed", "absent"] = "completed"
    """How the transcription of the caller's words ends, if the session asks for one."""

    transcription_delay: float = 0.4
    """From the commit to the transcription; it falls where it falls among other events."""

    transcription_order: Literal["after-commit", "before-commit"] = "after-commit"
    """Whether the words of a turn, or that there will be none, come after it is committed or
    just before."""

    session_limit: float = 3600.0
    """After this ``session_expired`` and the closing code 1001."""

    freeze_at: float | None = None
    """This long after the start the session falls silent for good, its socket open."""

    drop_at: float | None = None
    """This long after the start the socket is lost without a closing handshake."""

    faults: Mapping[int, Fault] = field(default_factory=lambda: MappingProxyType({}))
    """What befalls which response, by ordinal from 1."""

    def with_faults(self, faults: Mapping[int, Fault]) -> Knobs:
        """The same, with these faults in place of its own."""
        return replace(self, faults=faults)

    @classmethod
    def random(cls, random: Random) -> Knobs:
        """Every knob drawn, within what a bridge that knows its trade survives.

        When the session ends is left to ``faults``, and metadata is always echoed.
        """
        return cls(
            create_delay=_often_short(random, 2.0),
            auto_create_delay=_often_short(random, 2.0),
            race_winner=random.choice(["server", "client"]),
            auto_create_refusal=random.choice(["error", "silent"]),
            auto_response_on_client_commit=random.random() < 0.2,
            refusal_text=random.choice(["current", "current", "april-2025", "january-2025"]),
            refusal_order=random.choice(["after-created", "before-created"]),
            refusal_delay=_often_short(random, 0.5),
            error_event_id=random.choice(["echo", "echo", "null"]),
            cancel_latency=_often_short(random, 0.6),
            cancel_finds_it_finished=random.random() < 0.2,
            first_audio_delay=random.uniform(0.05, 1.5),
            speed=random.choice([1.5, 3.0, 5.0, 20.0, float("inf")]),
            delta_ms=random.choice([(20, 20), (50, 250), (100, 400), (400, 900)]),
            odd_deltas=random.random() < 0.3,
            message_items=random.choice([1, 1, 1, 2, 3]),
            item_done_order=random.choice(["conversation-first", "output-first"]),
            rate_limits=random.choice(["late", "early", "absent"]),
            usage=random.choice(["counted", "counted", "zero", "null"]),
            obfuscation=random.random() < 0.3,
            unknown_fields=random.random() < 0.3,
            unknown_events=random.random() < 0.3,
            transcription=random.choice(["completed", "completed", "failed", "absent"]),
            transcription_delay=(delay := random.uniform(0.05, 3.0)),
            # One draw more would make other calls of all known seeds; and short delays are for the
            # words that race the response.
            transcription_order="before-commit" if int(delay * 1000) % 5 == 1 else "after-commit",
            stopped_items="left-open" if int(delay * 1000) % 4 == 2 else "closed",
            goes_on_after_mcp=int(delay * 1000) % 3 == 2,
            faults=cls.random_faults(random),
        )

    @staticmethod
    def random_faults(random: Random, likelihood: float = 0.15) -> Mapping[int, Fault]:
        """Faults for the first forty responses, each of which a later response can make good.

        Never two in a row: three tries are allowed, and a fault may coincide with a race. The
        session is lost once at most. Nothing permanent, such as an exhausted quota.
        """
        faults: dict[int, Fault] = {}
        session_lost = False
        for ordinal in range(1, 41):
            if ordinal - 1 in faults or random.random() >= likelihood:
                continue
            kind = random.choice(_DRAWN)
            ends_session = kind in (FaultKind.FREEZE, FaultKind.DROP)
            if ends_session and session_lost:
                continue
            session_lost = session_lost or ends_session
            passing = _DETAILS.get(kind, ("",))[:3]
            detail = random.choice(passing)
            # Not drawn, lest all known seeds make other calls.
            faults[ordinal] = Fault(
                UNHEARD[ordinal % 3] if kind is FaultKind.EMPTY else kind, detail
            )
        return MappingProxyType(faults)

    @classmethod
    def parse(cls, *texts: str, over: Knobs | None = None) -> Knobs:
        """From ``NAME=VALUE`` texts, as a command line gives them; the rest is as it is ``over``.

        A knob is named with dashes: ``cancel-latency=0.3``, ``delta-ms=20-40``; a switch may
        stand alone: ``odd-deltas``. A fault takes the ordinal of the response it befalls, and
        perhaps a detail: ``drop=2``, ``failed=1:server_error``; alone, it befalls the first.

        :raises ValueError: an unknown name, with the names there are, or a value that will not do.
        """
        knobs, faults = over or cls(), dict[int, Fault]()
        for given in texts:
            name, equals, value = given.partition("=")
            name = name.strip().replace("_", "-")
            if name in _FAULT_NAMES:
                ordinal, fault = _parsed_fault(name, value if equals else "1")
                if ordinal in faults:
                    there = faults[ordinal].kind
                    raise ValueError(f"response {ordinal} has the fault {there} already")
                faults[ordinal] = fault
            elif name in _KNOB_TYPES:
                attribute = name.replace("-", "_")
                parsed = _parsed(name, _KNOB_TYPES[name], value if equals else "true")
                knobs = replace(knobs, **{attribute: parsed})
            else:
                raise ValueError("there is no such fault; choose among " + ", ".join(NAMES))
        return knobs.with_faults(MappingProxyType({**knobs.faults, **faults})) if faults else knobs


_FAULT_NAMES = frozenset(kind.value for kind in FaultKind)

_KNOB_TYPES: dict[str, Any] = {
    name.replace("_", "-"): kind for name, kind in get_type_hints(Knobs).items() if name != "faults"
}

#: Seconds; when a session ends is told as a date.
LONGEST_SESSION = 1_000_000_000

#: All that :meth:`Knobs.parse` knows.
NAMES = tuple(sorted([*_FAULT_NAMES, *_KNOB_TYPES]))


def _often_short(random: Random, most: float) -> float:
    """Mostly a network's delay, now and then anything up to ``most``."""
    return random.uniform(0.0, most if random.random() < 0.2 else min(most, 0.1))


def _parsed_fault(name: str, value: str) -> tuple[int, Fault]:
    ordinal, _, detail = value.partition(":")
    if not ordinal.isdecimal() or int(ordinal) < 1:
        raise ValueError(f"{name} takes the number of a response, from 1")
    return int(ordinal), Fault(FaultKind(name), detail)


def _parsed(name: str, kind: Any, value: str) -> Any:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{name} takes one of {', '.join(get_args(kind))}")
        return value
    if kind is bool:
        if value not in ("true", "false"):
            raise ValueError(f"{name} takes true or false")
        return value == "true"
    if get_origin(kind) is tuple:
        shortest, _, longest = value.partition("-")
        lengths = _number(name, int, shortest), _number(name, int, longest or shortest)
        if lengths[0] > lengths[1]:
            raise ValueError(f"{name} takes the shorter length first")
        return lengths
    number = _number(name, int if kind is int else float, value)
    if name == "speed" and number == 0:
        raise ValueError("speed takes a number above zero")
    if name == "session-limit" and number > LONGEST_SESSION:
        raise ValueError(f"session-limit takes at most {LONGEST_SESSION} seconds")
    return number


def _number(name: str, kind: type[int] | type[float], value: str) -> int | float:
    try:
        number = kind(value)
    except ValueError:
        number = -1
    if not number >= 0 or (kind is int and number == 0):
        raise ValueError(f"{name} takes a {'whole ' if kind is int else ''}number, not below zero")
    return number
