"""What every simulated call must satisfy, whatever the seed.

Each check takes plain evidence and gives sentences about what is wrong with it; none is
well. What only the model's side can see (one response at a time, every turn answered) its
simulator checks itself.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from opusbridge.audio.formats import silence_byte
from opusbridge.errors import REASONS, Outcome
from opusbridge.sim.callers.person import Spoken
from opusbridge.sim.callers.playout import HeardSpan, is_audible
from opusbridge.sound import AudioFormat

#: Endings in which the bridge stops the model in mid-speech and says the last word itself.
OVER_ITS_HEAD = frozenset(
    ["drained", "too-long", "internal-error"]
    + [reason for reason, outcome in REASONS.items() if outcome is Outcome.MODEL]
)

#: A call may end in the middle of what is being said.
LAST_SECONDS = 0.5

#: Or in a pause of it: an agent that waits whether the caller means to speak has not lost a word.
PAUSE_SECONDS = 2.0

#: Sound that is recorded is heard within this: what the network does to it on a good day.
RECORDED_WITHIN_SECONDS = 0.2

#: What is on its way when the playout is cleared, or the line closed, nobody can be sure of.
MOST_UNRECORDED_SECONDS = 0.5

#: The last frame of an item may be cut by its padding.
FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class SpokenItem:
    """All the sound the model made for one item, in the format the caller hears."""

    item_id: str
    sound: bytes
    format: AudioFormat
    spoken_at: float = 0.0
    """When the model began to send it."""
    done_at: float | None = None
    """When the bridge had all of it."""


@dataclass(frozen=True, slots=True)
class Truncation:
    item_id: str
    audio_end_ms: int
    effective_at: float = inf
    """When the ear should have noticed."""


@dataclass(frozen=True, slots=True)
class Cut:
    """An item the caller interrupted: its later sound must not be heard after this instant."""

    item: SpokenItem
    effective_at: float


def silences(spoken: Sequence[Spoken], heard: Sequence[HeardSpan], ended_at: float) -> list[float]:
    """For each of the person's own turns: seconds from its end until the agent is heard.

    What comes first counts: sound, the person's next words, or the end of the call.
    """
    sounds = [at for span in heard for at in _audible_at(span)]
    found = []
    for nth, turn in enumerate(spoken):
        until = spoken[nth + 1].started_at if nth + 1 < len(spoken) else ended_at
        first = next((at for at in sounds if at >= turn.ended_at), until)
        found.append(max(0.0, min(first, until) - turn.ended_at))
    return found


def never_silent(call_silences: Sequence[float], most_seconds: float) -> list[str]:
    """Whoever has spoken hears something within this."""
    too_long = [one for one in call_silences if one > most_seconds]
    return [f"nothing was heard for {one:.1f} s after the person had spoken" for one in too_long]


def _audible_at(span: HeardSpan) -> Iterator[float]:
    """When each audible 20 ms of it were heard, in order."""
    size = FRAME_MS * span.format.bytes_per_ms
    for start in range(0, len(span.sound), size):
        if is_audible(bytes(span.sound[start : start + size]), span.format):
            yield span.started_at + start / (span.format.bytes_per_ms * 1000)


def marks_unique(names: Sequence[str]) -> list[str]:
    twice = [name for name, times in Counter(names).items() if times > 1]
    return [f"{len(twice)} mark names were used more than once"] if twice else []


def one_ending(endings: Sequence[object]) -> list[str]:
    return [] if len(endings) == 1 else [f"{len(endings)} endings instead of one"]


def at_rest(*, ended: bool, **deadlines: float | None) -> list[str]:
    """``deadlines``: when each of those concerned still wants waking."""
    found = [] if ended else ["the call has not ended"]
    return found + [
        f"the {who} still waits for something" for who, at in deadlines.items() if at is not None
    ]


def recording_true(
    voice: str, recorded: Sequence[HeardSpan], heard: Sequence[HeardSpan], late_seconds: float
) -> list[str]:
    """One voice is recorded as it was heard, and where, but for half a second in all.

    ``late_seconds``: how much longer than on a good day the way to the ear may be.
    """
    there = [at for span in recorded for at in _audible_at(span)]
    here = [at for span in heard for at in _audible_at(span)]
    away = RECORDED_WITHIN_SECONDS + late_seconds
    lost, made_up = _alone(here, there, away), _alone(there, here, away)
    found = []
    if lost > MOST_UNRECORDED_SECONDS + late_seconds:
        found.append(f"{lost:.2f} s of the {voice} were heard and are not in the recording")
    if made_up > MOST_UNRECORDED_SECONDS + late_seconds:
        found.append(f"{made_up:.2f} s of the {voice} are in the recording and were not heard")
    return found


def _alone(ones: Sequence[float], others: Sequence[float], away: float) -> float:
    """Seconds of sound, begun at ``ones``, with none of ``others`` this near."""
    others = sorted(others)
    near = (bisect_left(others, at + away) > bisect_left(others, at - away) for at in ones)
    return FRAME_MS / 1000 * sum(not one for one in near)


def truncations_honest(
    truncations: Sequence[Truncation],
    items: Sequence[SpokenItem],
    heard: Sequence[HeardSpan],
    slack_ms: float,
    cleared: Sequence[float] = (),
) -> list[str]:
    """No truncation exceeds what was sent, nor is further than the slack from what was heard.

    ``cleared``: when the playout was, as for :func:`heard_of`.
    """
    known = {item.item_id: item for item in items}
    found = []
    for truncation in truncations:
        item = known[truncation.item_id]
        sent_ms = len(item.sound) / item.format.bytes_per_ms
        if truncation.audio_end_ms > sent_ms:
            found.append(
                f"{item.item_id} truncated to {truncation.audio_end_ms} ms of {sent_ms:g} sent"
            )
            continue
        heard_ms = heard_of(item, heard, truncation.effective_at, cleared, slack_ms)
        if abs(heard_ms - truncation.audio_end_ms) > slack_ms:
            found.append(
                f"{item.item_id} truncated to {truncation.audio_end_ms} ms "
                f"where {heard_ms:.0f} ms were heard"
            )
    return found


def cut_speech_unheard(
    cuts: Sequence[Cut], items: Sequence[SpokenItem], heard: Sequence[HeardSpan]
) -> list[str]:
    """Nothing of a cut item is heard after its cut took effect.

    Sound that also occurs in another item proves nothing (the model may say a thing twice)
    and does not count.
    """
    found = []
    for cut in cuts:
        others = [item for item in items if item.item_id != cut.item.item_id]
        for span in heard:
            if span.ended_at <= cut.effective_at or span.format != cut.item.format:
                continue
            for piece in _pieces_after(span, cut.effective_at):
                if piece in cut.item.sound and not any(piece in item.sound for item in others):
                    found.append(f"{cut.item.item_id} was heard after it had been cut")
                    break
            else:
                continue
            break
    return found


def nothing_lost(
    items: Sequence[SpokenItem],
    told: Container[str],
    heard: Sequence[HeardSpan],
    ended_at: float,
    cleared: Sequence[float] = (),
    slack_ms: float = 0.0,
) -> list[str]:
    """What the model said was heard to its end, unless the model was ``told`` that it was not.

    ``cleared`` and ``slack_ms``: see :func:`heard_of`; nor does anybody know whether the last of
    an item was heard when the playout was cleared.
    The last half second proves nothing: the call may have ended in the middle of it; nor do two
    seconds after a clear.
    """
    found = []
    silent_since = max((span.ended_at for span in heard), default=0.0)
    paused = any(at > silent_since - LAST_SECONDS for at in cleared)
    last_seconds = LAST_SECONDS + (PAUSE_SECONDS if paused else 0.0)
    for item in items:
        if item.item_id in told or item.done_at is None:
            continue
        if max(item.done_at, silent_since) > ended_at - last_seconds:
            continue
        sent_ms = len(item.sound) / item.format.bytes_per_ms
        heard_ms = heard_of(item, heard, inf, cleared, slack_ms)
        lost_ms = sent_ms - heard_ms
        if lost_ms <= slack_ms and _stopped_by_clear(item, heard, heard_ms, cleared, slack_ms):
            continue  # there was nothing left to go on with, as far as anybody could know
        if lost_ms > FRAME_MS:
            found.append(f"{heard_ms:.0f} of {sent_ms:.0f} ms of {item.item_id} were ever heard")
    return found


def _stopped_by_clear(
    item: SpokenItem,
    heard: Sequence[HeardSpan],
    heard_ms: float,
    cleared: Sequence[float],
    slack_ms: float,
) -> bool:
    """Whether the last of it that was heard was heard when the playout was cleared."""
    for at in cleared:
        before = heard_of(item, heard, at - FRAME_MS / 1000, cleared, slack_ms)
        if before < heard_ms == heard_of(item, heard, at, cleared, slack_ms):
            return True
    return False


def heard_of(
    item: SpokenItem,
    heard: Sequence[HeardSpan],
    until: float = inf,
    cleared: Sequence[float] = (),
    slack_ms: float = 0.0,
) -> float:
    """How many milliseconds of an item, from its beginning, reached the ear by then.

    Gaps where the playout ran dry do not matter; what was skipped does: it ends the count.
    After the playout was ``cleared`` it may go on where it had stopped: ``slack_ms`` earlier or
    later, since nobody on this side of the wire knows that to the byte.
    """
    spans = [span for span in heard if span.format == item.format]
    heard_bytes = None
    for begin, end in pairwise([item.spoken_at, *_within(cleared, item.spoken_at, until), until]):
        played = b"".join(_between(span, begin, end) for span in spans)
        if heard_bytes is None:
            heard_bytes = _heard_first(item, played)
        if begin != item.spoken_at:
            on = _heard_on(item, played, heard_bytes or 0, slack_ms)
            heard_bytes = max(on or 0, heard_bytes or 0) or None
    return (heard_bytes or 0) / item.format.bytes_per_ms


def _within(instants: Sequence[float], since: float, until: float) -> list[float]:
    return sorted(at for at in instants if since < at < until)


def _heard_on(item: SpokenItem, played: bytes, heard_bytes: int, slack_ms: float) -> int | None:
    """How far the item was heard if what was played begins somewhere near that far."""
    sample = item.format.sample_bytes
    silent = len(played) - len(played.lstrip(silence_byte(item.format)))
    played = played[silent - silent % sample :]
    slack = int(slack_ms) * item.format.bytes_per_ms
    first = max(0, heard_bytes - slack)
    # Of a last frame there may be less than a frame, once its silence is taken off.
    for window in (item.format.bytes_per_ms * FRAME_MS, item.format.bytes_per_ms * FRAME_MS // 2):
        at = item.sound.find(played[:window], first, heard_bytes + slack + window)
        if at >= 0 and played:
            return max(heard_bytes, at + _common_prefix(item.sound[at:], played))
    # What little was heard of it may come again behind the end of the item before.
    return _heard_first(item, played) if heard_bytes <= slack else None


def _heard_first(item: SpokenItem, played: bytes) -> int | None:
    """How many bytes of an item's beginning are somewhere in what was played."""
    window = item.format.bytes_per_ms * 10
    first = _first_audible(item)
    lead = item.sound[first : first + window]
    rest, most = item.sound[first:], 0
    at = played.find(lead) if lead else -1
    while at >= 0 and most < len(rest):  # another item may begin alike
        most = max(most, _common_prefix(rest, played[at : at + len(rest)]))
        at = played.find(lead, at + 1)
    return first + most if most else None


