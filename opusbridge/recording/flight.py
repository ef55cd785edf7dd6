"""``flight.jsonl``: every message of both sockets with its time.

One JSON object a line; times (``t``) are seconds from the start of the recording.

* the first line: ``{"flight": 1, "version", "call_id", "format"}``;
* a message: ``{"t", "peer", "dir", "text"}``, ``text`` being the object it was, or the text
  itself where it was none;
* sound: ``{"t", "peer", "dir", "media", "ms", "bytes", "sizes", "sha256"}``: the messages of
  one kind (``media``) within a second, when each came after ``t`` (``ms``), how many bytes of
  sound each held (``sizes``: one number if all are alike) and one hash of it all;
  ``of`` says what they belong to and ``stamps_ms`` what Twilio's clock said, where given;
* while the recording is paused, and whenever a message is about an item said in a pause, every
  text in it but names, kinds and ids is ``<withheld>``; sound is hashed as ever;
* what else happened to the call: ``{"t", "note", …}``.

Lines stand in the order in which they were complete: a second of sound comes after the
messages that passed meanwhile. Sort by ``t``.
"""

import hashlib
import re
from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import orjson

from opusbridge.recording.files import open_private, write_all
from opusbridge.recording.withholding import WITHHELD, Withholding
from opusbridge.sound import AudioFormat
from opusbridge.version import VERSION

#: No call needs more: at 2 kB a second of lively talk this is nine hours.
LIMIT_BYTES = 64 * 2**20

#: Kept free for the line that says the recording is full.
_LAST_LINE_BYTES = 100

RUN_SECONDS = 1.0

#: Messages that carry sound: the key that holds it, and the keys of what it belongs to.
MEDIA = {
    "media": ("payload", ()),
    "userStream.chunk": ("audioChunk", ()),
    "playStream.chunk": ("audioChunk", ("streamId",)),
    "input_audio_buffer.append": ("audio", ()),
    "response.output_audio.delta": ("delta", ("response_id", "item_id")),
}

# A peek at the beginning, where every peer we know says what its message is.
_PEEK_CHARACTERS = 160
_IS_MEDIA = re.compile(r'"(?:event|type)"\s*:\s*"(' + "|".join(map(re.escape, MEDIA)) + ')"')
_VALUES = {
    key: re.compile(rf'"{key}"\s*:\s*"([^"\\]*)"')
    for payload, owners in MEDIA.values()
    for key in (payload, *owners, "timestamp")
}
_QUOTED = {key: f'"{key}":"' for key in _VALUES}

#: Levels of nesting; ours and the providers' messages have fewer than ten, tools' schemas more.
_DEEPEST = 64

