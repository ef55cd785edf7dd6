"""What came of a call: gathered by watching it, whoever carried it.

The same in virtual time and on real sockets: an observer of the call's engine, and the
caller's own ears. Against a bridge that runs elsewhere only the ears are left; what nobody
could see is ``None`` and not empty. Instants are seconds from the beginning of the call.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from json import JSONDecodeError, loads
from math import inf
from typing import Any

from opusbridge import effects, events
from opusbridge.call.tally import Tally
from opusbridge.call.words import split_by_share
from opusbridge.effects import Effect
from opusbridge.events import Event
from opusbridge.sim.callers import Caller
from opusbridge.sim.callers.person import UTTERANCE_GAP_SECONDS
from opusbridge.sim.callers.playout import HeardSpan, is_audible
from opusbridge.sim.checks import SpokenItem, heard_of
from opusbridge.sim.witness import SEAM_MS, cleared_at
from opusbridge.sound import AudioFormat

#: Stretches of this length are heard or not.
WINDOW_MS = 20

#: Shorter pauses of the agent are breaths.
BREATH_SECONDS = 0.3

#: Files that are played and have no words: what the transcript says of them nobody said.
SOUND = "clip:file-"


@dataclass(frozen=True, slots=True)
class Utterance:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class ToolRun:
    at: float
    name: str
    arguments: Any
    """As JSON has it, or the text that was none."""
    refused: str = ""
    """What the model was told, if the agent has no such tool or would not have the arguments."""
    use: str = ""
    """As the transcript has it: what was called, and what came of it."""
    output: Any = None
    """What the model was told, as JSON has it, or the text that is none; ``None`` without any."""


@dataclass(frozen=True, slots=True)
class Lapse:
    """Something that took its time: a silence, or an answer."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """``None``: it could not be observed."""

    ended_at: float
    silences: Sequence[Lapse]
    """Nobody is heard, from the answering of the phone to its end."""
    answers: Sequence[Lapse]
    """Of the caller's turns that were answered: when each ended, and how long it took."""
    spoken: int = 0
    """How often the caller has spoken."""
    ending: Utterance | None = None
    """The reason."""
    hung_up_on: bool = False
    """By whomever, where the reason could not be observed: it was not the caller himself."""
    heard: Sequence[Utterance] | None = None
    """The agent's words as far as the ear got them, in order."""
    transcript: Sequence[dict[str, Any]] | None = None
    tools: Sequence[ToolRun] | None = None
    keys: Sequence[Utterance] | None = None
    transfers: Sequence[Utterance] | None = None
    responses: dict[str, int] | None = None
    conflicts: Sequence[float] | None = None
    turns: int | None = None
    barge_ins: int | None = None


@dataclass(slots=True)
class Watch:
    """An observer of one engine."""

    tally: Tally = field(default_factory=Tally)
    tools: list[tuple[float, str, str, str]] = field(default_factory=list)
    """When, its name, what it was given, and the name of the call or of the item."""
    keys: list[tuple[float, str]] = field(default_factory=list)
    transfers: list[tuple[float, str]] = field(default_factory=list)
    conflicts: list[float] = field(default_factory=list)
    coughs: set[str] = field(default_factory=set)
    """The turns that the bridge judged to be none."""
    ending: tuple[float, str] | None = None
    _outputs: dict[str, str] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    _servers: dict[str, str] = field(default_factory=dict)
    _sound: dict[str, bytearray] = field(default_factory=dict)
    _spoken_at: dict[str, float] = field(default_factory=dict)
    _words: dict[str, list[str]] = field(default_factory=dict)
    _format: AudioFormat | None = None

    def __call__(self, what: Event | Effect, now: float) -> None:
        match what:
            case events.CallerSpoke() | effects.AppendAudio():
                return
            case events.ModelSpoke(_, item_id, _, audio):
                self._sound.setdefault(item_id, bytearray()).extend(audio.raw)
                self._spoken_at.setdefault(item_id, now)
                self._format = audio.format
            case events.ModelWords(_, item_id, _, text, final):
                self._hear_words(item_id, text.value, final)
            case effects.RunTool(tool_call_id, name, arguments):
                self.tools.append((now, name, arguments.value, tool_call_id))
            case events.ToolFinished(tool_call_id, output, refused=refused):
                self._outputs[tool_call_id] = output.value
                self._refused |= {tool_call_id} if refused else set()
            case events.McpUsed() if what.item_id not in self._servers:  # it may be said again
                self._servers[what.item_id] = f"{what.server_label}."
                self._outputs[what.item_id] = what.output.value
                self.tools.append((now, what.name, what.arguments.value, what.item_id))
            case events.DigitsPressed(digits):
                self.keys.append((now, digits.value))
            case effects.TransferCall(target):
                self.transfers.append((now, target.value))
            case effects.Note("false-interruption", _, ids):
                self.coughs.update(ids)
            case effects.Note("conflict"):
                self.conflicts.append(now)
            case effects.EndCall(how):
                self.ending = (now, how.reason)
            case _:
                pass
        self.tally.observe(what, now)

    def tool_runs(self, begun: float) -> list[ToolRun]:
        return [
            self._tool_run(at - begun, name, text, which) for at, name, text, which in self.tools
        ]

    def spoken(self) -> list[tuple[SpokenItem, str]]:
        """Everything the model said, with its words."""
        if self._format is None:
            return []
        return [
            (
                SpokenItem(item_id, bytes(sound), self._format, self._spoken_at[item_id]),
                "".join(self._words.get(item_id, [])).strip(),
            )
            for item_id, sound in self._sound.items()
        ]

    def _tool_run(self, at: float, name: str, text: str, which: str) -> ToolRun:
        output = self._outputs.get(which)
        use = f"{self._servers.get(which, '')}{name}({text})"
        if output is None:
            return ToolRun(at, name, _as_json(text), use=use)
        refused = _why(output) if which in self._refused else ""
        return ToolRun(at, name, _as_json(text), refused, f"{use} -> {output}", _as_json(output))

    def _hear_words(self, item_id: str, text: str, final: bool) -> None:
        if final:
            self._words[item_id] = [text]
        else:
            self._words.setdefault(item_id, []).append(text)


