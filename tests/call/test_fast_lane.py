"""The short cut for a caller's frames leads to the same texts as the general path."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.engine import LONGEST_TELEPHONY_TEXT, Engine, Observer, Outgoing
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy
from opusbridge.call.tally import COUNTED
from opusbridge.call.turns import QUIET_SECONDS
from opusbridge.effects import Effect, SessionConfig, TurnDetection
from opusbridge.events import Event
from opusbridge.protocols.audiocodes import AudioCodesProtocol
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.protocols.realtime.protocol import append
from opusbridge.protocols.twilio import TwilioProtocol
from opusbridge.sound import PCM_24K
from tests.call.wires import OPENINGS, Seen, dumped, encoded, ready

#: What the model says, and when it wakes, between two frames.
MODEL = {
    "created": dumped(type="session.created", session={"id": "s"}),
    "begins": dumped(type="input_audio_buffer.speech_started", item_id="i", audio_start_ms=0),
    "stops": dumped(type="input_audio_buffer.speech_stopped", item_id="i", audio_end_ms=200),
    "commits": dumped(type="input_audio_buffer.committed", item_id="i"),
}


def engine(line: str, seen: Seen) -> Engine:
    session = SessionConfig("x", PCM_24K, turn_detection=TurnDetection("server_vad", False, True))
    twilio = line == "twilio"
    call = Call(CallPolicy(TWILIO if twilio else AUDIOCODES, session), 0.0)
    protocol = TwilioProtocol() if twilio else AudioCodesProtocol()
    watch: Observer = lambda what, now: seen.append((what, now))  # noqa: E731
    kinds = (*get_args(Event), *get_args(Effect))
    made = Engine(call, protocol, RealtimeProtocol(), (), {kind: [watch] for kind in kinds})
    for text in OPENINGS[line]:
        made.telephony_said(text, 0.0)
    return made


def fast(made: Engine, text: str, now: float) -> Outgoing:
    frame = made.passes(text, now)
    return made.telephony_said(text, now) if frame is None else Outgoing([], [append(frame[0])], [])


def same(out: Outgoing) -> tuple[list[str], list[str], list[Effect]]:
    return out.to_telephony, out.to_model, out.effects


def of_others(seen: Seen) -> Seen:
    """Without what nobody but :meth:`Engine.passes` tells of."""
    return [one for one in seen if type(one[0]) not in (events.CallerSpoke, effects.AppendAudio)]


def reckoning(made: Engine) -> dict[str, Any]:
    """What the caller's line knows of the sound it has taken."""
    talk = made.call.conversation
    kept = {} if talk is None else vars(talk.line) | {"clock": vars(talk.line.clock)}
    return {name: value for name, value in kept.items() if name not in ("_path", "_held")}


def media(raw: bytes, at_ms: object = "20", **changed: Any) -> str:
    sound = {"track": "inbound", "chunk": "1", "timestamp": at_ms, "payload": encoded(raw)}
    message = {"event": "media", "sequenceNumber": "4", "streamSid": "MZ1", "media": sound}
    return dumped(**{**message, **changed})


def chunk(raw: bytes, **changed: Any) -> str:
    message = {"type": "userStream.chunk", "conversationId": "c", "audioChunk": encoded(raw)}
    return dumped(**{**message, **changed})


