"""What came in mid-flow is folded into few lines, and says the same when it is read."""

import json
import sys
from base64 import b64encode
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from opusbridge import effects
from opusbridge.bridge.twilio import TwilioRealtimeBridge
from opusbridge.call.policy import CallPolicy
from opusbridge.effects import Effect, Note, SessionConfig
from opusbridge.recording.reading import read_flight, salvage
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.replay.moments import Moment, moments
from opusbridge.sound import PCMU_8K

START = 1000.0  # the shell's clock begins anywhere
JUDGING = CallPolicy(
    TwilioRealtimeBridge.traits,
    SessionConfig("Be kind.", PCMU_8K, turn_detection=None),
    confirm_ms=100,
)


WORDS: dict[str, object] = {
    "type": "response.output_audio_transcript.delta",
    "response_id": "r",
    "item_id": "i",
    "content_index": 0,
    "delta": "Guten Tag, ",
}
ALL_WORDS: dict[str, object] = {
    "type": "response.output_audio_transcript.done",
    "response_id": "r",
    "item_id": "i",
    "content_index": 0,
    "transcript": "Guten Tag, Herr Weber.",
}
SPOKEN = {**WORDS, "type": "response.output_audio.delta", "delta": ""}
AROUND = '{"event":"media","streamSid":"MZ1","media":{"payload":"', '"}}'
MARK = '{"event":"mark","streamSid":"MZ1","mark":{"name":"mark-7"}}'
ECHO = '{"event":"mark","sequenceNumber":"9","streamSid":"MZ1","mark":{"name":"mark-7"}}'


class Both:
    """The same call twice: by the short ways, and each text said by itself."""

    def __init__(self, folder: Path, writer: Writer, flight: bool | str = True) -> None:
        self.folders = folder / "short", folder / "long"
        self.short, self.long = (
            CallRecorder(one, PCMU_8K, START, record=False, flight=flight, writer=writer)
            for one in self.folders
        )
        self.now = START

    def frame(self, number: int, stamp: int | None) -> None:
        sound = b64encode(bytes([number % 250]) * 160).decode()
        self.short.passed((sound, stamp, 160), self.now)
        media = {"payload": sound} | ({} if stamp is None else {"timestamp": str(stamp)})
        self.long.said("telephony", "in", json.dumps({"event": "media", "media": media}), self.now)
        append = {"type": "input_audio_buffer.append", "audio": sound}
        self.long.said("model", "out", json.dumps(append), self.now)

    def words(self, item: str, more: dict[str, str], of: dict[str, object] = WORDS) -> None:
        text = json.dumps({**of, "item_id": item, **more})
        if "over" in more:
            text = text.replace('{"type"', '{\n"type"')
        self.short.worded(text, self.now)
        self.long.said("model", "in", text, self.now)

    def sound(self, item: str, number: int, pieces: int = 1) -> None:
        """It leaves in so many pieces."""
        sound = b64encode(bytes([number]) * (2400 + number)).decode()
        cuts = [0, *range(1280, 1280 * pieces, 1280), len(sound)]
        left = []
        for nth, (start, stop) in enumerate(pairwise(cuts)):
            mark = MARK.replace("-7", f"-{number + nth}")
            left += [sound[start:stop].join(AROUND), mark]
        self.short.streamed(("sound", "r", item, 0, sound), AROUND, left, self.now)
        spoken = {**SPOKEN, "item_id": item, "delta": sound}
        self.long.said("model", "in", json.dumps(spoken), self.now)
        for text in left:
            self.long.said("telephony", "out", text, self.now)

    def echo(self) -> None:
        self.short.echoed(ECHO, self.now)
        self.long.said("telephony", "in", ECHO, self.now)

    def otherwise(self, *what: Effect | str) -> None:
        for call in (self.short, self.long):
            for one in what:
                if isinstance(one, str):
                    call.said("model", "in", one, self.now)
                else:
                    call.observe(one, self.now)

    async def told(self) -> tuple[list[Moment], list[Moment]]:
        for call in (self.short, self.long):
            call.finish({}, {}, self.now)
            await call.closed()
        short, long = (read_flight(one / "flight.jsonl")[1:] for one in self.folders)
        return moments(short), moments(long)


def as_told(moment: Moment) -> tuple[object, ...]:
    """All but how its run was cut; what left is told by its size."""
    sound = moment.sound
    line = {key: moment.line[key] for key in moment.line if key != "t"} if moment.line else None
    heard = sound and (sound.text if moment.at is not None else len(sound.raw))
    what = sound and (sound.kind, sound.of, heard, sound.stamp_ms, moment.levels)
    return moment.number, round(moment.t, 3), moment.peer, moment.at, line, what


CASES: dict[str, tuple[tuple[Effect, ...], dict[str, str]]] = {
    "plain": ((), {}),
    "over lines": ((), {"over": "x"}),
    "like a secret": ((), {"api_key": "x"}),
    "paused": ((effects.PauseRecording(),), {}),
    "withheld": ((Note("withheld", "", ("i",)),), {}),
    "withheld later": ((Note("withheld", "", ("j",)),), {}),
}