def seen_from_outside(caller: Caller) -> Evidence:
    """What the caller himself knows, of a bridge that runs somewhere else."""
    begun = caller.begun_at or 0.0
    ended = (caller.ended_at if caller.ended_at is not None else begun) - begun
    deeds = [(deed.at - begun, deed.kind) for deed in caller.person.diary]
    own = [Utterance(at, "caller-hung-up") for at, kind in deeds if kind == "hangs-up"]
    dropped = any(kind == "drops" for _, kind in deeds)
    return Evidence(
        ended_at=ended,
        silences=silences(caller),
        answers=answers(caller),
        spoken=sum(not one.silent for one in caller.spoken),
        ending=own[-1] if own else None,
        hung_up_on=not own and not dropped,
    )


def seen_from_inside(
    caller: Caller, watch: Watch, transcript: Sequence[dict[str, Any]]
) -> Evidence:
    """What the caller heard, what the engine did, and what the call itself wrote down."""
    begun = caller.begun_at or 0.0
    ended_at = max(caller.ended_at or begun, watch.ending[0] if watch.ending else begun)
    counted = watch.tally
    return Evidence(
        ended_at=ended_at - begun,
        silences=silences(caller),
        answers=answers(caller, said_by_agent(caller, watch, transcript)),
        spoken=sum(not one.silent for one in caller.spoken),
        ending=Utterance(watch.ending[0] - begun, watch.ending[1]) if watch.ending else None,
        heard=heard_words(caller, watch, transcript),
        transcript=transcript,
        tools=watch.tool_runs(begun),
        keys=[Utterance(at - begun, digits) for at, digits in watch.keys],
        transfers=[Utterance(at - begun, target) for at, target in watch.transfers],
        responses=asdict(counted.responses),
        conflicts=[at - begun for at in watch.conflicts],
        turns=counted.turns_taken,
        barge_ins=counted.barge_ins,
    )


def heard_words(
    caller: Caller, watch: Watch, transcript: Iterable[dict[str, Any]]
) -> list[Utterance]:
    """The model's words by the ear's own account; of stored speech, the bridge's and what is said
    in the agent's name, by the transcript's."""
    begun = caller.begun_at or 0.0
    spoken = watch.spoken()
    by_ear = {item.item_id for item, _ in spoken}
    items = {item["item_id"]: item for item in transcript if item["speaker"] == "agent"}
    found = [
        Utterance((item["started_ms"] or 0) / 1000, item["heard"])
        for item_id, item in items.items()
        if item_id not in by_ear and item["heard"] and not item_id.startswith(SOUND)
    ]
    for item, words in spoken:
        if any(span.format == item.format for span in caller.heard):
            ms = heard_of(item, caller.heard, inf, cleared_at(caller), SEAM_MS)
            share = ms * item.format.bytes_per_ms / len(item.sound)
        else:  # converted on its way: the ear cannot compare, the ledger can
            share = _share(items.get(item.item_id))
        # The padding of the last frame may be missing.
        heard = words if share > 0.97 else split_by_share(words, share)[0]
        if heard:
            started_ms = items.get(item.item_id, {}).get("started_ms")
            at = item.spoken_at - begun if started_ms is None else started_ms / 1000
            found.append(Utterance(at, heard))
    return sorted(found, key=lambda one: one.at)


