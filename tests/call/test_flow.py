"""The short cuts for the agent's answer lead to the same as the general way."""

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.engine import UNSEEN, Engine, Outgoing
from opusbridge.call.flow import SOONER_SECONDS, flow_of
from opusbridge.call.playout import PlayoutLedger
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy
from opusbridge.effects import SessionConfig, TurnDetection
from opusbridge.errors import LocalProtocolError
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes import AudioCodesProtocol
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.protocols.twilio import TwilioProtocol
from opusbridge.protocols.twilio.messages import plain_mark
from opusbridge.sound import PCM_24K
from tests.call.wires import OPENINGS, Seen, dumped, encoded, ready

#: Shown in mid-flow as well.
SHOWN = (effects.PlayAudio, effects.MovePlayout, effects.ClearPlayout, effects.Note)


#: Where the wire is pinged the first second of each run of sound is cut into pieces.
PINGED = "twilio, pinged"
TWILIO_LINES = ("twilio", PINGED)


def engine(line: str, seen: Seen, watched: tuple[type, ...] = SHOWN) -> Engine:
    session = SessionConfig("x", PCM_24K, turn_detection=TurnDetection("server_vad", False, True))
    twilio = line in TWILIO_LINES
    policy = CallPolicy(TWILIO if twilio else AUDIOCODES, session, pings=line == PINGED)
    protocol = TwilioProtocol() if twilio else AudioCodesProtocol()

    def watch(what: Any, now: float) -> None:
        seen.append((what, now))

    watches = {kind: [watch] for kind in watched}
    made = Engine(Call(policy, 0.0), protocol, RealtimeProtocol(), (), watches)
    wire = "twilio" if twilio else line
    for text in OPENINGS[wire]:
        made.telephony_said(text, 0.0)
    made.model_said(dumped(type="session.created", session={"id": "s"}), 0.1)
    made.model_said(ready(wire), 0.1)
    return made


def created(response: str) -> str:
    return dumped(type="response.created", response={"id": response})


def item(response: str, kind: str = "message") -> str:
    of = {"id": f"{response}-item", "type": kind, "status": "completed"}
    of |= {"call_id": f"{response}-call", "name": "look", "arguments": "{}"}
    return dumped(type="response.output_item.done", response_id=response, item=of)


def sound(response: str, size: int = 1600, part: Any = 0, **more: Any) -> str:
    of = {"response_id": response, "item_id": f"{response}-item", "content_index": part}
    told = {"type": "response.output_audio.delta", **of, "delta": encoded(bytes(size)), **more}
    return dumped(**told)


def words(response: str, text: Any = "so ", part: Any = 0) -> str:
    of = {"response_id": response, "item_id": f"{response}-item", "content_index": part}
    return dumped(type="response.output_audio_transcript.delta", **of, delta=text)


def all_words(response: str, text: Any = "so it is") -> str:
    of = {"response_id": response, "item_id": f"{response}-item", "content_index": 0}
    return dumped(type="response.output_audio_transcript.done", **of, transcript=text)


def begun(response: str) -> str:
    of = {"id": f"{response}-item", "type": "message", "role": "assistant"}
    return dumped(type="response.output_item.added", response_id=response, item=of)


def done(response: str, status: str = "completed") -> str:
    return dumped(type="response.done", response={"id": response, "status": status, "output": []})


