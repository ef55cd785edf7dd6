import hashlib
import json
import struct
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from opusbridge import effects, events
from opusbridge.call import engine
from opusbridge.effects import NOTES, Note
from opusbridge.errors import ending
from opusbridge.privacy import Private
from opusbridge.recording.facts import fact
from opusbridge.recording.flight import FlightRecording
from opusbridge.recording.reading import read_flight
from opusbridge.recording.shapes import LONGEST_TELEPHONY_TEXT
from opusbridge.sound import PCMU_8K

FRAME = bytes(range(160))
B64 = b64encode(FRAME).decode()


def twilio(payload: str = B64, stamp: int = 20) -> str:
    media = {"track": "inbound", "chunk": "1", "timestamp": str(stamp), "payload": payload}
    return json.dumps({"event": "media", "sequenceNumber": "4", "media": media, "streamSid": "MZ"})


class Flight:
    """A flight recording and, once finished, its lines."""

    def __init__(self, folder: Path, limit: int = 2**20) -> None:
        self.path = folder / "flight.jsonl"
        self.recording = FlightRecording(self.path, "call-1", PCMU_8K, limit)

    def finish(self) -> list[dict[str, Any]]:
        self.recording.finish()
        return read_flight(self.path)[1:]


@pytest.fixture
def flight(tmp_path: Path) -> Flight:
    return Flight(tmp_path)


def test_the_first_line_says_what_this_is(flight: Flight) -> None:
    flight.finish()

    header = json.loads(flight.path.read_text().splitlines()[0])
    assert header == {
        "flight": 4,
        "version": "0.1.0",
        "call_id": "call-1",
        "format": "pcmu/8000",
        "began_at": 0.0,
        "whole": False,
        "policy": None,
    }


def test_a_message_is_kept_as_the_object_it_was(flight: Flight) -> None:
    text = '{"type": "response.create", "x": [1, null]}'
    flight.recording.said("model", "out", text, 1.25)
    flight.recording.said("model", "in", text, 1.5)

    kept = {"peer": "model", "text": {"type": "response.create", "x": [1, None]}}
    sha = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert flight.finish() == [
        {"t": 1.25, "n": 1, "dir": "out", "sha": sha, **kept},
        {"t": 1.5, "n": 2, "dir": "in", "at": 1.5, **kept},
    ]


@pytest.mark.parametrize("text", ["no json", '"media"', "[1]", '{"event": "media"', "", "\ud800"])
def test_what_is_no_object_is_kept_as_text(flight: Flight, text: str) -> None:
    flight.recording.said("telephony", "in", text, 0.0)

    assert [line["text"] for line in flight.finish()] == [text.replace("\ud800", "\ufffd")]


def test_a_message_with_half_a_character_is_kept_as_the_object_it_was(flight: Flight) -> None:
    flight.recording.said("model", "in", r'{"type": "x", "token": "s", "words": "\ud83d"}', 0.0)

    (line,) = flight.finish()
    assert line["text"]["words"] == "\ufffd"
    assert line["text"]["token"] != "s"


def test_a_second_of_sound_is_one_line_with_arrivals_sizes_and_one_hash(flight: Flight) -> None:
    for number in range(60):
        flight.recording.said("telephony", "in", twilio(stamp=number * 20), 3 + number * 0.02)

    first, second = flight.finish()
    times = [3 + number * 0.02 for number in range(50)]
    assert struct.unpack("<50d", b64decode(first.pop("at"))) == tuple(times)
    assert first == {
        "t": 3.0,
        "n": 1,
        "gaps": [[1, 49]],
        "of": {"streamSid": "MZ", "track": "inbound"},
        "peer": "telephony",
        "dir": "in",
        "media": "media",
        "ms": [n * 20 for n in range(50)],
        "bytes": 50 * 160,
        "sizes": 160,
        "sha256": hashlib.sha256(B64.encode() * 50).hexdigest(),
        "stamps_ms": [n * 20 for n in range(50)],
    }
    assert (second["t"], second["bytes"]) == (4.0, 1600)


