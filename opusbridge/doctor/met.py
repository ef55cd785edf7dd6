"""What went wrong lately: whom a running serve turned away, and how its calls ended."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from httpx2 import AsyncClient, HTTPError, InvalidURL
from prometheus_client.parser import text_string_to_metric_families

from opusbridge.config import Settings
from opusbridge.doctor.address import url_of
from opusbridge.doctor.explanations import ENDINGS, ORDINARY, REFUSALS
from opusbridge.doctor.findings import Finding, fine, skipped, warning

#: How many days of calls are looked at, today's included.
CALL_DAYS = 7

#: A call whose files were last written that much longer ago than any call may last, and of which
#: no ``call.json`` speaks, will never have one. It need not write all the time: its caller may be
#: away.
LATE_SECONDS = 300.0

#: For such calls, among the reasons for which calls ended.
_UNTOLD = ""

#: For those in which the caller waited for a word of the agent's, and none came.
_WORDLESS = "wordless"

#: How such calls end. Keys may transfer a caller, or clips be all he hears.
_GIVEN_UP = ("caller-hung-up", "telephony-lost", "too-long")

#: Whoever hangs up before has not waited.
WAITED_SECONDS = 5.0


async def check_refusals(settings: Settings, host: str, port: int) -> list[Finding]:
    """Of the serve that runs on this machine, since it started."""
    about, token = "refusals", settings.admin_token
    headers = {} if token is None else {"Authorization": f"Bearer {token.value}"}
    try:
        async with AsyncClient(headers=headers, timeout=5.0, trust_env=False) as client:
            answer = await client.get(url_of(host, port, "/metrics"))
    except (HTTPError, InvalidURL):
        return [skipped(about, f"no serve runs on {host}:{port}")]
    if answer.status_code in (401, 403):
        status = f"(status {answer.status_code}): set OPUSBRIDGE_ADMIN_TOKEN"
        return [skipped(about, f"its /metrics are not for us {status}")]
    counted = _counted(answer.text) if answer.is_success else None
    if counted is None:
        return [skipped(about, f"something else answers on {host}:{port}")]
    if not counted:
        return [fine(about, "that serve has turned nobody away")]
    return [_refusal(about, *one) for one in sorted(counted)]


def _counted(metrics: str) -> list[tuple[str, str, int]] | None:
    """Each endpoint, reason and number of times; ``None``: those are no metrics of ours."""
    try:
        families = list(text_string_to_metric_families(metrics))
    except ValueError:
        return None
    if not any(family.name.startswith("opusbridge_") for family in families):
        return None
    return [
        (sample.labels["endpoint"], sample.labels["reason"], int(sample.value))
        for family in families
        for sample in family.samples
        if sample.name == "opusbridge_rejected_total" and sample.value
    ]


def _refusal(about: str, endpoint: str, reason: str, times: int) -> Finding:
    known = REFUSALS.get(f"{endpoint}:{reason}") or REFUSALS.get(reason)
    what = f"{endpoint}: {reason}, {_times(times)}"
    if known is None:
        return warning(about, what, "see the lines `refused` in its log")
    return warning(about, f"{what}: {known.meaning}", known.cure)


def check_endings(settings: Settings) -> list[Finding]:
    """Of the calls whose files are here."""
    about = "recent calls"
    try:
        longest_call = settings.max_call_seconds
        reasons = _reasons(settings.data_dir / "calls", longest_call + LATE_SECONDS)
    except PermissionError:
        return [skipped(about, "this user may not look into OPUSBRIDGE_DATA_DIR")]
    total = reasons.total()
    if not total:
        return [skipped(about, f"none in {CALL_DAYS} days")]
    found = [
        _ending(about, reason, times)
        for reason, times in reasons.most_common()
        if reason not in ORDINARY
    ]
    return found or [fine(about, f"{total} in {CALL_DAYS} days, all of them ended well")]


def _reasons(calls: Path, under_way_seconds: float) -> Counter[str]:
    """How often calls ended for each. Raises ``PermissionError`` for a folder of another user."""
    found: Counter[str] = Counter()
    for back in range(CALL_DAYS):
        day = calls / (datetime.now(UTC) - timedelta(days=back)).strftime("%Y-%m-%d")
        for call in _within(day):
            reason = _reason(call, under_way_seconds)
            if reason is not None:
                found[reason] += 1
    return found


def _reason(call: Path, under_way_seconds: float) -> str | None:
    """``None``: it has not ended, or is not for us to read."""
    try:
        told = orjson.loads((call / "call.json").read_bytes())
        reason = str(told["ending"]["reason"])
        return _WORDLESS if reason in _GIVEN_UP and _is_wordless(call, told) else reason
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
        return _UNTOLD if _unwritten_for(call) > under_way_seconds else None
    except OSError:
        return None


def _is_wordless(call: Path, told: dict[str, Any]) -> bool:
    """Whether the caller waited and heard nothing: no response, and no stored speech either."""
    try:
        began, ended = (datetime.fromisoformat(told[at]) for at in ("started_at", "ended_at"))
        if told["responses"]["created"] or (ended - began).total_seconds() < WAITED_SECONDS:
            return False
        items = orjson.loads((call / "transcript.json").read_bytes())["items"]
        return not any(item["speaker"] == "agent" for item in items)
    except (OSError, KeyError, TypeError, ValueError):
        return False  # nothing is known against it


def _unwritten_for(call: Path) -> float:
    """Seconds since any of its files was written; none at all if it has none."""
    now = time.time()
    try:
        return min((now - one.stat().st_mtime for one in call.iterdir()), default=0.0)
    except OSError:
        return 0.0


def _within(day: Path) -> list[Path]:
    try:
        return list(day.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _ending(about: str, reason: str, times: int) -> Finding:
    if reason == _UNTOLD:
        calls = "one call" if times == 1 else f"{times} calls"
        why = "the process was ended in the middle, or the disk was full"
        cure = "end serve by SIGTERM; the system's log may tell of memory or disk"
        return warning(about, f"{calls} left no call.json that can be read: {why}", cure)
    if reason == _WORDLESS:
        calls = "one call" if times == 1 else f"{times} calls"
        cure = "see `model` above, and the log's lines of those calls: was the model unreachable?"
        return warning(about, f"{calls} in which the agent never said a word", cure)
    known = ENDINGS.get(reason)
    if known is None:
        return warning(about, f"{reason}, {_times(times)}", "see call.json and flight.jsonl")
    return warning(about, f"{reason}, {_times(times)}: {known.meaning}", known.cure)


def _times(times: int) -> str:
    return "once" if times == 1 else f"{times} times"