def begins(number: int) -> str:
    item_id = f"turn-{number}"
    return dumped(type="input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)


def committed(number: int) -> str:
    return dumped(type="input_audio_buffer.committed", item_id=f"turn-{number}")


def mark(name: str, **more: Any) -> str:
    return dumped(event="mark", sequenceNumber="4", streamSid="MZ1", mark={"name": name}, **more)


class Both:
    """The same call twice: by the short cuts where they are open, and the general way."""

    def __init__(self, line: str) -> None:
        self.seen_quick: Seen = []
        self.seen_slow: Seen = []
        self.twilio = line in TWILIO_LINES
        self.quick, self.slow = engine(line, self.seen_quick), engine(line, self.seen_slow)
        self.now = 1.0
        self.marks: list[str] = []
        self.pings: list[str] = []
        """Under way."""
        self.short = Counter[str]()
        """How often which short cut was taken."""
        self.answer = "r1"
        """The last response."""

    def model(self, text: str) -> None:
        early = not self.quick.tally.in_answer
        flowed = self.quick.flows(text, self.now)
        if flowed is not None:
            pieces = len(flowed.to_telephony) // 2
            words = "all words" if ".done" in text else "early words" if early else "words"
            self.short[words if pieces == 0 else "sound" if pieces == 1 else "cut"] += 1
        quick = self.quick.model_said(text, self.now) if flowed is None else None
        slow = self.slow.model_said(text, self.now)
        texts = flowed.to_telephony if flowed is not None else None
        self._same(quick, slow, texts)

    def telephony(self, text: str) -> None:
        stale = any(f'"{name}"' in text for name in self._ledger(self.quick)._stale_marks)
        echoed = self.quick.echoes(text, self.now)
        if echoed is not None:
            self.short["stale mark" if stale else "mark"] += 1
        quick = self.quick.telephony_said(text, self.now) if echoed is None else None
        slow = self.slow.telephony_said(text, self.now)
        self._same(quick, slow, None if echoed is None else ())
        if echoed is not None:
            assert echoed == slow
            assert not echoed.effects or self.quick.deadline == self.slow.deadline

    def waits(self, seconds: float) -> None:
        """As the shell does: the deadlines are kept, and those of one are the other's, too."""
        until = self.now + seconds
        while (due := self._due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.wakes()
        self.now = until

    def is_late(self, seconds: float) -> None:
        """Until so long after the next deadline, if that is soon; then words come before it is
        known that it was reached."""
        due = self._due()
        if due is not None and due < self.now + 15.0:
            self.now = max(self.now, due + seconds)
            self.model(words(self.answer))
            self.wakes()

    def _due(self) -> float | None:
        quick, slow = self.quick.deadline, self.slow.deadline
        if quick is None or slow is None:
            assert quick is slow is None
            return None
        assert quick <= slow + SOONER_SECONDS
        return min(quick, slow)

    def wakes(self) -> None:
        quick, slow = self.quick, self.slow
        self._same(
            quick.happened(events.DeadlineReached(), self.now),
            slow.happened(events.DeadlineReached(), self.now),
            None,
        )
        assert quick.deadline == slow.deadline

    def happens(self, event: events.FromShell | events.ModelLost | events.PingAnswered) -> None:
        self._same(self.quick.happened(event, self.now), self.slow.happened(event, self.now), None)

    def _same(self, quick: Outgoing | None, slow: Outgoing, short: Any) -> None:
        for text in slow.to_telephony:
            self.marks += re.findall(r'"name":"(mark-[0-9]+)"', text)
        self.pings += [one.name for one in slow.effects if type(one) is effects.PingTelephony]
        if quick is None:
            assert list(short) == slow.to_telephony
            assert slow.to_model == []
        else:
            assert quick == slow
            self._due()  # equal again at the next step that is looked at as a whole
        assert self.seen_quick == self.seen_slow
        assert self._state(self.quick) == self._state(self.slow)

    def _ledger(self, made: Engine) -> PlayoutLedger:
        talk = made.call.conversation
        assert talk is not None
        return talk.voice._ledger

    def _state(self, made: Engine) -> tuple[object, ...]:
        talk = made.call.conversation
        assert talk is not None
        heart = (talk.response.response_id, talk.response.deadline, talk.model.pulse)
        ledger, kept = repr(self._ledger(made)), made.call.transcript.items()
        counted = repr(talk.response._response), made.tally, made.call.ended
        return heart, ledger, kept, talk.voice.silent_at(self.now), counted


RESPONSES = ("r1", "r2")
of_response = st.sampled_from(RESPONSES)
sizes = st.sampled_from([160, 960, 1600, 4000, 9600, 1601, 0])
model_texts = st.one_of(
    st.builds(sound, of_response, sizes),
    st.builds(sound, of_response, part=st.sampled_from([0, 1, None, "0"])),
    st.builds(lambda of, delta: sound(of, delta=delta), of_response, st.sampled_from(["VV", 7])),
    st.builds(words, of_response, st.sampled_from(["so ", "", 7]), st.sampled_from([0, 1, None])),
    st.builds(words, of_response),
    st.builds(all_words, of_response, st.sampled_from(["so it is", "", 7, None])),
    st.builds(begun, of_response),
    st.builds(created, of_response),
    st.builds(item, of_response, st.sampled_from(["message", "function_call"])),
    st.builds(done, of_response, st.sampled_from(["completed", "cancelled", "failed"])),
    st.builds(begins, st.integers(1, 2)),
    st.builds(committed, st.integers(1, 2)),
    st.just("no JSON"),
    st.just("[]"),
)
wishes = st.sampled_from(
    [
        events.HangUpRequested("agent-hung-up"),
        events.HoldRequested(True),
        events.HoldRequested(False),
        events.DigitsWanted("d", 4, "#", 5.0, True),
        events.ToolFinished("r1-call", Private("{}"), False),
        events.RecordingPauseRequested("operator"),
    ]
)
#: Sound and words of the answer that flows, which yet are not more of the same.
ODD = (
    sound("r1", part=1),
    sound("r1", 1601),
    sound("r1", 0),
    sound("r1", item_id="another"),
    words("r1", part=1),
    words("r1").replace("r1-item", "another"),
    dumped(type="response.output_audio.done", response_id="r1", item_id="r1-item", content_index=0),
    committed(3),
)
happenings = st.one_of(
    st.tuples(st.just("model"), model_texts),
    st.tuples(st.just("model"), st.sampled_from(ODD)),
    st.tuples(st.just("flow"), st.integers(1, 5)),
    st.tuples(st.just("flow"), st.integers(1, 5)),
    st.tuples(st.just("marks"), st.integers(1, 4)),
    st.tuples(st.just("marks"), st.integers(1, 4)),
    st.tuples(st.just("mark"), st.integers(0, 3)),
    st.tuples(st.just("telephony"), st.just(mark("mark-99")) | st.just(mark("no-mark"))),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.5, 3.0, 12.0])),
    st.tuples(st.just("late"), st.sampled_from([0.0, 0.003, 0.06])),
    st.tuples(st.just("wish"), wishes),
    st.tuples(st.just("pong"), st.just(0)),
    st.tuples(st.just("turn"), st.booleans()),
    st.tuples(st.just("turn"), st.booleans()),
    st.tuples(st.just("all"), st.just(0)),
)
stories = st.lists(happenings, min_size=5, max_size=30)