def _share(item: dict[str, Any] | None) -> float:
    text, heard = (item["text"], item["heard"]) if item else ("", "")
    return len(heard) / len(text) if text else 0.0


def _as_json(text: str) -> Any:
    try:
        return loads(text)
    except JSONDecodeError:
        return text


def _why(output: str) -> str:
    """By what the model was told of a tool that was refused."""
    told = _as_json(output)
    return str(told["error"]) if isinstance(told, dict) else ""


# --- By ear -----------------------------------------------------------------------------


def stretches(
    spans: Sequence[HeardSpan], breath: float = BREATH_SECONDS
) -> list[tuple[float, float]]:
    """When the agent was audible: beginnings and ends on the caller's clock, breaths included."""
    found: list[tuple[float, float]] = []
    for span in spans:
        size = span.format.bytes_per_ms * WINDOW_MS
        for at in range(0, len(span.sound), size):
            if not is_audible(bytes(span.sound[at : at + size]), span.format):
                continue
            begins = span.started_at + at / span.format.bytes_per_ms / 1000
            ends = begins + WINDOW_MS / 1000
            if found and begins - found[-1][1] < breath:
                found[-1] = (found[-1][0], ends)
            else:
                found.append((begins, ends))
    return found


def own_turns(caller: Caller) -> list[tuple[float, float]]:
    """When the caller spoke, to the end of the call if that cut him short."""
    found = [(one.started_at, one.ended_at) for one in caller.spoken if not one.silent]
    since, over = caller.person.speaking_since, caller.ended_at
    return found if since is None or over is None else [*found, (since, over)]


def silences(caller: Caller) -> list[Lapse]:
    """Longer than a breath, while the line was open; the longest first. Ringing is none."""
    begun = caller.begun_at or 0.0
    heard = stretches(caller.heard)
    over = caller.ended_at if caller.ended_at is not None else begun
    found, quiet_since = [], over if caller.answered_at is None else caller.answered_at
    for begins, ends in sorted([*heard, *own_turns(caller), (over, over)]):
        if begins - quiet_since > BREATH_SECONDS:
            found.append(Lapse(quiet_since - begun, begins - quiet_since))
        quiet_since = max(quiet_since, ends)
    return sorted(found, key=lambda lapse: -lapse.seconds)


def said_by_agent(
    caller: Caller, watch: Watch, transcript: Iterable[dict[str, Any]]
) -> list[tuple[float, float]]:
    """When each item was begun, by the model or as stored speech, and when it began to be heard."""
    begun = caller.begun_at or 0.0
    audible = stretches(caller.heard)
    spoken_at = {item.item_id: item.spoken_at for item, _ in watch.spoken()}
    found = []
    for item in transcript:
        if item["speaker"] != "agent" or item["started_ms"] is None:
            continue
        played_at = begun + item["started_ms"] / 1000  # as far as the bridge knows
        begins = next((begins for begins, ends in audible if ends > played_at), None)
        if begins is not None:
            heard_at = begins if begins > played_at - BREATH_SECONDS else played_at
            found.append((min(spoken_at.get(item["item_id"], heard_at), heard_at), heard_at))
    return sorted(found, key=lambda one: one[1])


def answers(caller: Caller, said: Sequence[tuple[float, float]] | None = None) -> list[Lapse]:
    """From the end of each turn of the caller's to the first sound of what the agent began to say
    since that turn began; of an utterance under way the rest answers nothing.

    ``said``: :func:`said_by_agent`. From outside, what follows a breath is the same utterance.
    Turns that the caller himself followed up before an answer came have none.
    """
    begun = caller.begun_at or 0.0
    if said is None:
        said = [(begins, begins) for begins, _ in stretches(caller.heard, UTTERANCE_GAP_SECONDS)]
    turns = own_turns(caller)
    found = []
    for nth, (spoke_at, ended_at) in enumerate(turns):
        until = turns[nth + 1][0] if nth + 1 < len(turns) else inf
        answer = next(
            (at for since, at in said if since >= spoke_at and ended_at <= at < until), None
        )
        if answer is not None:
            found.append(Lapse(ended_at - begun, answer - ended_at))
    return found