@pytest.mark.parametrize(
    ("peer", "direction", "message", "owners"),
    [
        ("telephony", "out", {"event": "media", "media": {"payload": B64}}, None),
        ("telephony", "in", {"type": "userStream.chunk", "audioChunk": B64}, None),
        (
            "telephony",
            "out",
            {"type": "playStream.chunk", "streamId": "7", "audioChunk": B64},
            {"streamId": "7"},
        ),
        ("model", "out", {"type": "input_audio_buffer.append", "audio": B64}, None),
        (
            "model",
            "in",
            {
                "type": "response.output_audio.delta",
                "response_id": "resp_1",
                "item_id": "item_1",
                "delta": B64,
            },
            {"response_id": "resp_1", "item_id": "item_1"},
        ),
        (
            "model",
            "in",
            {"type": "response.audio.delta", "item_id": "i", "delta": B64},
            {"item_id": "i"},
        ),
        # Unusual, and sound all the same.
        ("model", "in", {"x": "y" * 300, "type": "userStream.chunk", "audioChunk": B64}, None),
    ],
)
def test_every_kind_of_sound_is_known(
    flight: Flight,
    peer: str,
    direction: str,
    message: dict[str, Any],
    owners: dict[str, str] | None,
) -> None:
    flight.recording.said(peer, direction, json.dumps(message), 0.0)

    (line,) = flight.finish()
    assert line["bytes"] == 160
    assert line.get("of") == owners
    assert "text" not in line
    assert "stamps_ms" not in line


def test_base64_with_escaped_slashes_is_sound(flight: Flight) -> None:
    flight.recording.said("telephony", "in", twilio("////").replace("/", "\\/"), 0.0)

    (line,) = flight.finish()
    assert line["sha256"] == hashlib.sha256(b"////").hexdigest()


@pytest.mark.parametrize("payload", ["", "%%%", "abc"])
def test_a_media_message_without_sound_is_a_message(flight: Flight, payload: str) -> None:
    flight.recording.said("telephony", "in", twilio(payload), 0.0)

    assert flight.finish()[0]["text"]["media"]["payload"] == payload


def test_items_of_the_model_do_not_mix(flight: Flight) -> None:
    for item in ("a", "b", "a"):
        delta = {"type": "response.output_audio.delta", "item_id": item, "delta": B64}
        flight.recording.said("model", "in", json.dumps(delta), 0.0)

    assert [(line["of"]["item_id"], line["bytes"]) for line in flight.finish()] == [
        ("a", 320),
        ("b", 160),
    ]


def test_different_sizes_are_told_apart(flight: Flight) -> None:
    flight.recording.said("telephony", "in", twilio(), 0.0)
    flight.recording.said("telephony", "in", twilio("AAAA"), 0.02)

    assert flight.finish()[0]["sizes"] == [160, 3]


def test_secrets_are_not_written(flight: Flight) -> None:
    start = {"customParameters": {"token": "v1.8f2c", "from": "x"}, "apiKey": "k", "n": 1}
    flight.recording.said("telephony", "in", json.dumps({"event": "start", "start": start}), 0.0)
    flight.recording.said("telephony", "in", '{"Authorization": "Bearer v1.8f2c", "cut', 0.0)
    flight.recording.said("model", "in", '{"a": [{"client_secret": "v1.8f2c"}]}', 0.0)

    lines = flight.finish()
    assert "8f2c" not in flight.path.read_text()
    redacted = {"token": "<redacted>", "from": "x"}
    assert lines[0]["text"]["start"] == {
        "customParameters": redacted,
        "apiKey": "<redacted>",
        "n": 1,
    }


@pytest.mark.parametrize("key", ["token", "accessToken", "X-Twilio-Token"])
def test_a_token_is_found_where_nothing_else_gives_it_away(flight: Flight, key: str) -> None:
    flight.recording.said("model", "in", f'{{"type":"x", "{key}" : "v1.8f2c"}}', 0.0)

    assert flight.finish()[0]["text"] == {"type": "x", key: "<redacted>"}


@pytest.mark.parametrize("together", [["plain", "secret"], ["plain"], []])
def test_a_secret_is_found_among_texts_that_were_looked_at_together_and_after_them(
    flight: Flight, together: list[str]
) -> None:
    texts = {"plain": '{"type":"x"}', "secret": '{"type":"y","client_secret":"v1.8f2c"}'}
    flight.recording.look_at(texts[one] for one in together)
    for name in together:
        flight.recording.said("model", "in", texts[name], 0.0)
    flight.recording.flush()
    flight.recording.said("model", "in", texts["secret"], 1.0)

    told = {"plain": {"type": "x"}, "secret": {"type": "y", "client_secret": "<redacted>"}}
    assert [line["text"] for line in flight.finish()] == [
        told[name] for name in (*together, "secret")
    ]
    assert "8f2c" not in flight.path.read_text()