def goes_on(both: Both, kind: str, what: Any) -> None:
    both.waits(0.02)
    if kind == "flow":
        for _ in range(what):
            both.model(words(both.answer))
            both.model(sound(both.answer))
    elif kind == "turn":
        # The caller's, over the answer if there is one; and another begins, with words first.
        turn, both.answer = len(both.answer), f"{both.answer}+"
        both.model(begins(turn))
        both.waits(0.3)
        for text in (committed(turn), created(both.answer), begun(both.answer)):
            both.model(text)
        both.model(words(both.answer))
        if what:
            both.model(sound(both.answer))
    elif kind == "all":
        both.model(all_words(both.answer))
    elif kind == "marks":
        for name in both.marks[:what]:
            both.waits(0.1)
            both.telephony(mark(name))
        del both.marks[:what]
    elif kind == "mark" and both.marks:
        both.waits(0.1)
        both.telephony(mark(both.marks.pop(min(what, len(both.marks) - 1))))
    elif kind == "model":
        both.model(what)
    elif kind == "telephony" and both.twilio:
        both.telephony(what)
    elif kind == "wish":
        both.happens(what)
    elif kind == "pong" and both.pings:
        both.happens(events.PingAnswered(both.pings.pop(0)))
    elif kind == "wait":
        both.waits(what)
    elif kind == "late":
        both.is_late(what)


