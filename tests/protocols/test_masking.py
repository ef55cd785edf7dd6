"""What is written down of a telephony socket while the caller types a secret."""

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest

from opusbridge.protocols.audiocodes import AudioCodesProtocol
from opusbridge.protocols.audiocodes import messages as vaic
from opusbridge.protocols.twilio import TwilioProtocol, messages

GOLDEN = Path(__file__).parent / "golden"
KEYLESS = ("in-connected", "in-start", "in-mark", "in-stop")


def golden(side: str, name: str) -> str:
    return (GOLDEN / side / f"{name}.json").read_text()


def masked_by_vaic(**message: Any) -> Any:
    return orjson.loads(vaic.masked(orjson.dumps(message).decode(), b"\x00"))


@pytest.mark.parametrize("name", KEYLESS)
def test_what_holds_neither_sound_nor_keys_is_written_as_it_came(name: str) -> None:
    assert TwilioProtocol().masked(golden("twilio", name)) == golden("twilio", name)


def test_each_key_is_a_star_and_the_sound_is_silence() -> None:
    protocol = TwilioProtocol()
    pressed = orjson.loads(protocol.masked(golden("twilio", "in-dtmf")))
    came = orjson.loads(golden("twilio", "in-media"))
    spoke = orjson.loads(protocol.masked(golden("twilio", "in-media")))

    assert pressed["dtmf"] == {"digit": "*"}
    assert spoke["media"]["timestamp"] == came["media"]["timestamp"]
    assert set(b64decode(spoke["media"]["payload"])) == {0xFF}


@pytest.mark.parametrize(
    "text",
    ["471", "not json 471", '{"event":"keys","value":"471"}', '{"event":7}', "[471]"],
)
def test_what_we_do_not_understand_may_be_keys(text: str) -> None:
    assert TwilioProtocol().masked(text) == messages.WITHHELD
    assert AudioCodesProtocol().masked(text) == '{"type":"withheld"}'


@pytest.mark.parametrize(
    "media", [None, 471, {"payload": 471, "timestamp": "1"}, {"payload": "471"}]
)
def test_sound_that_is_none_shows_nothing(media: object) -> None:
    text = orjson.dumps({"event": "media", "media": media}).decode()

    assert "471" not in messages.masked(text)


def test_what_is_nested_too_deep_for_the_record_is_left_out() -> None:
    deep = "[" * 300 + "]" * 300

    assert messages.masked('{"event":"dtmf","streamSid":' + deep + "}") == messages.WITHHELD
    assert vaic.masked('{"type":"userStream.chunk","x":' + deep + "}", b"\x00") == (
        '{"type":"withheld"}'
    )


def test_a_word_of_several_keys_keeps_its_length_and_nothing_else() -> None:
    shown = masked_by_vaic(
        type="activities",
        conversationId="c",
        activities=[{"type": "event", "name": "dtmf", "value": "4711", "id": "4711"}],
    )

    assert shown["conversationId"] == "c"
    assert shown["activities"] == [{"type": "event", "name": "DTMF", "value": "****"}]


def test_of_activities_only_those_without_keys_are_written() -> None:
    kept = {"type": "event", "name": "playFinished", "streamId": "1"}
    shown = masked_by_vaic(
        type="activities", activities=[kept, {"type": "event", "name": "other", "value": "47"}, "4"]
    )

    assert shown["activities"] == [kept, vaic.WITHHELD, vaic.WITHHELD]


def test_the_callers_chunks_are_silence_of_the_lines_format() -> None:
    text = '{"type":"userStream.chunk","audioChunk":"AAECAwQF"}'
    for silence in (b"\x00", b"\xff"):
        shown = orjson.loads(vaic.masked(text, silence))

        assert b64decode(shown["audioChunk"]) == silence * 6


@pytest.mark.parametrize("size", [160, 320, 640, 960])
def test_a_frame_of_silence_is_as_long_as_the_one_it_stands_for(size: int) -> None:
    sound = b64encode(b"\x47" * size).decode()
    media = orjson.dumps({"event": "media", "media": {"payload": sound}}).decode()
    of_twilio = orjson.loads(messages.masked(media))["media"]["payload"]
    of_vaic = masked_by_vaic(type="userStream.chunk", audioChunk=sound)["audioChunk"]

    assert b64decode(of_twilio) == b"\xff" * size
    assert b64decode(of_vaic) == bytes(size)


@pytest.mark.parametrize("kind", ["userStream.start", "userStream.stop", "session.end"])
def test_the_lines_own_messages_are_written_as_they_came(kind: str) -> None:
    text = f'{{"type": "{kind}"}}'

    assert AudioCodesProtocol().masked(text) == text


@pytest.mark.parametrize("activities", [None, "4711", {"a": "4711"}])
def test_activities_that_are_none_show_nothing(activities: object) -> None:
    assert masked_by_vaic(type="activities", activities=activities) == vaic.WITHHELD
