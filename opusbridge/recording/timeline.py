"""One page that shows a call: both voices, who answered when, what waited, what was heard.

It needs no network. A click on anything that has a time lets it be heard from there: the
recording is in the page if it is short, and expected beside it if it is long.
"""

from base64 import b64encode
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import orjson

from opusbridge.recording import files
from opusbridge.recording.lanes import Lanes, clock, has_begun, milliseconds, words
from opusbridge.recording.page import page
from opusbridge.recording.reading import salvage
from opusbridge.recording.story import Line, Story, read_story
from opusbridge.recording.waveform import outlines

PAGE = "timeline.html"
#: A longer recording stays beside the page: in it, it would be a third longer still. Two minutes.
EMBED_BYTES = 4 * 2**20

_LATENCIES = {
    "speech_end_to_commit": "speech end → commit",
    "commit_to_request": "commit → request",
    "request_to_first_audio": "request → first audio",
    "first_audio_to_heard": "first audio → heard",
}
#: What a person must look at when it is not zero.
_ALARMING = {"failed", "conflicts", "retries"}


def draw(flight: Path, page_file: Path, *, embed: bool = False) -> str:
    """The page of a call, from its flight and what lies beside that; for this user only.

    Returns what of the flight cannot be read, in a few words, and is not drawn; empty: nothing.
    Raises ``ValueError`` for a file that is not what its name says, and ``OSError``.
    """
    recording = flight.with_name(files.RECORDING)
    wav = recording.read_bytes() if recording.exists() else None
    call, transcript = (_read(flight.with_name(one)) for one in (files.CALL, files.TRANSCRIPT))
    beside = page_file.absolute().parent == flight.absolute().parent
    where = files.RECORDING if beside else recording.absolute().as_uri()
    found = salvage(flight)
    html = render(found.lines, call, transcript, wav, where=where, embed=embed)
    with files.open_private(page_file) as file:  # it holds the words, too
        files.write_all(file, html.encode())
    return str(found)


def render(
    lines: list[Line],
    call: Line,
    transcript: Line,
    wav: bytes | None,
    *,
    where: str = files.RECORDING,
    embed: bool = False,
) -> str:
    """The page, as HTML; a longer ``wav`` is expected at ``where``, unless it is to ``embed``.

    ``lines`` are those of the flight, empty where none was kept; ``call`` and ``transcript``
    are what ``call.json`` and ``transcript.json`` hold, or empty. Raises ``ValueError`` if the
    recording is not one.
    """
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
        _head(call, story, call_id, seconds),
        _tiles(call),
        _sound(wav, where, embed) if wav else "",
        "<h2>Time line</h2>",
        Lanes(seconds).html(story, items, wav),
        _turns(_dicts(call.get("turns"))),
        _said(items),
    ]
    return page(f"Call {call_id}", "\n".join(filter(None, parts)))


def _read(path: Path) -> Line:
    try:
        found = orjson.loads(path.read_bytes()) if path.exists() else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} beside it is not JSON")
    return found


def _sound(wav: bytes, where: str, embed: bool) -> str:
    source = escape(where)
    load = "metadata"
    if embed or len(wav) <= EMBED_BYTES:
        load = "auto"
        source = f"data:audio/wav;base64,{b64encode(wav).decode()}"
    return (
        f'<audio controls preload="{load}" src="{source}"></audio>\n'
        '<p class="soft">Click on anything in the time line to hear it from there. In it, the '
        "arrow keys move by a second, with Shift by five, and the space bar plays and stops.</p>"
    )


def _head(call: Line, story: Story, call_id: str, seconds: float) -> str:
    ending = call.get("ending")
    if not isinstance(ending, dict):
        ending = {"outcome": story.outcome, "reason": story.reason} if story.outcome else None
    badge = '<span class="badge">no ending recorded</span>'
    if ending is not None:
        kind = "good" if ending.get("outcome") == "completed" else "bad"
        told = f"{ending.get('outcome')}: {ending.get('reason')}"
        badge = f'<span class="badge {kind}">{escape(told)}</span>'
    facts = [call.get("telephony"), _when(call.get("started_at")), f"{clock(seconds)} min"]
    if call.get("caller") or call.get("callee"):
        facts.append(f"{call.get('caller') or 'unknown'} → {call.get('callee') or 'unknown'}")
    told = " · ".join(str(known) for known in facts if known)
    return f'<h1>Call {escape(call_id)}{badge}</h1>\n<p class="soft">{escape(told)}</p>'


def _when(started_at: object) -> str:
    """To the second, as people write it."""
    try:
        return datetime.fromisoformat(str(started_at)).strftime("%Y-%m-%d %H:%M:%S %Z")
    except ValueError:
        return str(started_at or "")


def _tiles(call: Line) -> str:
    responses, usage = call.get("responses"), call.get("usage")
    turns = len(call["turns"]) if isinstance(call.get("turns"), list) else None
    counted = [("turns", turns), ("barge-ins", call.get("barge_ins"))]
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
    head = "".join(
        f'<th><i class="key {key}"></i> {name}, ms</th>' for key, name in _LATENCIES.items()
    )
    longest = max(sum(_latencies(turn).values()) for turn in turns) or 1.0
    rows = []
    for number, turn in enumerate(turns, 1):
        parts = _latencies(turn)
        known = all(isinstance(turn.get(key), int | float) for key in _LATENCIES)
        cells = "".join(f"<td>{_number(turn.get(key))}</td>" for key in _LATENCIES)
        bar = "".join(
            f'<i class="{key}" style="width:{100 * part / longest:.1f}%" '
            f'title="{_LATENCIES[key]}: {part:.0f} ms"></i>'
            for key, part in parts.items()
        )
        rows.append(
            f"<tr{_at(turn)}><td>{number}</td><td>{_button(turn)}</td>{cells}"
            f"<td>{_number(sum(parts.values())) if known else '–'}</td>"
            f'<td><div class="bar">{bar}</div></td></tr>'
        )
    return (
        '<h2>Turns</h2>\n<div class="scroll"><table><thead><tr><th>turn</th><th>at</th>'
        f"{head}<th>all, ms</th><th>one after the other</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _said(items: list[Line]) -> str:
    if not items:
        return ""
    rows = "".join(
        f"<tr{_at(item)}><td>{_button(item)}</td>"
        f"<td>{escape(str(item.get('speaker') or ''))}</td>"
        f'<td class="text">{words(item)}</td>'
        f'<td class="soft">{escape(str(item.get("status") or ""))}</td></tr>'
        for item in items
    )
    return (
        '<h2>What was said</h2>\n<p class="soft">Struck through: the caller did not hear it.</p>\n'
        f'<div class="scroll"><table class="words"><tbody>{rows}</tbody></table></div>'
    )


def _at(one: Line) -> str:
    """From where a click plays it, of what began at a known time."""
    return f' data-at="{milliseconds(one["started_ms"]):.3f}"' if has_begun(one) else ""


def _button(one: Line) -> str:
    """When it began; for those who have no mouse."""
    if not has_begun(one):
        return "–"
    tenths = round(milliseconds(one["started_ms"]) * 10)
    began = f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
    return f'<button type="button"{_at(one)}>{began}</button>'


def _latencies(turn: Line) -> dict[str, float]:
    known = ((key, turn.get(key)) for key in _LATENCIES)
    return {key: max(float(ms), 0.0) for key, ms in known if isinstance(ms, int | float)}


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