raws = st.binary(max_size=40) | st.just(bytes(160)) | st.just(bytes(960))
odd: st.SearchStrategy[object] = (
    st.none() | st.integers(-1, 99) | st.text("AB+/= 9é", max_size=8) | st.just([]) | st.just({})
)
at_ms = st.integers(0, 100_000).map(str) | odd
media_texts = st.one_of(
    st.builds(media, raws, at_ms),
    st.builds(lambda raw, sid: media(raw, streamSid=sid), raws, odd),
    st.builds(lambda what: media(b"", media=what), odd),
    st.builds(lambda what: media(b"", media={"track": "inbound", "payload": what}), odd),
    st.builds(lambda track: media(b"", media={"track": track, "payload": "VVVV"}), odd),
    st.builds(lambda text: media(b"1")[:-1] + ',"event":' + dumped(x=text)[5:], odd),
)
chunk_texts = st.one_of(
    st.builds(chunk, raws),
    st.builds(lambda raw, party: chunk(raw, participant=party), raws, odd),
    st.builds(lambda raw, call: chunk(raw, conversationId=call), raws, odd),
    st.builds(lambda what: chunk(b"", audioChunk=what), odd),
    st.builds(lambda text: chunk(b"12")[:-1] + ',"type":' + dumped(x=text)[5:], odd),
    st.just(dumped(type="userStream.stop", conversationId="c")),
    st.just(dumped(type="userStream.start", conversationId="c")),
    st.builds(lambda who: dumped(type="userStream.start", participant=who), odd),
)
broken: Callable[[str, int], str] = lambda text, at: text[: at % (len(text) + 1)]  # noqa: E731
happenings = st.one_of(
    st.tuples(st.just("said"), media_texts | chunk_texts),
    st.tuples(st.just("said"), st.builds(broken, media_texts | chunk_texts, st.integers(0, 400))),
    st.tuples(st.just("model"), st.sampled_from(sorted(MODEL.values()))),
    st.tuples(st.just("wait"), st.sampled_from(["0.02", "0.3", "3"])),
)


@pytest.mark.parametrize("line", OPENINGS)
@settings(derandomize=True, max_examples=60, deadline=None)
@given(story=st.lists(happenings, max_size=25), begun=st.booleans())
def test_whatever_comes_the_short_cut_and_the_long_way_say_the_same(
    line: str, story: list[tuple[str, str]], begun: bool
) -> None:
    seen_fast: Seen = []
    seen_slow: Seen = []
    quick, slow = engine(line, seen_fast), engine(line, seen_slow)
    began = [("model", MODEL["created"]), ("model", ready(line))] if begun else []
    now = 1.0
    for kind, what in [*began, *story]:
        now += 0.02
        if kind == "said":
            assert same(fast(quick, what, now)) == same(slow.telephony_said(what, now))
        elif kind == "model":
            assert same(quick.model_said(what, now)) == same(slow.model_said(what, now))
        else:
            now += float(what)
            assert same(quick.happened(events.DeadlineReached(), now)) == same(
                slow.happened(events.DeadlineReached(), now)
            )
        assert quick.deadline == slow.deadline
        assert reckoning(quick) == reckoning(slow)
    assert of_others(seen_fast) == of_others(seen_slow)
    assert quick.ended == slow.ended


def in_conversation(line: str) -> Engine:
    made = engine(line, [])
    made.model_said(MODEL["created"], 0.5)
    made.model_said(ready(line), 0.5)
    return made


@pytest.mark.parametrize("line", ["twilio", "audiocodes"])
def test_an_ordinary_frame_takes_the_short_cut(line: str) -> None:
    made = in_conversation(line)
    texts = [chunk(b"12"), chunk(b"34")] if line == "audiocodes" else [media(b"12"), media(b"34")]
    made.telephony_said(texts[0], 1.0)

    assert made.passes(texts[1], 1.0) == (encoded(b"34"), 20 if line == "twilio" else None, 2)


def test_twilio_may_name_the_stream_before_the_sound_or_after_it() -> None:
    made = in_conversation("twilio")
    before = media(b"1", "40")
    named = '"streamSid":"MZ1",'
    after = before.replace(named, "")[:-1] + "," + named[:-1] + "}"
    both, neither = before[:-1] + "," + named[:-1] + "}", before.replace(named, "")

    assert made.passes(before, 1.0) == (encoded(b"1"), 40, 1)
    assert made.passes(after, 1.0) == (encoded(b"1"), 40, 1)
    assert made.passes(both, 1.0) is None
    assert made.passes(neither, 1.0) is None