_SECRET = re.compile(r"token$|secret|password|passwd|authorization|api[-_]?key", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(
    r'("[^"]*(?:token|secret|password|passwd|authorization|api[-_]?key)"\s*:\s*")[^"]*',
    re.IGNORECASE,
)
#: Of an MCP server's address: the rest of some is as good as a key.
_HOST = re.compile(r"https?://[^/?#@]+(?=[/?#]|$)")
REDACTED = "<redacted>"


class FlightRecording:
    """Used by the writer's thread only. Every method but ``close`` may raise ``OSError``."""

    def __init__(
        self,
        path: Path,
        call_id: str,
        telephony_format: AudioFormat | None,
        limit: int = LIMIT_BYTES,
    ) -> None:
        self._room = limit - _LAST_LINE_BYTES
        self._full = False
        self._runs: dict[tuple[str, ...], _Run] = {}
        self._run_over_at = inf  # the first of them
        self._lines: list[bytes] = []
        self._withholding = Withholding()
        spoken = telephony_format and f"{telephony_format.encoding}/{telephony_format.rate_hz}"
        self._line({"flight": 1, "version": VERSION, "call_id": call_id, "format": spoken}, 0.0)
        self._file = open_private(path)

    def said(self, peer: str, direction: str, text: str, t: float) -> None:
        if t >= self._run_over_at:
            self._end_runs(t)
        found = _IS_MEDIA.search(text, 0, _PEEK_CHARACTERS)
        if found is None or not self._is_sound(peer, direction, found[1], text, t):
            self._message(peer, direction, text, t)

    def passed(self, kind: str, sound: bytes, at_ms: int | None, t: float) -> None:
        """A caller's frame, a message of that ``kind``, that went on to the model as it came."""
        if t >= self._run_over_at:
            self._end_runs(t)
        self._sound(("telephony", "in", kind), {}, sound, at_ms, t)
        self._sound(("model", "out", "input_audio_buffer.append"), {}, sound, None, t)

    def noted(self, note: Mapping[str, Any], t: float) -> None:
        """``note`` has the key ``note`` and nothing of what a caller said or is called."""
        self._line({"t": round(t, 6), **note}, t)

    def pause(self) -> None:
        """Keep the shape of what is said from now on, and none of its words."""
        self._withholding.paused = True

    def resume(self) -> None:
        self._withholding.paused = False

    def withhold(self, ids: Iterable[str]) -> None:
        """Whatever is said of these items, now or later, is not kept."""
        self._withholding.add(ids)

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        write_all(self._file, b"".join(lines))

    def finish(self) -> None:
        try:
            self._end_runs(None)
            self.flush()
        finally:
            self.close()

    def close(self) -> None:
        self._file.close()

    def _is_sound(self, peer: str, direction: str, kind: str, text: str, t: float) -> bool:
        payload, owner_keys = MEDIA[kind]
        try:
            sound = a2b_base64(_value(text, payload), strict_mode=True)
        except ValueError:
            return False
        if not sound:
            return False
        owners = {key: _value(text, key) for key in owner_keys}
        stamp = _value(text, "timestamp") if kind == "media" else ""
        known = stamp.isdecimal() and len(stamp) <= 15  # what JSON's numbers can hold exactly
        key = (peer, direction, kind, *owners.values())
        self._sound(key, owners, sound, int(stamp) if known else None, t)
        return True

    def _sound(
        self, key: tuple[str, ...], owners: dict[str, str], sound: bytes, ms: int | None, t: float
    ) -> None:
        """``key`` begins with the peer, the direction and the kind."""
        run = self._runs.get(key)
        if run is None:
            run = _Run(t, dict(zip(("peer", "dir", "media"), key, strict=False)), owners)
            self._runs[key] = run
            self._run_over_at = min(self._run_over_at, t + RUN_SECONDS)
        run.add(sound, ms, t)

    def _message(self, peer: str, direction: str, text: str, t: float) -> None:
        line: dict[str, Any] = {"t": round(t, 6), "peer": peer, "dir": direction}
        try:
            said = orjson.loads(text)
        except ValueError:
            said = None
        if isinstance(said, dict):
            kind = said.get("event") or said.get("type")
            # Sound all the same: its kind stood at the end, or its base64 had escapes in it.
            if isinstance(kind, str) and kind in MEDIA:
                plain = orjson.dumps(redacted(said)).decode()
                if self._is_sound(peer, direction, kind, plain, t):
                    return
            line["text"] = self._withholding.applied(redacted(said))
        elif self._withholding.paused:
            line["text"] = WITHHELD
        else:
            readable = text.encode(errors="replace").decode()
            line["text"] = _SECRET_IN_TEXT.sub(rf"\1{REDACTED}", readable)
        self._line(line, t)

    def _end_runs(self, t: float | None) -> None:
        """Write the runs that are a second old by ``t``; ``None``: all of them."""
        over = [k for k, run in self._runs.items() if t is None or t >= run.t + RUN_SECONDS]
        for key in over:
            run = self._runs.pop(key)
            self._line(run.line(), run.t)
        self._run_over_at = min((run.t for run in self._runs.values()), default=inf) + RUN_SECONDS

    def _line(self, line: dict[str, Any], t: float) -> None:
        if self._full:
            return
        text = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        if len(text) > self._room:
            self._full = True
            text = orjson.dumps({"t": round(t, 6), "note": "flight-full"}) + b"\n"
        self._room -= len(text)
        self._lines.append(text)


class _Run:
    """The sound of one kind within a second."""

    def __init__(self, t: float, head: dict[str, Any], owners: dict[str, str]) -> None:
        self.t = t
        self._head, self._owners = head, owners
        self._ms: list[int] = []
        self._sounds: list[bytes] = []
        self._stamps: list[int] = []

    def add(self, sound: bytes, stamp_ms: int | None, t: float) -> None:
        self._ms.append(round((t - self.t) * 1000))
        self._sounds.append(sound)
        if stamp_ms is not None:
            self._stamps.append(stamp_ms)

    def line(self) -> dict[str, Any]:
        sizes, sound = [len(one) for one in self._sounds], b"".join(self._sounds)
        line = {"t": round(self.t, 6), **self._head, "ms": self._ms, "bytes": len(sound)}
        line["sizes"] = sizes[0] if len(set(sizes)) == 1 else sizes
        line["sha256"] = hashlib.sha256(sound).hexdigest()
        if self._owners:
            line["of"] = self._owners
        if len(self._stamps) == len(self._ms):
            line["stamps_ms"] = self._stamps
        return line


def redacted(value: Any, depth: int = 0) -> Any:
    """``value`` without the texts that look like secrets by their key.

    What is nested deeper than any message we know is left out: only malice goes there.
    """
    if depth > _DEEPEST:
        return "<too deep>"
    if isinstance(value, list):
        return [redacted(inner, depth + 1) for inner in value]
    if not isinstance(value, dict):
        return value
    return {key: _redacted_value(key, inner, depth + 1) for key, inner in value.items()}


def _redacted_value(key: str, value: Any, depth: int) -> Any:
    if isinstance(value, str) and _SECRET.search(key):
        return REDACTED
    if key == "headers" and isinstance(value, dict):
        return dict.fromkeys(value, REDACTED)  # of an MCP server: their names tell nothing
    if key == "server_url" and isinstance(value, str):
        found = _HOST.match(value)
        return f"{found[0]}/{REDACTED}" if found else REDACTED
    return redacted(value, depth)


def read_flight(path: Path) -> list[dict[str, Any]]:
    """The lines in the order of their time, the header first.

    A line cut off by a crash is left out. Raises ``ValueError`` for what is no flight recording.
    """
    lines = []
    for text in path.read_bytes().splitlines():
        try:
            line = orjson.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    if not lines or lines[0].get("flight") != 1:
        raise ValueError("not a flight recording of a version this program can read")
    return [lines[0], *sorted(lines[1:], key=lambda line: float(line.get("t", 0.0)))]


def _value(text: str, key: str) -> str:
    # As every wire we know writes it, first: this is asked of each frame of sound.
    begins = text.find(_QUOTED[key])
    if begins >= 0:
        begins += len(_QUOTED[key])
        ends = text.find('"', begins)
        if ends >= 0 and "\\" not in text[begins:ends]:
            return text[begins:ends]
    found = _VALUES[key].search(text)
    return found[1] if found else ""
