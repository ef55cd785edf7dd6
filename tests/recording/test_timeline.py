from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opusbridge.audio.wav import wav_bytes
from opusbridge.recording.flight import FlightRecording
from opusbridge.recording.timeline import EMBED_BYTES, draw, render
from opusbridge.sound import PCMU_8K

Line = dict[str, Any]
NASTY = "<script>alert('x')</script> & \"quotes\""

CALL: Line = {
    "call_id": "call-1",
    "telephony": "twilio",
    "caller": "+15550100001",
    "callee": None,
    "started_at": "2026-11-20T12:00:00+00:00",
    "ended_at": "2026-11-20T12:00:20+00:00",
    "ending": {"outcome": "completed", "reason": "caller-hung-up"},
    "turns": [
        {
            "started_ms": 2000,
            "speech_end_to_commit": 500,
            "commit_to_request": 1,
            "request_to_first_audio": 320,
            "first_audio_to_heard": 60,
        },
        {"speech_end_to_commit": 480, "commit_to_request": None},
    ],
    "responses": {"requested": 2, "conflicts": 1, "failed": 0},
    "barge_ins": 1,
    "usage": {"input_audio": 120, "odd": "x"},
}
TRANSCRIPT: Line = {
    "call_id": "call-1",
    "items": [
        {"speaker": "agent", "text": "Hello there", "heard": "Hello", "unheard": "there"},
        {"speaker": "caller", "text": NASTY, "started_ms": 2000, "ended_ms": 4000, "status": "x"},
        {"speaker": "tool", "text": "lookup", "started_ms": 5000, "ended_ms": None},
    ],
}
FLIGHT: list[Line] = [
    {"flight": 3, "version": "0.1.0", "call_id": "call-1"},
    {"t": 2.0, "note": "barge-in", "reason": NASTY},
    {"t": 3.0, "note": "tool-started", "ids": [NASTY], "reason": NASTY},
    {"t": 3.0, "note": "tool-started", "ids": ["b"], "reason": "at the same time"},
    {
        "t": 3.0,
        "peer": "model",
        "dir": "in",
        "text": {"type": "response.created", "response": {"id": NASTY}},
    },
    {
        "t": 9.0,
        "peer": "model",
        "dir": "in",
        "text": {"type": "response.done", "response": {"id": NASTY, "status": "completed"}},
    },
    {
        "t": 9.0,
        "peer": "model",
        "dir": "in",
        "text": {"type": "input_audio_buffer.speech_started"},
    },
]