@pytest.mark.parametrize("looked_at", [True, False])
def test_what_is_nested_deeper_than_any_message_is_left_out(
    flight: Flight, looked_at: bool
) -> None:
    text = '{"type":"x","a":' + "[" * 100 + "]" * 100 + "}"
    if looked_at:
        flight.recording.look_at([text])
    flight.recording.said("model", "in", text, 0.0)

    flight.finish()
    assert "<too deep>" in flight.path.read_text()


def test_tokens_that_are_counted_are_no_secret(flight: Flight) -> None:
    usage = '{"usage": {"total_tokens": 12,  "input_token_details": {"cached_tokens": 0}}}'
    flight.recording.said("model", "in", usage, 0.0)

    assert flight.finish()[0]["text"] == json.loads(usage)
    assert usage in flight.path.read_text()  # not even taken apart


def test_nesting_without_end_costs_only_itself(flight: Flight) -> None:
    flight.recording.said("model", "in", '{"a":' * 900 + "1" + "}" * 900, 0.0)
    flight.recording.said("model", "in", '{"b": 1}', 0.1)

    assert flight.finish()[-1]["text"] == {"b": 1}


def test_a_full_recording_says_so_once_and_stays_within_its_limit(tmp_path: Path) -> None:
    flight = Flight(tmp_path, limit=600)
    for second in range(50):
        flight.recording.said("model", "in", '{"type": "x"}', float(second))

    assert flight.finish()[-1]["note"] == "flight-full"
    assert sum("flight-full" in line for line in flight.path.read_text().splitlines()) == 1
    assert 400 < flight.path.stat().st_size <= 600


def test_a_recording_cut_off_by_a_crash_is_read_up_to_there(flight: Flight) -> None:
    flight.recording.said("model", "in", '{"type": "x"}', 0.0)
    flight.recording.flush()
    flight.path.write_bytes(flight.path.read_bytes() + b'{"t": 1.0, "pe')

    assert len(flight.finish()) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]\n", "hello", '{"flight": "x"}', "\x00"])
def test_another_file_is_no_flight_recording(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)

    with pytest.raises(ValueError, match="not a flight recording"):
        read_flight(tmp_path / "x")


def test_a_recording_of_another_version_is_refused_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "x").write_text('{"flight": 1}')

    with pytest.raises(ValueError, match="of version 1; this program reads versions 3 and 4"):
        read_flight(tmp_path / "x")


def test_everything_that_came_or_left_has_a_number_of_its_own(flight: Flight) -> None:
    for number in range(4):
        flight.recording.said("telephony", "in", twilio(), number * 0.02)
        flight.recording.said("model", "out", '{"type": "x"}', number * 0.02)
    flight.recording.happened(events.DeadlineReached(), 0.07)
    flight.recording.happened(events.TextInjected(Private("Mention the sale.")), 0.08)

    lines = sorted(flight.finish(), key=lambda line: int(line["n"]))
    assert [line["n"] for line in lines] == [1, 2, 4, 6, 8, 9, 10]
    assert lines[0]["gaps"] == [[2, 3]]
    assert (lines[5]["wakes"], lines[5]["gaps"]) == (1, [])
    assert lines[6]["fields"] == {"text": "Mention the sale."}


def test_what_was_not_written_in_time_has_numbers_all_the_same(flight: Flight) -> None:
    flight.recording.said("model", "in", '{"type": "x"}', 0.0)
    flight.recording.lost(5, 0.5)
    flight.recording.said("model", "in", '{"type": "x"}', 1.0)

    first, gap, last = flight.finish()
    assert (first["n"], gap["note"], gap["value"], last["n"]) == (1, "flight-gap", 5, 7)


def test_sound_is_kept_where_it_was_asked_for_whole_and_never_in_a_pause(tmp_path: Path) -> None:
    path = tmp_path / "flight.jsonl"
    recording = FlightRecording(path, "call-1", PCMU_8K, whole=True)
    for number in range(4):
        (recording.pause if number == 2 else lambda: None)()
        recording.said("telephony", "in", twilio(stamp=number), number * 0.02)
    recording.said("telephony", "out", twilio(), 0.1)
    recording.finish()

    kept, paused, out = read_flight(path)[1:]
    assert b64decode(kept["sound"]) == FRAME * 2
    assert (paused["bytes"], "sound" in paused) == (320, False)
    assert "sound" not in out


def test_what_a_tool_said_in_a_pause_is_not_kept(flight: Flight) -> None:
    flight.recording.withhold(["call_1"])
    flight.recording.happened(events.ToolFinished("call_1", Private("4711")), 1.0)

    (line,) = flight.finish()
    told = {"tool_call_id": "call_1", "output": "<withheld>", "failed": False, "refused": False}
    assert line["fields"] == told
    assert line["withheld"]