WORDS = {"early words", "words", "all words"}


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("twilio", {*WORDS, "sound", "mark", "stale mark"}),
        (PINGED, {*WORDS, "sound", "cut", "mark", "stale mark"}),
        ("audiocodes", WORDS),
    ],
)
def test_whatever_comes_the_short_cuts_and_the_long_way_lead_to_the_same(
    line: str, taken: set[str]
) -> None:
    short = Counter[str]()

    @settings(derandomize=True, max_examples=120, deadline=None)
    @given(story=stories)
    def they_do(story: list[tuple[str, Any]]) -> None:
        both = Both(line)
        for text in (created("r1"), item("r1"), words("r1"), sound("r1")):
            both.model(text)
        for kind, what in story:
            goes_on(both, kind, what)
        short.update(both.short)

    they_do()
    assert {kind for kind, times in short.items() if times > 30} == taken


def in_answer(line: str = "twilio") -> Both:
    both = Both(line)
    for text in (created("r1"), words("r1"), sound("r1")):
        both.model(text)
    both.waits(1.0)
    both.short.clear()
    return both


def test_an_answer_in_mid_flow_takes_the_short_cuts() -> None:
    both = in_answer()
    both.model(words("r1"))
    both.model(sound("r1"))
    both.telephony(mark("mark-1"))

    assert both.short.total() == 3


@pytest.mark.parametrize("odd", ODD)
def test_what_is_not_more_of_the_same_takes_the_long_way(odd: str) -> None:
    both = in_answer()
    both.model(odd)
    assert both.short.total() == (1 if '"content_index":1' in odd and "transcript" in odd else 0)

    both.model(sound("r1"))  # whatever it was, this leads to the same both ways
    both.model(sound("r1"))


def test_what_is_no_mark_takes_the_long_way() -> None:
    both = in_answer()
    both.telephony(dumped(event="dtmf", streamSid="MZ1", dtmf={"track": "inbound", "digit": "1"}))

    assert both.short.total() == 0


def test_words_take_it_where_sound_must_be_paced() -> None:
    both = in_answer("audiocodes")
    both.model(sound("r1", 9600))
    assert both.short.total() == 0

    both.model(words("r1"))

    assert both.short.total() == 1


@pytest.mark.parametrize("marked", [True, False])
def test_nothing_takes_a_short_cut_past_a_deadline_that_is_due(marked: bool) -> None:
    both = in_answer()
    due = both.quick.deadline
    assert due is not None
    both.now = due + 0.001  # the timer comes next

    both.telephony(mark("mark-1")) if marked else both.model(words("r1"))

    assert both.short.total() == 0


def test_the_last_mark_after_the_answer_is_looked_at_as_ever() -> None:
    """Then nobody is heard any more, and the caller's silence begins to count."""
    both = in_answer()
    both.model(sound("r1"))
    both.model(done("r1"))
    both.telephony(mark("mark-1"))
    assert both.short.total() == 2

    both.telephony(mark("mark-2"))

    assert both.short.total() == 2


@pytest.mark.parametrize(
    "before",
    [
        events.HangUpRequested("agent-hung-up"),
        events.HoldRequested(True),
        events.DigitsWanted("d", 4, "#", 5.0, False),
    ],
)
def test_while_something_waits_for_the_end_of_what_is_said_none_is_open(
    before: events.FromShell,
) -> None:
    both = in_answer()
    assert flow_of(both.quick.call) is not None

    both.happens(before)

    assert flow_of(both.quick.call) is None
    both.model(sound("r1"))
    both.model(words("r1"))
    assert both.short.total() == 0


