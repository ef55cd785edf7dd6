"""Peers that speak nonsense: it costs the message, is counted, and harms no call, theirs included.

Callers here are the ordinary simulated ones, except that they put frames between their own
which nobody should send.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from opusbridge import logs
from opusbridge.sim.callers import (
    Caller,
    HangUp,
    Person,
    SimulatedAudioCodes,
    SimulatedTwilio,
    UserStream,
    Wait,
    WaitForAgent,
)
from opusbridge.speech import CLIPS
from tests.end_to_end.service import Service, heard_by, line, reply, service, share_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("both_sockets")]

Frame = str | bytes
#: What a frame is counted as, and the frame.
Bad = tuple[str, Frame]

#: Stands in everything that is wrong, and must not be seen in any log line.
PRIVATE = "sesame"

STREAM = f"MZ{1:032x}"
CALL = "call-1"


def text(**message: Any) -> str:
    return json.dumps({"x": PRIVATE, **message})


def media(payload: object, stream: str = STREAM, **more: object) -> str:
    return text(event="media", streamSid=stream, media={"payload": payload, **more})


def chunk(audio: object, call: str = CALL) -> str:
    return text(type="userStream.chunk", conversationId=call, audioChunk=audio)


def activity(**fields: object) -> str:
    return text(type="activities", conversationId=CALL, activities=[fields])


ANYBODYS: list[Bad] = [
    ("not-json", PRIVATE),
    ("not-json", ""),
    ("not-an-object", f'["{PRIVATE}"]'),
    ("no-type", text()),
    ("no-type", text(event=7, type=[7])),
    ("binary", PRIVATE.encode()),
    ("oversized", text(event="media", type="userStream.chunk", padding="x" * (2**20 - 1000))),
]

BY_TWILIO: list[Bad] = [
    *ANYBODYS,
    ("oversized", text(event="media", padding="x" * 70_000)),
    ("bad-fields", text(event="media", streamSid=STREAM)),
    ("bad-fields", media(7)),
    ("bad-fields", media("AAAA", timestamp="noon")),
    ("bad-base64", media(f"{PRIVATE}!")),
    ("unknown-stream", media("AAAA", stream=PRIVATE)),
    ("unknown-stream", text(event="media", media={"payload": "AAAA"})),
    ("unknown-stream", text(event="stop", streamSid=PRIVATE, stop={})),
    ("bad-fields", text(event="dtmf", streamSid=STREAM, dtmf={"digit": PRIVATE})),
    ("bad-fields", text(event="mark", streamSid=STREAM, mark=PRIVATE)),
    ("bad-fields", text(event="start", streamSid=STREAM, start={"callSid": PRIVATE})),
    ("out-of-order", text(event="connected")),
]

BY_AUDIOCODES: list[Bad] = [
    *ANYBODYS,
    ("oversized", text(type="activities", conversationId=CALL, padding="x" * 70_000)),
    ("bad-fields", text(type="userStream.chunk", conversationId=CALL)),
    ("bad-fields", chunk(7)),
    ("bad-base64", chunk(f"{PRIVATE}!")),
    ("unknown-conversation", chunk("AAAA", call=PRIVATE)),
    ("unknown-conversation", text(type="session.end", conversationId=PRIVATE)),
    ("bad-fields", text(type="activities", conversationId=CALL, activities=PRIVATE)),
    ("bad-activity", activity(name=PRIVATE)),
    ("bad-activity", activity(type="event", name="DTMF", value=PRIVATE)),
    ("second-start", activity(type="event", name="start", parameters={"caller": PRIVATE})),
    ("second-initiate", text(type="session.initiate", conversationId=CALL)),
    ("out-of-order", text(type="session.resume", conversationId=CALL)),
]


class Rude(Caller):
    """Puts ``junk`` between its own messages, one at a time, once the line is up."""

    junk: list[Frame]
    opening: list[Frame]
    """Comes before the message with which a call begins."""
    before_opening = 0
    """How many messages come even before that."""

    def texts_to_send(self) -> list[str]:
        texts: list[Frame] = list(super().texts_to_send())
        if texts and self.opening:
            texts[self.before_opening : self.before_opening] = self.opening
            self.opening = []
        if texts and self.junk and self.line_is_up:
            texts.append(self.junk.pop(0))
        return cast(list[str], texts)  # the socket sends bytes as a binary frame

    @property
    def line_is_up(self) -> bool:
        return True


class RudeTwilio(Rude, SimulatedTwilio):
    before_opening = 1


class RudeAudioCodes(Rude, SimulatedAudioCodes):
    @property
    def line_is_up(self) -> bool:
        return self.user_stream is UserStream.OPEN


def rude(
    kind: Callable[..., Any], junk: Sequence[Bad] = (), opening: Sequence[Bad] = ()
) -> Callable[..., Any]:
    """Makes such a caller."""

    def make(*given: Any, **more: Any) -> Any:
        caller = kind(*given, **more)
        caller.junk = [frame for _, frame in junk]
        caller.opening = [frame for _, frame in opening]
        return caller

    return make


def chat() -> Person:
    """Listens, says something, listens again, and hangs up."""
    return Person([WaitForAgent(), line(1000.0), WaitForAgent(), HangUp()], patience_seconds=8.0)


def listener() -> Person:
    return Person([WaitForAgent(), Wait(20.0)])


SCRIPT = [reply(440.0), reply(700.0)]


def was_as_expected(caller: Caller, here: Service) -> None:
    """The script of :func:`chat` went to its end, and the answer was heard."""
    name = caller.call_sid if isinstance(caller, SimulatedTwilio) else _conversation(caller)
    assert caller.verdict() == []
    assert share_of(700.0, heard_by(caller)) > 0.2
    assert here.kept()[name]["ending"]["reason"] == "caller-hung-up"


def _conversation(caller: Caller) -> str:
    assert isinstance(caller, SimulatedAudioCodes)
    return caller.conversation_id


def kinds(bad: Sequence[Bad]) -> Counter[str]:
    return Counter(kind for kind, _ in bad)


async def counted(here: Service, peer: str) -> Counter[str]:
    found = (await here.metrics()).by("kind", "bad_messages_total", peer=peer)
    return Counter({kind: int(times) for kind, times in found.items()})


async def test_nonsense_costs_itself_and_no_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json", "debug")
    async with service(tmp_path, *[SCRIPT] * 4) as here:
        callers = await asyncio.gather(
            here.by_twilio(chat(), 1, kind=rude(RudeTwilio, BY_TWILIO)),
            here.by_audiocodes(chat(), 1, kind=rude(RudeAudioCodes, BY_AUDIOCODES)),
            here.by_twilio(chat(), 2),
            here.by_audiocodes(chat(), 2),
        )
        await here.over()

        assert await counted(here, "twilio") == kinds(BY_TWILIO)
        assert await counted(here, "audiocodes") == kinds(BY_AUDIOCODES)
        for caller in callers:
            was_as_expected(caller, here)
        assert here.models.verdict() == []
    said = capsys.readouterr().err
    lines = [json.loads(one) for one in said.splitlines()]
    told = Counter(one["why"] for one in lines if one["event"] == "bad-message")
    expected = Counter(f"twilio:{kind}" for kind, _ in BY_TWILIO)
    expected.update(f"audiocodes:{kind}" for kind, _ in BY_AUDIOCODES)
    assert told == expected
    warned = [(one["call_id"], one["why"]) for one in lines if is_warned(one)]
    assert {why for _, why in warned} == set(expected)
    assert len(warned) == len(set(warned))  # a kind's first in each call, however many come
    assert PRIVATE not in said


def is_warned(line: dict[str, Any]) -> bool:
    return bool(line["event"] == "bad-message" and line["level"] == "warning")


BEFORE_START: list[Bad] = [
    *ANYBODYS,
    ("media-before-start", media("AAAA")),
    ("out-of-order", text(event="stop", streamSid=STREAM, stop={})),
    ("bad-fields", text(event="start", start={"streamSid": STREAM, "callSid": PRIVATE})),
]
BEFORE_INITIATE: list[Bad] = [
    *ANYBODYS,
    ("media-before-start", chunk("AAAA")),
    ("out-of-order", text(type="userStream.stop", conversationId=CALL)),
    ("out-of-order", text(type="session.end", conversationId=CALL)),
]


async def test_nonsense_before_a_call_does_not_keep_it_from_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json", "debug")
    async with service(tmp_path, SCRIPT, SCRIPT) as here:
        callers = await asyncio.gather(
            here.by_twilio(chat(), kind=rude(RudeTwilio, opening=BEFORE_START)),
            here.by_audiocodes(chat(), kind=rude(RudeAudioCodes, opening=BEFORE_INITIATE)),
        )
        await here.over()

        assert await counted(here, "twilio") == kinds(BEFORE_START)
        assert await counted(here, "audiocodes") == kinds(BEFORE_INITIATE)
        for caller in callers:
            was_as_expected(caller, here)
    said = capsys.readouterr().err
    lines = [json.loads(one) for one in said.splitlines()]
    told = [one for one in lines if one["event"] == "bad-message"]
    assert len(told) == len(BEFORE_START) + len(BEFORE_INITIATE)
    expected = {f"twilio:{kind}" for kind, _ in BEFORE_START}
    expected |= {f"audiocodes:{kind}" for kind, _ in BEFORE_INITIATE}
    assert sorted(one["why"] for one in told if is_warned(one)) == sorted(expected)
    assert PRIVATE not in said


#: Some are seen by the protocol and some do not even get so far: all count.
ENOUGH: list[Bad] = [("not-json", PRIVATE), ("binary", b"x")] * 50
TOO_MUCH: list[Bad] = [*ENOUGH, ("binary", b"x")]


async def test_a_peer_is_given_up_after_a_hundred_and_not_before(tmp_path: Path) -> None:
    async with service(tmp_path, *[SCRIPT] * 4) as here:
        callers = await asyncio.gather(
            here.by_twilio(listener(), 1, kind=rude(RudeTwilio, TOO_MUCH)),
            here.by_audiocodes(listener(), 1, kind=rude(RudeAudioCodes, TOO_MUCH)),
            here.by_twilio(chat(), 2, kind=rude(RudeTwilio, ENOUGH)),
            here.by_audiocodes(chat(), 2, kind=rude(RudeAudioCodes, ENOUGH)),
        )
        await here.over()

        for polite in callers[2:]:
            was_as_expected(polite, here)
        kept, transcripts = here.kept(), here.kept("transcript.json")
        for caller, name in zip(callers, (f"CA{1:032x}", CALL), strict=False):
            ending = {"outcome": "caller", "reason": "telephony-unintelligible"}
            assert kept[name]["ending"] == ending
            told = [item["heard"] for item in transcripts[name]["items"]]
            assert told[-2:] == [CLIPS["en"]["sorry"], CLIPS["en"]["goodbye"]]
            assert caller.verdict() == []
        for peer in ("twilio", "audiocodes"):
            assert (await counted(here, peer)).total() == len(TOO_MUCH) + len(ENOUGH)
        assert here.models.verdict() == []