def test_what_a_transfer_in_a_pause_is_for_is_not_kept(flight: Flight) -> None:
    asked = events.TransferRequested(
        Private("+15550100300"), Private("card 4711"), Private("Pays by card 4711.")
    )
    flight.recording.pause()
    flight.recording.happened(asked, 1.0)

    (line,) = flight.finish()
    withheld = dict.fromkeys(("target", "reason", "summary"), "<withheld>")
    assert line["fields"] == withheld | {"tool_call_id": ""}
    assert b"4711" not in flight.path.read_bytes()


def test_sound_is_sound_however_long(flight: Flight) -> None:
    chunk = b64encode(bytes(48 * 1100)).decode()
    text = json.dumps({"type": "userStream.chunk", "conversationId": "c", "audioChunk": chunk})
    assert len(text) > LONGEST_TELEPHONY_TEXT
    flight.recording.said("telephony", "in", text, 0.0)

    (line,) = flight.finish()
    assert (line["media"], line["bytes"]) == ("userStream.chunk", 48 * 1100)


def test_a_text_too_long_to_be_read_is_told_by_its_length(flight: Flight) -> None:
    flight.recording.said("telephony", "in", "x" * (LONGEST_TELEPHONY_TEXT + 1), 0.0)

    (line,) = flight.finish()
    assert (line["text"], line["chars"]) == ("<oversized>", LONGEST_TELEPHONY_TEXT + 1)
    assert LONGEST_TELEPHONY_TEXT == engine.LONGEST_TELEPHONY_TEXT


def test_a_hash_never_tells_what_the_line_does_not(flight: Flight) -> None:
    flight.recording.pause()
    flight.recording.said("model", "out", '{"type": "x", "text": "4711"}', 0.0)
    flight.recording.resume()
    flight.recording.said("model", "out", '{"type": "x", "api_key": "4711"}', 0.1)

    assert all("sha" not in line for line in flight.finish())


def test_lines_are_read_in_the_order_of_their_time(flight: Flight) -> None:
    flight.recording.said("telephony", "in", twilio(), 0.5)
    flight.recording.said("model", "in", '{"type": "x"}', 0.7)

    assert [line["t"] for line in flight.finish()] == [0.5, 0.7]


@pytest.mark.parametrize(
    ("what", "note"),
    [
        *((Note(kind), kind) for kind in NOTES),
        (effects.RunTool("call_1", "lookup", Private("42 secret")), "tool-started"),
        (events.ToolFinished("call_1", Private("42 secret"), failed=True), "tool-finished"),
        (events.HangUpRequested("drained"), "hang-up-requested"),
        (events.TransferRequested(Private("42 secret")), "transfer-requested"),
        (events.TextInjected(Private("42 secret")), "text-injected"),
        (events.MessageRejected("model", "not-json"), "message-rejected"),
        (events.PeerStalled("model"), "peer-stalled"),
        (events.Broke(), "broke"),
        (events.TelephonyLost(), "telephony-lost"),
        (events.ModelLost("model-lost"), "model-lost"),
        (effects.EndCall(ending("drained")), "ended"),
    ],
)
def test_what_passes_over_no_socket_is_noted_without_words(
    flight: Flight, what: Any, note: str
) -> None:
    told = fact(what)
    assert told is not None
    flight.recording.noted(told, 2.0)

    (line,) = flight.finish()
    assert (line["t"], line["note"]) == (2.0, note)
    assert "42" not in flight.path.read_text()
    assert "private" not in flight.path.read_text()


def test_what_the_sockets_tell_is_not_told_twice() -> None:
    assert fact(events.SessionCreated("s")) is None


def test_the_secrets_of_mcp_servers_are_in_no_recording_either_way(tmp_path: Path) -> None:
    tool = {
        "type": "mcp",
        "server_label": "crm",
        "server_url": "https://mcp.example.com/secret-1/sse?k=secret-2",
        "authorization": "secret-3",
        "headers": {"X-Tenant": "secret-4", "Cookie": "secret-5"},
    }
    odd = {**tool, "server_url": "https://user:secret-6@example.com/"}
    flight = FlightRecording(tmp_path / "flight.jsonl", "call-1", None)
    for direction, kind in (("out", "session.update"), ("in", "session.updated")):
        text = json.dumps({"type": kind, "session": {"tools": [tool, odd]}})
        flight.said("model", direction, text, 0.0)
    flight.finish()

    kept = (tmp_path / "flight.jsonl").read_text()
    assert "secret-" not in kept
    assert kept.count('"https://mcp.example.com/<redacted>"') == 2
