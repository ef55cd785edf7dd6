"""One page that shows a call: both voices, who answered when, what waited, what was heard."""

from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from opusbridge.recording.flight import read_flight
from opusbridge.recording.lanes import Lanes, clock, milliseconds, words
from opusbridge.recording.page import page
from opusbridge.recording.story import Line, read_story
from opusbridge.recording.waveform import outlines

_LATENCIES = {
    "speech_end_to_commit": "speech end → commit",
    "commit_to_request": "commit → request",
    "request_to_first_audio": "request → first audio",
    "first_audio_to_heard": "first audio → heard",
}
#: What a person must look at when it is not zero.
_ALARMING = {"failed", "conflicts", "retries"}


def render(flight: Path | list[Line], call: Line, transcript: Line, wav: bytes | None) -> str:
    """The page, as HTML; it expects ``recording.wav`` beside it if ``wav`` is given.

    ``flight`` is the file or its lines, empty where none was kept; ``call`` and ``transcript``
    are what ``call.json`` and ``transcript.json`` hold, or empty. Raises ``ValueError`` if the
    flight or the recording is not one.
    """
    lines = read_flight(flight) if isinstance(flight, Path) else flight
    story = read_story(lines)
    items = _dicts(transcript.get("items"))
    seconds = max(
        story.ends_at,
        outlines(wav, 1)[0].seconds if wav else 0.0,
        _call_seconds(call),
        *(milliseconds(item.get("ended_ms")) for item in items),
    )
    call_id = str(call.get("call_id") or (lines[0].get("call_id") if lines else "") or "unknown")
    parts = [
        _head(call, call_id, seconds),
        _tiles(call),
        '<audio controls preload="metadata" src="recording.wav"></audio>' if wav else "",
        "<h2>Time line</h2>",
        Lanes(seconds).html(story, items, wav),
        _turns(_dicts(call.get("turns"))),
        _said(items),
    ]
    return page(f"Call {call_id}", "\n".join(filter(None, parts)))


def _head(call: Line, call_id: str, seconds: float) -> str:
    ending = call.get("ending")
    badge = '<span class="badge">no ending recorded</span>'
    if isinstance(ending, dict):
        kind = "good" if ending.get("outcome") == "completed" else "bad"
        told = f"{ending.get('outcome')}: {ending.get('reason')}"
        badge = f'<span class="badge {kind}">{escape(told)}</span>'
    started = str(call.get("started_at") or "").replace("T", " ")
    facts = [call.get("telephony"), started, f"{clock(seconds)} min"]
    if call.get("caller") or call.get("callee"):
        facts.append(f"{call.get('caller') or 'unknown'} → {call.get('callee') or 'unknown'}")
    told = " · ".join(str(known) for known in facts if known)
    return f'<h1>Call {escape(call_id)}{badge}</h1>\n<p class="soft">{escape(told)}</p>'


def _tiles(call: Line) -> str:
    responses, usage = call.get("responses"), call.get("usage")
    counted = [("turns", len(_dicts(call.get("turns")))), ("barge-ins", call.get("barge_ins"))]
    if isinstance(responses, dict):
        counted += [(str(name), count) for name, count in responses.items()]
    if isinstance(usage, dict):
        counted += [(f"tokens {name}".replace("_", " "), count) for name, count in usage.items()]
    tiles = (
        f'<div class="tile{" bad" if name in _ALARMING and count else ""}">'
        f"<b>{escape(str(count))}</b><span>{escape(name)}</span></div>"
        for name, count in counted
        if isinstance(count, int | float)
    )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _turns(turns: list[Line]) -> str:
    if not turns:
        return ""
    head = "".join(f"<th>{name}, ms</th>" for name in _LATENCIES.values())
    longest = max(sum(_latencies(turn)) for turn in turns) or 1.0
    rows = []
    for number, turn in enumerate(turns, 1):
        parts = _latencies(turn)
        known = all(isinstance(turn.get(key), int | float) for key in _LATENCIES)
        cells = "".join(f"<td>{_number(turn.get(key))}</td>" for key in _LATENCIES)
        bar = "".join(f'<i style="width:{100 * part / longest:.1f}%"></i>' for part in parts)
        began = turn.get("started_ms")
        at = clock(milliseconds(began)) if isinstance(began, int | float) else "–"
        rows.append(
            f"<tr><td>{number}</td><td>{at}</td>{cells}"
            f"<td>{_number(sum(parts)) if known else '–'}</td>"
            f'<td><div class="bar">{bar}</div></td></tr>'
        )
    return (
        '<h2>Turns</h2>\n<div class="scroll"><table><thead><tr><th>turn</th><th>at</th>'
        f"{head}<th>all, ms</th><th></th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _said(items: list[Line]) -> str:
    if not items:
        return ""
    rows = "".join(
        f"<tr><td>{clock(milliseconds(item.get('started_ms')))}</td>"
        f"<td>{escape(str(item.get('speaker') or ''))}</td>"
        f'<td class="text">{words(item)}</td>'
        f'<td class="soft">{escape(str(item.get("status") or ""))}</td></tr>'
        for item in items
    )
    return (
        '<h2>What was said</h2>\n<p class="soft">Struck through: the caller did not hear it.</p>\n'
        f'<div class="scroll"><table class="words"><tbody>{rows}</tbody></table></div>'
    )


def _latencies(turn: Line) -> list[float]:
    known = (turn.get(key) for key in _LATENCIES)
    return [max(float(ms), 0.0) for ms in known if isinstance(ms, int | float)]


def _number(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else "–"


def _dicts(value: object) -> list[Line]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _call_seconds(call: Line) -> float:
    try:
        began = datetime.fromisoformat(str(call.get("started_at")))
        return (datetime.fromisoformat(str(call.get("ended_at"))) - began).total_seconds()
    except (ValueError, TypeError):
        return 0.0