class Page(HTMLParser):
    """What a browser makes of it: elements that close properly, and their texts."""

    EMPTY = frozenset({"meta", "link", "path", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.cells: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open:
            self.cells[-1] += data

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [at for _, at in self.elements if name in (at.get("class") or "").split()]


def stereo(seconds: float, rate_hz: int = 8000) -> bytes:
    frames = np.zeros((round(seconds * rate_hz), 2), dtype="<i2")
    frames[: len(frames) // 2, 0] = 16384
    frames[len(frames) // 2 :, 1] = -16384
    return wav_bytes(frames.tobytes(), rate_hz, 2)


def test_texts_are_shown_as_texts_whatever_they_contain() -> None:
    page = Page(render(FLIGHT, CALL | {"call_id": NASTY}, TRANSCRIPT, stereo(20)))

    assert page.text.count(NASTY) >= 5  # title, head, words twice, tool, response, mark
    assert len([tag for tag, _ in page.elements if tag == "script"]) == 1  # the page's own
    assert any(at.get("title") == NASTY for _, at in page.elements)


def test_the_page_asks_the_network_for_nothing() -> None:
    page = Page(render(FLIGHT, CALL, TRANSCRIPT, stereo(1)))

    addresses = [at[key] for _, at in page.elements for key in ("src", "href") if key in at]
    assert all(str(address).startswith("data:") for address in addresses)


def test_a_long_recording_stays_beside_the_page_unless_it_is_to_be_in_it() -> None:
    long = stereo(EMBED_BYTES // 32_000 + 1)

    def source(**how: Any) -> str:
        (found,) = [at["src"] for tag, at in page(**how).elements if tag == "audio"]
        return str(found)

    def page(**how: Any) -> Page:
        return Page(render(FLIGHT, CALL, TRANSCRIPT, long, **how))

    assert source() == "recording.wav"
    assert source(where="file:///elsewhere/recording.wav") == "file:///elsewhere/recording.wav"
    assert source(embed=True).startswith("data:audio/wav;base64,")


def test_what_was_not_heard_is_told_apart() -> None:
    html = render(FLIGHT, CALL, TRANSCRIPT, None)

    assert 'Hello <span class="unheard">there</span>' in html


def test_what_has_no_time_is_nowhere_in_the_time_line_and_a_click_on_it_plays_nothing() -> None:
    page = Page(render([{"t": 0.5, "note": "barge-in"}], CALL, TRANSCRIPT, stereo(1)))

    assert {at["title"] for at in page.of_class("cut")} == {"barge-in"}
    (block,) = (at for at in page.of_class("block"))
    assert block["data-at"] == "2.000"
    hello, caller, tool = page.cells[-12:-8], page.cells[-8:-4], page.cells[-4:]
    assert [hello[0], caller[0], tool[0]] == ["–", "0:02.0", "0:05.0"]
    assert "Hello there" in hello
    rows = [at for tag, at in page.elements if tag == "tr"]
    assert [at.get("data-at") for at in rows[-3:]] == [None, "2.000", "5.000"]
    assert "0.000" not in [at.get("data-at") for _, at in page.elements]


def test_latencies_are_in_the_table_and_missing_ones_are_not_guessed() -> None:
    page = Page(render([], CALL, {}, None))

    assert page.cells == [
        *("1", "0:02.0", "500", "1", "320", "60", "881", ""),
        *("2", "–", "480", "–", "–", "–", "–", ""),
    ]


def test_the_waveforms_are_as_long_as_the_recording_on_the_scale_of_the_call() -> None:
    page = Page(render([], CALL, {}, stereo(10)))

    field = next(at for _, at in page.elements if at.get("class") == "field")
    assert "width:1240px" in str(field["style"])
    widths = [at["width"] for tag, at in page.elements if tag == "svg"]
    assert widths == ["620.0", "620.0"]
    caller, agent = (str(at["d"]) for tag, at in page.elements if tag == "path")
    assert caller.startswith("M0 1.8L1 1.8")
    assert agent.startswith("M0 35.6L1 35.6")


@pytest.mark.parametrize(
    ("level", "top", "told"),
    [(32767, "0.0", None), (26000, "1.8", None), (3277, "1.8", "×9.5"), (50, "35.5", "×10.0")],
)
def test_a_quiet_line_is_drawn_higher_for_both_voices_alike_and_that_is_said(
    level: int, top: str, told: str | None
) -> None:
    frames = np.zeros((8000, 2), dtype="<i2")
    frames[:, 0], frames[:, 1] = level, level // 2
    page = Page(render([], CALL, {}, wav_bytes(frames.tobytes(), 8000, 2)))

    caller, agent = (str(at["d"]) for tag, at in page.elements if tag == "path")
    assert caller.startswith(f"M0 {top}L")
    assert 36 - float(agent[3:].partition("L")[0]) == pytest.approx((36 - float(top)) / 2, abs=0.2)
    assert page.text.count(told) == 2 if told else "×" not in page.text


def test_blocks_are_where_they_were_and_do_not_cover_each_other() -> None:
    page = Page(render(FLIGHT, CALL, TRANSCRIPT, None))

    (response,) = page.of_class("completed")
    assert str(response["style"]).startswith("left:186.0px;top:2px;width:372.0px")
    first, second = page.of_class("tool")
    assert ("top:2px" in str(first["style"]), "top:28px" in str(second["style"])) == (True, True)
    assert "open" in str(first["class"])


def test_a_text_has_the_room_until_the_next_one_of_its_row() -> None:
    notes: list[Line] = []
    for at, until in ((1.0, 1.1), (4.0, 4.1)):
        notes += [{"t": at, "note": "tool-started", "ids": [str(at)], "reason": "look_up"}]
        notes += [{"t": until, "note": "tool-finished", "ids": [str(at)]}]

    html = render(notes, CALL, {}, None)
    assert 'width:6.2px" data-at="1.000"' in html  # 62 pixels a second
    assert html.index("max-width:182px") < html.index("max-width:988px")


def test_a_text_that_would_be_cut_to_a_letter_is_only_a_title() -> None:
    notes: list[Line] = []
    for at in (1.0, 1.5, 4.0):
        notes += [{"t": at, "note": "tool-started", "ids": [str(at)], "reason": "look_up"}]
        notes += [{"t": at + 0.1, "note": "tool-finished", "ids": [str(at)]}]

    page = Page(render(notes, CALL, {}, None))
    assert page.text.count("look_up") == 2
    assert [str(at["title"])[:7] for at in page.of_class("tool")] == ["look_up"] * 3


@pytest.mark.parametrize(
    ("began_ms", "shown"), [(3940, "0:03.9"), (59_960, "1:00.0"), (754_320, "12:34.3")]
)
def test_a_table_tells_a_time_to_the_tenth(began_ms: int, shown: str) -> None:
    said = {"speaker": "caller", "text": "Hello", "started_ms": began_ms, "ended_ms": began_ms}

    assert Page(render([], CALL, {"items": [said]}, None)).cells[-4] == shown


def test_what_was_said_does_not_change_how_it_is_drawn() -> None:
    text = "Say {room} and {place} now"
    said = {"speaker": "caller", "text": text, "started_ms": 1000, "ended_ms": 2000}

    html = render([], CALL, {"items": [said]}, None)
    (block,) = Page(html).of_class("block")
    assert block["title"] == text
    assert f'max-width:1174px">{text}</span>' in html


def test_what_a_pause_cut_is_told_at_the_barge_in_that_came_of_it() -> None:
    """An interruption may be confirmed seconds after the agent fell silent for it."""
    answer = {"speaker": "agent", "heard": "From nine", "unheard": "to six"}
    items = [{**answer, "started_ms": 1000, "ended_ms": 3000}]
    flight: list[Line] = [{"t": 3.0, "note": "paused"}, {"t": 4.8, "note": "barge-in"}]

    def told(*notes: Line) -> list[str | None]:
        page = Page(render([*notes], CALL, {"items": items}, stereo(5)))
        return [at["title"] for at in page.of_class("cut")[: len(page.of_class("cut")) // 2]]

    cut = "barge-in · heard: From nine · not heard: to six"
    assert told(*flight) == [cut]
    assert told(*flight, {"t": 6.0, "note": "barge-in"}) == [cut, "barge-in"]
    assert told(flight[0], {"t": 3.5, "note": "resumed"}, flight[1]) == ["barge-in"]
    assert told(flight[0], begins(4.7, "later"), flight[1]) == ["barge-in"]


def begins(t: float, item_id: str) -> Line:
    text = {"type": "input_audio_buffer.speech_started", "item_id": item_id}
    return {"t": t, "peer": "model", "dir": "in", "text": text}


def ends(t: float, item_id: str) -> Line:
    text = {"type": "input_audio_buffer.speech_stopped", "item_id": item_id}
    return {"t": t, "peer": "model", "dir": "in", "text": text}


def test_the_caller_is_shaded_where_he_spoke_not_where_the_model_said_so() -> None:
    """Turn detection tells of a beginning late, and of an end when it has waited for more."""
    spoke = {"speaker": "caller", "item_id": "a", "started_ms": 2000, "ended_ms": 4000}
    begun = {"speaker": "caller", "item_id": "b", "started_ms": 7000, "ended_ms": None}
    odd = {"speaker": "caller", "item_id": "c", "started_ms": None, "ended_ms": 9500}
    flight = [begins(2.2, "a"), ends(4.6, "a"), begins(7.2, "b"), ends(8, "b"), begins(9, "c")]
    items = {"items": [spoke, begun, odd]}

    shades = Page(render([*flight, ends(10, "c")], CALL, items, stereo(5))).of_class("speech")
    assert [at["style"] for at in shades] == [
        "left:124.0px;width:124.0px",
        "left:434.0px;width:62.0px",
        "left:558.0px;width:62.0px",
    ]


def test_what_happened_at_the_end_is_told_before_it() -> None:
    notes: list[Line] = [
        {"t": 1.0, "note": "hold"},
        {"t": 19.9, "note": "hang-up-requested", "reason": "agent-hung-up"},
    ]

    early, late = Page(render(notes, CALL, {}, None)).of_class("mark")
    assert ("before" in str(early["class"]), "before" in str(late["class"])) == (False, True)
    left, _, width = (part.partition(":")[2] for part in str(late["style"]).split(";"))
    ends = float(left.removesuffix("px")) + float(width.removesuffix("px"))
    assert ends == pytest.approx(19.9 * 62, abs=1)


def test_more_at_once_than_there_are_rows_is_drawn_over_the_last() -> None:
    notes = [{"t": 1.0, "note": "tool-started", "ids": [str(n)]} for n in range(30)]

    tools = Page(render(notes, CALL, {}, None)).of_class("tool")
    assert len(tools) == 30
    assert len({str(at["style"]).split(";")[1] for at in tools}) == 8


def test_a_barge_in_is_seen_in_both_voices() -> None:
    assert len(Page(render(FLIGHT, CALL, TRANSCRIPT, stereo(5))).of_class("cut")) == 2


@pytest.mark.parametrize("seconds", [0.0, 0.4, 7200.0])
def test_short_and_long_calls_have_a_page_that_can_be_drawn(seconds: float) -> None:
    call = {"started_at": "2026-11-20T12:00:00", "ended_at": None}
    flight = [{"t": seconds, "note": "ended", "outcome": "completed", "reason": "drained"}]

    page = Page(render(flight, call, {}, None))
    field = next(at for _, at in page.elements if at.get("class") == "field")
    width = str(field["style"]).split(";")[0]
    assert width == ("width:24000px" if seconds > 1000 else "width:1240px")
    assert len(page.of_class("tick")) < 400


def test_a_call_of_which_nothing_is_known_has_a_page_that_says_so() -> None:
    page = Page(render([], {"started_at": "some day"}, {}, stereo(0)))

    assert "Call unknown" in page.text
    assert "no ending recorded" in page.text
    assert "some day" in page.text


def test_a_flight_alone_says_how_the_call_ended_and_claims_no_number_of_turns() -> None:
    ended = {"t": 3.0, "note": "ended", "outcome": "model", "reason": "model-lost"}
    page = Page(render([ended], {}, {}, None))

    assert page.of_class("badge") == [{"class": "badge bad"}]
    assert "model: model-lost" in page.text
    assert page.of_class("tile") == []


def test_when_it_began_is_told_to_the_second() -> None:
    began = {"started_at": "2026-11-20T12:00:00.123456+00:00"}

    assert "2026-11-20 12:00:00 UTC" in Page(render([], began, {}, None)).text


def test_a_call_that_ended_badly_says_so() -> None:
    call = CALL | {"ending": {"outcome": "model", "reason": "model-lost"}}
    page = Page(render([], call, {}, None))

    assert page.of_class("badge") == [{"class": "badge bad"}]
    assert "no recording" in page.text


def test_a_flight_is_read_from_its_file(tmp_path: Path) -> None:
    flight = FlightRecording(tmp_path / "flight.jsonl", "call-7", PCMU_8K)
    flight.noted({"note": "barge-in"}, 1.0)
    flight.finish()

    assert draw(tmp_path / "flight.jsonl", tmp_path / "page.html") == ""

    page = Page((tmp_path / "page.html").read_text())
    assert "Call call-7" in page.text
    assert "barge-in" in page.text


@pytest.mark.parametrize("wav", [b"RIFF", wav_bytes(bytes(4), 8000, 1)])
def test_what_is_no_recording_of_a_call_is_refused(wav: bytes) -> None:
    with pytest.raises(ValueError):
        render([], CALL, {}, wav)
