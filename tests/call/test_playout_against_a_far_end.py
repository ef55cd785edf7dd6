"""The ledger against a far side that plays in real time, behind two wires of uneven delay."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge.call.playout import MARK_PATIENCE_SECONDS, PlayoutLedger
from opusbridge.call.segments import Ended, Sent
from opusbridge.call.wire_delay import WireDelay
from opusbridge.sound import PCMU_8K, Audio

RATE = 8000  # bytes a second
FRAME = 160
SLOWEST = 0.25  # seconds, of either wire
ASSUMED = 0.05

steadily = settings(derandomize=True, deadline=None, max_examples=150)

delays = st.floats(0.0, SLOWEST)
lengths_ms = st.integers(1, 25).map(lambda frames: 20 * frames)


@dataclass
class FarEnd:
    """What it has is played at once and in real time; nothing overtakes on the wire there."""

    there: Iterator[float]
    back: Iterator[float]
    lost: Iterator[bool]
    overtaking: bool = False
    """On the way back each echo takes its own time, so that a later one may come before it."""
    echoes: list[tuple[float, str]] = field(default_factory=list)
    """When each echo reaches us."""
    lost_any: bool = False
    ran_dry: int = 0
    _chunks: list[tuple[float, int]] = field(default_factory=list)  # of this epoch
    _marks: list[tuple[float, str]] = field(default_factory=list)
    _arrived: float = 0.0
    _empty_at: float = 0.0

    def _arrives(self, now: float) -> float:
        self._arrived = max(self._arrived, now + next(self.there))
        return self._arrived

    def hear(self, size_bytes: int, now: float) -> None:
        at = self._arrives(now)
        if self._chunks and at > self._empty_at:
            self.ran_dry += 1
        starts_at = max(at, self._empty_at)
        self._chunks.append((starts_at, size_bytes))
        self._empty_at = starts_at + size_bytes / RATE

    def mark(self, name: str, now: float) -> None:
        self._marks.append((max(self._arrives(now), self._empty_at), name))

    def clear(self, now: float) -> None:
        """The marks that were not reached come back too."""
        at = self._arrives(now)
        self._echo(at)
        self._marks = [(at, name) for _, name in self._marks]
        self._echo(at)
        self._chunks, self._empty_at = [], at

    def stand_still(self, seconds: float, now: float) -> None:
        """The ear hears nothing for so long; what was to come comes later."""
        later: list[tuple[float, int]] = []
        for at, size in self._chunks:
            heard = int(min(max((now - at) * RATE, 0), size))
            later += [(at, heard), (max(at, now) + seconds, size - heard)]
        self._chunks = later
        self._marks = [(at + seconds if at > now else at, name) for at, name in self._marks]
        self._empty_at = max(self._empty_at, now) + seconds

    def heard(self, now: float) -> float:
        """The truth, in bytes of this epoch."""
        return sum(min(max((now - at) * RATE, 0), size) for at, size in self._chunks)

    def echoes_until(self, now: float) -> list[tuple[float, str]]:
        self._echo(now)
        due = sorted(echo for echo in self.echoes if echo[0] <= now)
        self.echoes = [echo for echo in self.echoes if echo[0] > now]
        return due

    def _echo(self, until: float) -> None:
        while self._marks and self._marks[0][0] <= until:
            reached_at, name = self._marks.pop(0)
            if next(self.lost):
                self.lost_any = True
                continue
            before = self.echoes[-1][0] if self.echoes and not self.overtaking else 0.0
            self.echoes.append((max(before, reached_at + next(self.back)), name))


def cycled(values: list[float]) -> Iterator[float]:
    while True:
        yield from values


def flags(values: list[bool]) -> Iterator[bool]:
    while True:
        yield from values


@dataclass
class Bench:
    ledger: PlayoutLedger
    far: FarEnd
    now: float = 1.0
    sent: int = 0
    believed: int = 0

    def say(self, ms: int) -> None:
        segment = self.ledger.segment("resp_1", "item_1", 0)
        segment.received_ms += ms
        self.leave(self.ledger.play(segment, Audio.of(bytes(8 * ms), PCMU_8K), self.now))

    def leave(self, leaving: list[Sent | Ended]) -> None:
        for one in leaving:
            assert isinstance(one, Sent)
            self.sent += one.audio.size_bytes
            self.far.hear(one.audio.size_bytes, self.now)

    def mark(self) -> None:
        self.far.mark(self.ledger.place_mark(), self.now)

    def clear(self) -> None:
        self.ledger.cut(self.now)
        self.far.clear(self.now)
        self.sent = self.believed = 0
        self.far.lost_any = False

    def wait(self, seconds: float) -> None:
        """Echoes come at their time, and the ledger is asked all the while."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 0.01, until)
            for at, name in self.far.echoes_until(self.now):
                assert self.ledger.mark_reached(name, at)
                self.check(at)
            self.check(self.now)

    def check(self, now: float) -> None:
        believed, truth = self.ledger.heard_position(now), self.far.heard(now)
        assert believed >= self.believed, "heard runs backwards"
        assert believed <= self.sent, "more is heard than was sent"
        patience = MARK_PATIENCE_SECONDS if self.far.lost_any else 0.0
        assert believed <= truth + SLOWEST * RATE + FRAME
        assert believed >= truth - (SLOWEST + patience) * RATE - FRAME
        self.believed = believed


says = st.tuples(st.just("say"), lengths_ms)
waits = st.tuples(st.just("wait"), st.integers(0, 1500))
clears = st.tuples(st.just("clear"), st.just(0))


