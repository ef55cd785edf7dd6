"""The time line of a call as lanes of blocks, one above the other, to one scale."""

from collections.abc import Iterable
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

#: An answer that ended so near to a barge-in was cut by it.
CUT_SECONDS = 1.0
_SPEAKERS = {"caller": "caller", "agent": "agent"}

Item = dict[str, Any]
Box = tuple[float, float, str]
"""Where it begins and ends, in pixels, and its HTML, in which ``{place}`` is its style."""


class Lanes:
    """``seconds`` is how long the call was: the width of every lane."""

    def __init__(self, seconds: float) -> None:
        self._seconds = max(seconds, 1.0)
        self.width = min(max(self._seconds * _PIXELS_A_SECOND, _NARROWEST), _WIDEST)
        self._scale = self.width / self._seconds
        self._tick = next((t for t in _TICKS if t * self._scale >= 70), _TICKS[-1])

    def html(self, story: Story, items: list[Item], wav: bytes | None) -> str:
        voices = outlines(wav, min(int(self.width), MOST_POINTS)) if wav else (None, None)
        barged = [mark for mark in story.marks if mark.label.startswith("barge-in")]
        cuts = [self._line(mark, items) for mark in barged]
        speech = [self._shade(span) for span in story.speech]
        of = {who: [i for i in items if i.get("speaker") == who] for who in _SPEAKERS}
        rows = [
            self._ruler(),
            self._wave("Caller", "caller", voices[0], [*speech, *cuts]),
            self._wave("Agent, as heard", "agent", voices[1], [*self._heard(of["agent"]), *cuts]),
            self._stacked("Caller's words", [self._words(item) for item in of["caller"]]),
            self._stacked("Agent's words", [self._words(item) for item in of["agent"]]),
            self._stacked("Requests", [self._span(span) for span in story.requests]),
            self._stacked("Responses", [self._span(span) for span in story.responses]),
            self._stacked("Waiting input", [self._span(span) for span in story.waits]),
            self._stacked("Tools", [self._span(span) for span in story.tools]),
            self._lane("Marks", _ROW, "".join(self._echo(span) for span in story.echoes)),
            self._stacked("What happened", [self._mark(mark) for mark in story.marks]),
        ]
        tick = f"--tick:{self._tick * self._scale:.2f}px"
        scale = f'data-pixels-a-second="{self._scale:.4f}"'
        return f'<div class="lanes" style="{tick}" {scale}>{"".join(rows)}</div>'

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

    def _wave(self, name: str, voice: str, outline: Outline | None, over: list[str]) -> str:
        drawn = '<span class="tick">no recording</span>'
        if outline is not None:
            box = f"0 0 {max(len(outline.highs) - 1, 1)} {_WAVE_HEIGHT}"
            drawn = (
                f'<svg width="{self._x(outline.seconds):.1f}" height="{_WAVE_HEIGHT}" '
                f'viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">'
                f'<path class="wave {voice}" d="{svg_path(outline, _WAVE_HEIGHT)}"/></svg>'
            )
        return self._lane(name, _WAVE_HEIGHT, drawn + "".join(over))

    def _stacked(self, name: str, boxes: Iterable[Box]) -> str:
        """What overlaps goes into the next row; beyond the last row it is drawn over."""
        free_at: list[float] = []
        drawn = []
        for start, end, html in sorted(boxes):
            row = next((n for n, free in enumerate(free_at) if free <= start), len(free_at))
            if row == len(free_at) < _ROWS_MOST:
                free_at.append(0.0)
            row = min(row, _ROWS_MOST - 1)
            free_at[row] = end
            drawn.append(html.replace("{place}", f"left:{start:.1f}px;top:{row * _ROW + 2}px", 1))
        return self._lane(name, max(len(free_at), 1) * _ROW, "".join(drawn))

    def _words(self, item: Item) -> Box:
        start = milliseconds(item.get("started_ms"))
        end = max(milliseconds(item.get("ended_ms")), start)
        kind = _SPEAKERS[str(item["speaker"])]
        return self._box(start, end, kind, words(item), str(item.get("text") or ""))

    def _span(self, span: Span) -> Box:
        end, kind = (
            (self._seconds, f"{span.kind} open") if span.end is None else (span.end, span.kind)
        )
        title = " · ".join(filter(None, (span.label, span.details, f"{end - span.start:.2f} s")))
        return self._box(span.start, end, kind, escape(span.label), title)

    def _box(self, start: float, end: float, kind: str, html: str, title: str) -> Box:
        left, width = self._x(start), max(self._x(end) - self._x(start), 3.0)
        if width < 24:
            kind, html = f"{kind} thin", ""
        style = f"{{place}};width:{width:.1f}px"
        at = f'data-at="{start:.3f}" title="{escape(title)}"'
        return left, left + width, f'<div class="block {kind}" style="{style}" {at}>{html}</div>'

    def _mark(self, mark: Mark) -> Box:
        left = self._x(mark.at)
        label = escape(mark.label)
        title = f"{mark.at:.2f} s: {label}"
        at = f'data-at="{mark.at:.3f}" title="{title}"'
        html = f'<div class="mark {mark.kind}" style="{{place}}" {at}>{label}</div>'
        return left, left + 12 + _CHARACTER * len(mark.label), html

    def _line(self, mark: Mark, items: list[Item]) -> str:
        title = escape(" · ".join(["barge-in", *_cut_words(mark.at, items)]))
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

    def _shade(self, span: Span) -> str:
        left = self._x(span.start)
        right = self._x(self._seconds if span.end is None else span.end)
        return f'<i class="speech" style="left:{left:.1f}px;width:{right - left:.1f}px"></i>'

    def _x(self, seconds: float) -> float:
        return min(max(seconds, 0.0), self._seconds) * self._scale


def words(item: Item) -> str:
    """What was said, as HTML; what the caller did not hear of it stands out."""
    heard, unheard = item.get("heard"), item.get("unheard")
    if not unheard:
        return escape(str(item.get("text") or heard or ""))
    return f'{escape(str(heard or ""))} <span class="unheard">{escape(str(unheard))}</span>'


def _cut_words(at: float, items: list[Item]) -> list[str]:
    """What of the answer cut at that time was heard, and what was not."""
    cut = [item for item in items if item.get("unheard") and item.get("speaker") == "agent"]
    near = [item for item in cut if abs(milliseconds(item.get("ended_ms")) - at) < CUT_SECONDS]
    if not near:
        return []
    item = min(near, key=lambda one: abs(milliseconds(one.get("ended_ms")) - at))
    return [f"heard: {item.get('heard') or 'nothing'}", f"not heard: {item['unheard']}"]


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def milliseconds(value: object) -> float:
    """As seconds; what is missing counts as the start."""
    return float(value) / 1000 if isinstance(value, int | float) else 0.0