def test_a_chunk_passes_that_begins_as_the_one_before_it() -> None:
    made = in_conversation("audiocodes")
    assert made.passes(chunk(b"12"), 1.0) is None  # nobody has seen how they begin

    made.telephony_said(chunk(b"12"), 1.0)

    assert made.passes(chunk(b"34"), 1.0) == (encoded(b"34"), None, 2)
    assert made.passes(chunk(b"3"), 1.0) is None  # half a sample
    made.telephony_said(chunk(b"3"), 1.0)
    assert made.passes(chunk(b"34"), 1.0) is None  # for the other half comes first


@pytest.mark.parametrize(
    "misleading",
    [
        '{"type":"userStream.chunk","conversationId":"c","audioChunk":"VVVV","note":"VVVV"}',
        '{"type":"userStream.chunk","conversationId":"c","audioChunk":"VVVV","a":{"b":1}}',
        '{"type":"userStream.chunk","conversationId":"c","x":"\\u0041","audioChunk":"VVVV"}',
    ],
)
def test_a_chunk_that_does_not_plainly_end_with_its_sound_is_no_example(misleading: str) -> None:
    made = in_conversation("audiocodes")
    made.telephony_said(misleading, 1.0)

    assert made.passes(misleading, 1.0) is None


def test_sound_that_must_be_converted_takes_no_short_cut() -> None:
    made = in_conversation("audiocodes, 16 kHz")
    made.telephony_said(chunk(bytes(640)), 1.0)

    assert made.passes(chunk(bytes(640)), 1.0) is None


def test_a_frame_that_is_too_long_is_no_frame() -> None:
    made = in_conversation("twilio")

    assert made.passes(media(bytes(LONGEST_TELEPHONY_TEXT)), 1.0) is None


def test_before_the_call_has_begun_nothing_takes_the_short_cut() -> None:
    assert TwilioProtocol().frame(media(b"1")) is None
    assert AudioCodesProtocol().frame(chunk(b"12")) is None
    assert engine("twilio", []).passes(media(b"1"), 1.0) is None  # there is no model yet


def test_nothing_takes_the_short_cut_past_an_observer() -> None:
    made = in_conversation("twilio")
    watched = Engine(made.call, made.telephony, made.model, [lambda what, now: None])

    assert watched.passes(media(b"1"), 1.0) is None
    assert made.passes(media(b"1"), 1.0) is not None


def test_nobody_counts_what_the_short_cut_does_not_show() -> None:
    assert not {events.CallerSpoke, effects.AppendAudio} & COUNTED


def test_a_hole_in_the_line_is_no_matter_of_the_short_cut() -> None:
    made = in_conversation("twilio")
    for at in ("0", "20"):
        made.telephony_said(media(bytes(160), at), 1.0)

    assert made.passes(media(bytes(160), "200"), 1.2) is None

    out = made.telephony_said(media(bytes(160), "200"), 1.2)
    assert [type(one) for one in out.effects] == [effects.Note]
    assert len(out.to_model) == 2


def test_a_frame_of_who_is_heard_to_speak_puts_off_the_silence_in_its_place() -> None:
    made = in_conversation("twilio")
    made.telephony_said(media(bytes(160), "0"), 1.0)
    made.model_said(MODEL["begins"], 1.01)

    assert made.passes(media(bytes(160), "20"), 1.02) is not None

    assert made.deadline == pytest.approx(1.02 + QUIET_SECONDS)


def test_keys_that_are_a_secret_take_no_short_cut() -> None:
    made = in_conversation("twilio")
    assert made.passes(media(b"1"), 1.0) is not None

    made.happened(events.DigitsWanted("x", 4, "#", 5.0, True), 1.0)

    assert made.call.secret
    assert made.passes(media(b"1"), 1.1) is None