def _between(span: HeardSpan, since: float, until: float) -> bytes:
    if span.started_at >= since and span.ended_at <= until:
        return bytes(span.sound)
    if span.ended_at <= since or span.started_at >= until:
        return b""
    per_second = span.format.bytes_per_ms * 1000
    begin = max(0, round((since - span.started_at) * per_second))
    end = round((min(until, span.ended_at) - span.started_at) * per_second)
    return bytes(span.sound[begin - begin % span.format.sample_bytes : end])


def _first_audible(item: SpokenItem) -> int:
    """Where the item stops being silence, which is found everywhere and tells nothing."""
    window = item.format.bytes_per_ms * 10
    for at in range(0, len(item.sound), window):
        if is_audible(item.sound[at : at + window], item.format):
            return at
    return 0


def _common_prefix(one: bytes, other: bytes) -> int:
    """The length both begin with, by halving: comparing is quick, stepping is not."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _pieces_after(span: HeardSpan, instant: float) -> list[bytes]:
    """The audible stretches of 40 ms that began after an instant."""
    size = 40 * span.format.bytes_per_ms
    skipped = max(0, round((instant - span.started_at) * 1000)) * span.format.bytes_per_ms
    stretches = (
        bytes(span.sound[at : at + size]) for at in range(skipped, len(span.sound) - size + 1, size)
    )
    return [piece for piece in stretches if is_audible(piece, span.format)]
