"""The time line of a call as lanes of blocks, one above the other, to one scale."""

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from opusbridge.recording.story import Mark, Span, Story
from opusbridge.recording.waveform import MOST_POINTS, Outline, outlines, svg_path

#: A short call fills a screen, a long one scrolls; above this browsers stop drawing well.
_PIXELS_A_SECOND = 40.0
_NARROWEST, _WIDEST = 1_240, 24_000

_ROW, _ROWS_MOST = 26, 8
_WAVE_HEIGHT = 72
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
_CHARACTER = 6.6  # pixels, of a mark's label
#: What has less room than this is told by its colour and its title: a letter or two say nothing.
_STUB = 30.0

#: Beyond this, silence would look like speech.
_MOST_HIGHER = 10.0
#: Less is not worth a word.
LOUDER = 1.5

#: An answer that ended so near to a barge-in, or to the pause before it, was cut by it.
CUT_SECONDS = 1.0
_SPEAKERS = {"caller": "caller", "agent": "agent"}

Item = dict[str, Any]
Box = tuple[float, float, Callable[[str, float], str]]
"""Where it begins and ends, in pixels, and what makes its HTML, given its place as a style and the
pixels until the next one in its row begins."""


class Lanes:
    """``seconds`` is how long the call was: the width of every lane."""

    def __init__(self, seconds: float) -> None:
        self._seconds = max(seconds, 1.0)
        self.width = min(max(self._seconds * _PIXELS_A_SECOND, _NARROWEST), _WIDEST)
        self._scale = self.width / self._seconds
        self._tick = next((t for t in _TICKS if t * self._scale >= 70), _TICKS[-1])

    def html(self, story: Story, items: list[Item], wav: bytes | None) -> str:
        voices = outlines(wav, min(int(self.width), MOST_POINTS)) if wav else ()
        higher = _magnified(voices)
        caller, agent = voices or (None, None)
        barged = [mark for mark in story.marks if mark.label.startswith("barge-in")]
        cuts = [self._line(mark, items) for mark in barged]
        timed = [item for item in items if has_begun(item)]
        of = {who: [i for i in timed if i.get("speaker") == who] for who in _SPEAKERS}
        heard = self._heard(of["agent"])
        turns = {str(item.get("item_id")): item for item in of["caller"]}
        speech = [self._shade(span, turns.get(span.details, {})) for span in story.speech]
        rows = [
            self._ruler(),
            self._wave("Caller", "caller", caller, higher, [*speech, *cuts]),
            self._wave("Agent, as heard", "agent", agent, higher, [*heard, *cuts]),
            self._stacked("Caller's words", [self._words(item) for item in of["caller"]]),
            self._stacked("Agent's words", [self._words(item) for item in of["agent"]]),
            self._stacked("Requests", [self._span(span) for span in story.requests]),
            self._stacked("Responses", [self._span(span, span.kind) for span in story.responses]),
            self._stacked("Waiting input", [self._span(span) for span in story.waits]),
            self._stacked("Tools", [self._span(span) for span in story.tools]),
            self._lane("Marks", _ROW, "".join(self._echo(span) for span in story.echoes)),
            self._stacked("What happened", [self._mark(mark) for mark in story.marks]),
        ]
        tick = f"--tick:{self._tick * self._scale:.2f}px"
        scale = f'data-pixels-a-second="{self._scale:.4f}"'
        told = (
            'tabindex="0" role="group" aria-label="Time line: the arrow keys move by a second, '
            'with Shift by five; the space bar plays and stops"'
        )
        return f'<div class="lanes" style="{tick}" {scale} {told}>{"".join(rows)}</div>'

    def _lane(self, name: str, height: float, content: str) -> str:
        field = f'<div class="field" style="width:{self.width:.0f}px;height:{height:.0f}px">'
        content += '<i class="head"></i>'
        return f'<div class="lane"><div class="name">{name}</div>{field}{content}</div></div>'

    def _ruler(self) -> str:
        count = int(self._seconds // self._tick) + 1
        times = (n * self._tick for n in range(count))
        ticks = (
            f'<span class="tick" style="left:{self._x(t):.1f}px">{clock(t)}</span>' for t in times
        )
        return self._lane("", 22, "".join(ticks))

    def _wave(
        self, name: str, voice: str, outline: Outline | None, higher: float, over: list[str]
    ) -> str:
        if higher >= LOUDER:
            name += f' <span title="drawn so many times as high as it is loud">×{higher:.1f}</span>'
        drawn = '<span class="tick">no recording</span>'
        if outline is not None:
            box = f"0 0 {max(len(outline.highs) - 1, 1)} {_WAVE_HEIGHT}"
            drawn = (
                f'<svg width="{self._x(outline.seconds):.1f}" height="{_WAVE_HEIGHT}" '
                f'viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">'
                f'<path class="wave {voice}" d="{svg_path(outline, _WAVE_HEIGHT, higher)}"/></svg>'
            )
        return self._lane(name, _WAVE_HEIGHT, drawn + "".join(over))

    def _stacked(self, name: str, boxes: Iterable[Box]) -> str:
        """What overlaps goes into the next row; beyond the last row it is drawn over."""
        rows: list[list[Box]] = []
        for box in sorted(boxes, key=lambda box: box[:2]):
            row = next((n for n, others in enumerate(rows) if others[-1][1] <= box[0]), len(rows))
            if row == len(rows) < _ROWS_MOST:
                rows.append([])
            rows[min(row, _ROWS_MOST - 1)].append(box)
        drawn = []
        for row, others in enumerate(rows):
            ends = [*(start for start, _, _ in others[1:]), self.width]
            for (start, _, html), until in zip(others, ends, strict=True):
                place = f"left:{start:.1f}px;top:{row * _ROW + 2}px"
                drawn.append(html(place, max(until - start - 4, 0)))
        return self._lane(name, max(len(rows), 1) * _ROW, "".join(drawn))

    def _words(self, item: Item) -> Box:
        start = milliseconds(item.get("started_ms"))
        end = max(milliseconds(item.get("ended_ms")), start)
        kind = _SPEAKERS[str(item["speaker"])]
        return self._box(start, end, kind, words(item), str(item.get("text") or ""))

    def _span(self, span: Span, shown: str = "") -> Box:
        end, kind = (
            (self._seconds, f"{span.kind} open") if span.end is None else (span.end, span.kind)
        )
        title = " · ".join(filter(None, (span.label, span.details, f"{end - span.start:.2f} s")))
        return self._box(span.start, end, kind, escape(shown or span.label), title)

    def _box(self, start: float, end: float, kind: str, html: str, title: str) -> Box:
        """What is told in it may be longer than it, as long as nothing follows."""
        left, width = self._x(start), max(self._x(end) - self._x(start), 3.0)
        at = f'data-at="{start:.3f}" title="{escape(title)}"'

        def drawn(place: str, room: float) -> str:
            told = f'<span style="max-width:{room:.0f}px">{html}</span>' if room >= _STUB else ""
            style = f"{place};width:{width:.1f}px"
            return f'<div class="block {kind}" style="{style}" {at}>{told}</div>'

        return left, left + width, drawn

    def _mark(self, mark: Mark) -> Box:
        left = self._x(mark.at)
        label = escape(mark.label)
        title = f"{mark.at:.2f} s: {label}"
        at = f'data-at="{mark.at:.3f}" title="{title}"'
        width = 12 + _CHARACTER * len(mark.label)
        before = left + width > self.width and width < left  # at the end: only there is room
        kind = f"before {mark.kind}" if before else mark.kind
        begins = left - width if before else left

        def drawn(place: str, _: float) -> str:
            style = f"{place};width:{width:.0f}px" if before else place
            return f'<div class="mark {kind}" style="{style}" {at}>{label}</div>'

        return begins, begins + width, drawn

    def _line(self, mark: Mark, items: list[Item]) -> str:
        cut_at = mark.at if mark.silent_from is None else mark.silent_from
        title = escape(" · ".join(["barge-in", *_cut_words(cut_at, items)]))
        return f'<i class="cut" style="left:{self._x(mark.at):.1f}px" title="{title}"></i>'

    def _heard(self, items: list[Item]) -> list[str]:
        """When the caller heard the agent, by the ledger."""
        times = ((item.get("started_ms"), item.get("ended_ms")) for item in items)
        known = (span for span in times if all(isinstance(ms, int | float) for ms in span))
        spans = [(self._x(milliseconds(a)), self._x(milliseconds(b))) for a, b in known]
        return [
            f'<i class="heard" style="left:{left:.1f}px;width:{max(right - left, 0):.1f}px"></i>'
            for left, right in spans
        ]

    def _echo(self, span: Span) -> str:
        back = "never back" if span.end is None else f"back after {span.end - span.start:.2f} s"
        at = span.start if span.end is None else span.end
        kind = "echo open" if span.end is None else "echo"
        title = escape(f"{span.label}: {span.details}, {back}")
        place = f'style="left:{self._x(at):.1f}px" data-at="{at:.3f}"'
        return f'<i class="{kind}" {place} title="{title}"></i>'

    def _shade(self, span: Span, turn: Item) -> str:
        """When he spoke, as far as his turn tells: the model told of it later."""
        left = self._x(milliseconds(turn["started_ms"]) if turn else span.start)
        told = self._seconds if span.end is None else span.end
        right = self._x(milliseconds(turn["ended_ms"]) if has_ended(turn) else told)
        return f'<i class="speech" style="left:{left:.1f}px;width:{right - left:.1f}px"></i>'

    def _x(self, seconds: float) -> float:
        return min(max(seconds, 0.0), self._seconds) * self._scale


def _magnified(voices: Iterable[Outline]) -> float:
    """How many times as high both are drawn as they are loud: a quiet line is to be seen, too."""
    loudest = max((max(*one.highs, -min(one.lows)) for one in voices), default=0.0)
    return min(max(1.0, 0.95 / loudest), _MOST_HIGHER) if loudest else 1.0


def words(item: Item) -> str:
    """What was said, as HTML; what the caller did not hear of it stands out."""
    heard, unheard = item.get("heard"), item.get("unheard")
    if not unheard:
        return escape(str(item.get("text") or heard or ""))
    return f'{escape(str(heard or ""))} <span class="unheard">{escape(str(unheard))}</span>'


def _cut_words(at: float, items: list[Item]) -> list[str]:
    """What of the answer cut at that time was heard, and what was not."""
    cut = [item for item in items if item.get("unheard") and item.get("speaker") == "agent"]
    ended = [item for item in cut if has_ended(item)]
    near = [item for item in ended if abs(milliseconds(item["ended_ms"]) - at) < CUT_SECONDS]
    if not near:
        return []
    item = min(near, key=lambda one: abs(milliseconds(one["ended_ms"]) - at))
    return [f"heard: {item.get('heard') or 'nothing'}", f"not heard: {item['unheard']}"]


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def has_begun(item: Item) -> bool:
    """Whether it is known when: of an item, or a turn."""
    return isinstance(item.get("started_ms"), int | float)


def has_ended(item: Item) -> bool:
    return isinstance(item.get("ended_ms"), int | float)


def milliseconds(value: object) -> float:
    """As seconds; what is missing counts as the start."""
    return float(value) / 1000 if isinstance(value, int | float) else 0.0