@pytest.mark.slow
@steadily
@given(
    st.lists(st.one_of(says, says, waits, clears), max_size=25),
    st.lists(delays, min_size=1, max_size=8),
    st.lists(delays, min_size=1, max_size=8),
    st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=8),
    st.booleans(),
)
def test_heard_is_within_one_wire_delay_and_one_frame_of_the_truth(
    acts: list[tuple[str, int]],
    there: list[float],
    back: list[float],
    lost: list[bool],
    overtaking: bool,
) -> None:
    far = FarEnd(cycled(there), cycled(back), flags(lost), overtaking)
    bench = Bench(PlayoutLedger(PCMU_8K, lead_seconds=None, wire=WireDelay(ASSUMED)), far)

    for act, ms in acts:
        if act == "say":
            bench.say(ms)
            bench.mark()
        elif act == "wait":
            bench.wait(ms / 1000)
        else:
            bench.clear()
        bench.check(bench.now)

    rest = bench.ledger.silent_at(bench.now) - bench.now + 2 * SLOWEST + MARK_PATIENCE_SECONDS
    bench.wait(max(rest, 0.0) + 0.1)
    assert bench.believed == bench.sent
    assert not bench.ledger.audible(bench.now)


@pytest.mark.slow
@steadily
@given(
    st.floats(0.0, SLOWEST),
    st.floats(0.0, 0.05),
    st.lists(st.integers(5, 25).map(lambda frames: 20 * frames), min_size=1, max_size=6),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8),
)
def test_after_some_runs_the_ledger_is_wrong_by_the_unevenness_of_the_wires_and_one_frame(
    delay: float, uneven: float, pieces_ms: list[int], shares: list[float]
) -> None:
    there = cycled([delay + uneven * share for share in shares])
    back = cycled([delay + uneven * share for share in reversed(shares)])
    bench = Bench(
        PlayoutLedger(PCMU_8K, lead_seconds=None, wire=WireDelay(ASSUMED)),
        FarEnd(there, back, flags([False])),
    )
    for run in range(4):
        for ms in pieces_ms:
            bench.say(ms)
            bench.mark()
        silent_at = bench.ledger.silent_at(bench.now)
        while bench.now < silent_at + 2 * SLOWEST:
            bench.wait(0.05)
            if run >= 2:
                wrong = abs(bench.believed - bench.far.heard(bench.now))
                assert wrong <= 2 * uneven * RATE + FRAME


@pytest.mark.slow
@steadily
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.integers(1, 6).map(lambda frames: 20 * frames)),
            st.tuples(st.just("wait"), st.integers(0, 300)),
            st.tuples(st.just("stand still"), st.integers(20, 100)),
        ),
        max_size=40,
    ),
    st.lists(st.floats(0.0, 0.1), min_size=1, max_size=8),
)
def test_while_every_mark_comes_back_no_more_than_one_piece_is_believed_too_soon(
    acts: list[tuple[str, int]], delay: list[float]
) -> None:
    far = FarEnd(cycled(delay), cycled(delay), flags([False]))
    ledger, now, patience = PlayoutLedger(PCMU_8K, None, WireDelay(ASSUMED)), 1.0, 0.7
    segment = ledger.segment("resp_1", "item_1", 0)

    for act, ms in acts:
        if act == "say":
            ledger.play(segment, Audio.of(bytes(8 * ms), PCMU_8K), now)
            far.hear(8 * ms, now)
            far.mark(ledger.place_mark(), now)
        elif act == "wait":
            now += ms / 1000
        elif patience >= ms / 1000:
            patience -= ms / 1000
            far.stand_still(ms / 1000, now)
        for at, name in far.echoes_until(now):
            ledger.mark_reached(name, at)

        # How long an echo is on its way is known only so well: it was heard one way ago.
        ahead = ledger.heard_position(now) - far.heard(now)
        assert ahead <= 120 * 8 + ledger.wire.seconds * RATE + 1


@pytest.mark.slow
@steadily
@given(
    st.lists(lengths_ms, min_size=1, max_size=12),
    delays,
    st.lists(st.floats(0.0, 0.15), min_size=1, max_size=8),
)
def test_paced_sound_neither_runs_dry_nor_far_ahead_however_late_we_wake(
    pieces_ms: list[int], delay: float, lateness: list[float]
) -> None:
    bench = Bench(
        PlayoutLedger(PCMU_8K, lead_seconds=0.3, wire=WireDelay(ASSUMED)),
        FarEnd(cycled([delay]), cycled([0.0]), flags([False])),
    )
    late = cycled(lateness)
    for ms in pieces_ms:  # the model is faster than real time
        bench.say(ms)

    while (deadline := bench.ledger.deadline) is not None:
        bench.wait(max(0.0, deadline + next(late) - bench.now))
        bench.leave(bench.ledger.release(bench.now))
        ahead = bench.sent - bench.ledger.heard_position(bench.now)
        assert ahead <= (0.3 + ASSUMED) * RATE + 1  # the lead, and what is on the wire
        # The clock is wrong by as much as what is assumed of the wire, and no more.
        wrong = abs(delay - ASSUMED) * RATE
        assert abs(bench.believed - bench.far.heard(bench.now)) <= wrong + 2  # and a byte each way
    bench.wait(1.0)

    assert bench.far.ran_dry == 0
    assert bench.far.heard(bench.now) == bench.sent == 8 * sum(pieces_ms)