def test_while_a_tool_is_at_work_none_is_open() -> None:
    both = in_answer()
    both.model(item("r1", "function_call"))
    both.model(sound("r1"))

    assert both.short.total() == 0


@pytest.mark.parametrize("watched", sorted(UNSEEN, key=str))
def test_nothing_takes_a_short_cut_past_who_wants_to_see_it(watched: type) -> None:
    made = engine("twilio", [], (watched,))
    for text in (created("r1"), words("r1"), sound("r1")):
        made.model_said(text, 1.0)

    assert made.flows(sound("r1"), 2.0) is None
    assert made.flows(words("r1"), 2.0) is None
    assert made.echoes(mark("mark-1"), 2.0) is None


def test_twilio_may_name_the_stream_before_the_mark_or_after_it() -> None:
    after = '{"event":"mark","sequenceNumber":"4","mark":{"name":"mark-1"},"streamSid":"MZ1"}'
    before = '{"event":"mark","streamSid":"MZ1","sequenceNumber":"4","mark":{"name":"mark-1"}}'
    neither = '{"event":"mark","mark":{"name":"mark-1"}}'
    both = before[:-1] + ',"streamSid":"MZ1"}'

    found = [plain_mark(text, "MZ1") for text in (after, before, neither, both)]

    assert found == ["mark-1", "mark-1", None, None]
    assert plain_mark(before, "MZ2") is None
    assert plain_mark('{"event":"mark","of":"somebody else"}', "MZ1") is None


def test_twilio_is_told_and_asked_nothing_before_the_call() -> None:
    assert TwilioProtocol().echo(mark("mark-1")) is None
    with pytest.raises(LocalProtocolError):
        TwilioProtocol().stream("VVVV", "mark-1")


def test_a_text_that_took_no_short_cut_is_read_once_and_another_anew() -> None:
    model = RealtimeProtocol()
    one, other = created("r1"), created("r2")

    assert model.delta(one) is None

    assert model.receive(other) == [events.ResponseCreated("r2", None, True)]
    assert model.receive(one) == [events.ResponseCreated("r1", None, True)]


def test_sound_of_a_session_that_has_not_agreed_to_a_format_is_left_out() -> None:
    """Twilio could not play it."""
    both = in_answer()
    both.happens(events.ModelLost("model-lost"))  # the next one is not configured yet

    out = both.slow.model_said(sound("r2"), both.now)

    assert out.to_telephony == []


def test_a_mark_that_sets_the_clock_right_moves_what_counts_from_it() -> None:
    both = in_answer()
    both.model(sound("r1"))
    both.model(sound("r1"))
    both.telephony(mark("mark-1"))
    both.now += 0.7

    both.telephony(mark("mark-2"))  # half a second later than was to be expected

    assert both.short.total() == 4
    assert [type(one) for one, _ in both.seen_quick][-1] is effects.MovePlayout
    assert both.quick.deadline == both.slow.deadline


def test_the_first_sound_behind_a_stored_clip_is_counted_as_ever() -> None:
    both = in_answer()
    both.waits(6.0)
    assert both.quick.tally.notes["hold"] > 0

    both.model(sound("r1"))
    assert both.short.total() == 0

    both.model(sound("r1"))
    assert both.short.total() == 1


def test_sound_that_is_cut_for_its_marks_takes_it_in_pieces() -> None:
    both = in_answer(PINGED)
    text = sound("r1", 4000)  # 500 ms: four pieces of 120 ms, and the rest

    flowed = both.quick.flows(text, both.now)

    assert flowed is not None
    out = both.slow.model_said(text, both.now)
    assert flowed.to_telephony == out.to_telephony
    assert [len(one) > 200 for one in out.to_telephony] == [True, False] * 5
    assert both._state(both.quick) == both._state(both.slow)