@pytest.mark.parametrize("whole", [True, "whole"], ids=["sizes", "whole"])
@pytest.mark.parametrize("policy", [None, JUDGING], ids=["", "judged"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_came_in_mid_flow_is_in_the_flight_as_if_each_text_had_been_said(
    tmp_path: Path,
    writer: Writer,
    case: tuple[tuple[Effect, ...], dict[str, str]],
    policy: CallPolicy | None,
    whole: bool | str,
) -> None:
    both = Both(tmp_path, writer, whole)
    both.short.follow(lambda _: {}, policy)
    both.long.follow(lambda _: {}, policy)
    before, more = case
    for number in range(120):
        both.now = START + number * 0.02
        item = "i" if number < 70 else "j"
        both.frame(number, None if number == 77 else number * 20)
        if number % 10 == 3:
            both.words(item, more, ALL_WORDS if number in (23, 63, 113) else WORDS)
        if number % 10 == 3 and policy is None:  # such an answer takes the general way
            both.sound(item, number, pieces=1 + number // 10 % 3)
        if number % 10 == 8:
            both.echo()
        if number == 30:
            both.otherwise(*before, '{"type":"session.updated"}', '{"type":"x","item_id":"i"}')
        if number == 90:
            both.otherwise(effects.ResumeRecording(), '{"type":"y"}')

    short, long = await both.told()
    assert list(map(as_told, short)) == list(map(as_told, long))
    assert [one.number for one in short] == list(range(1, len(short) + 1))


@pytest.mark.parametrize("frame_bytes", [160, 2400, 4800])
async def test_of_a_frame_that_nobody_needs_no_more_than_its_hash_is_kept(
    tmp_path: Path, writer: Writer, frame_bytes: int
) -> None:
    """A second and a half of them would be a fifth of a call's memory."""
    sounds = [b64encode(bytes([nth]) * frame_bytes).decode() for nth in range(20)]
    kept: dict[bool | str, list[int]] = {}
    for whole in (True, "whole"):
        call = CallRecorder(
            tmp_path / str(whole), PCMU_8K, START, record=False, flight=whole, writer=writer
        )
        before = [sys.getrefcount(sound) for sound in sounds]
        for nth in range(20):
            call.passed((sounds[nth], nth * 20, frame_bytes), START + nth * 0.02)
        call.journal.sort(START + 0.4)
        kept[whole] = [sys.getrefcount(sound) for sound in sounds]
        kept[whole] = [now - then for now, then in zip(kept[whole], before, strict=True)]
        call.finish({}, {}, START + 1)
        await call.closed()

    assert kept == {True: [0] * 20, "whole": [1] * 20}
    for one in ("True", "whole"):
        lines = (tmp_path / one / "flight.jsonl").read_text().splitlines()[1:]
        (frames,) = (line["frames"] for line in map(json.loads, lines) if "frames" in line)
        assert frames["sizes"] == frame_bytes
        assert frames["bytes"] == 20 * frame_bytes
        assert frames["sha256"] == sha256("".join(sounds).encode()).hexdigest()


async def test_what_came_in_mid_flow_is_a_line_for_what_is_handed_over_at_once(
    tmp_path: Path, writer: Writer
) -> None:
    both = Both(tmp_path, writer)
    for number in range(100):
        both.now = START + number * 0.02
        both.frame(number, number * 20)
        if number % 10 == 3:
            both.words("i", {})
            both.sound("i", number, pieces=2 if number == 3 else 1)
            both.otherwise('{"type":"x"}')

    await both.told()
    lines = (both.folders[0] / "flight.jsonl").read_text().splitlines()[1:]
    folded = [json.loads(line)["flow"] for line in lines if '"flow"' in line]
    assert len(folded) == 2  # in two seconds, handed over after 1.5
    assert "".join(folded) == "ffffwspffffff" + "ffffwsffffff" * 9
    assert "VVVV" not in "".join(lines)


async def test_a_recording_of_version_3_is_read_like_one_of_today(
    tmp_path: Path, writer: Writer
) -> None:
    both = Both(tmp_path, writer)
    for number in range(3):
        both.now = START + number * 0.02
        both.frame(number, number * 20)
    told, _ = await both.told()
    path = both.folders[0] / "flight.jsonl"
    content = path.read_text()
    path.write_text(
        content.replace('{"flight":4,', '{"flight":3,').replace(
            '"flow":"fff",', '"flow":"fff","ms":[0,20,40],'
        )
    )

    assert path.read_text() != content
    assert moments(read_flight(path)[1:]) == told


async def test_a_damaged_line_of_what_came_in_mid_flow_is_told_by_its_number(
    tmp_path: Path, writer: Writer
) -> None:
    both = Both(tmp_path, writer)
    both.frame(1, 20)
    both.sound("i", 3)
    await both.told()
    path = both.folders[0] / "flight.jsonl"
    content = path.read_text()

    for was, now in (
        ('"pieces":1', '"pieces":2'),
        ('"fs"', '"fsx"'),
        ('"fs"', '"fp"'),
        ('"at":"AAAAAABAj0AAAAAAAECPQA=="', '"at":"AAAAAABAj0A="'),
    ):
        assert was in content
        path.write_text(content.replace(was, now))
        with pytest.raises(ValueError, match="damaged flight recording: the line with number 1 "):
            read_flight(path)
        assert salvage(path).unread == (2,)
