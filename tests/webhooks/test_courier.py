"""What is to be told to a server of the user's reaches it, whatever happens meanwhile."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from opusbridge.privacy import Private
from opusbridge.tools.workers import Disk
from opusbridge.webhooks import SIGNATURE, courier, verify
from opusbridge.webhooks.courier import DELIVERY, PAUSES_SECONDS, Courier

pytestmark = pytest.mark.usefixtures("quiet")

SECRET = Private("opusbridge-test-secret-0123456789")
AT = 1_800_000_000.0
BODY = b'{"type":"call.ended","call":{"caller":"+15550100001"}}'


class Listener:
    """A server that answers in this order, the last one from then on; 0: not at all.

    ``dribbles``: after so many bytes of an answer the rest comes slowly, and without an end.
    """

    def __init__(self, answers: list[int]) -> None:
        self.answers = answers
        self.dribbles: int | None = None
        self.busy: set[asyncio.Future[None]] = set()
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.pauses: list[float] = []
        self.url = ""

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def never(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.Event().wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value for name, value in lines.items()}
        self.heard.append((headers, await reader.readexactly(int(headers["content-length"]))))
        self.busy.add(asyncio.ensure_future(self._answer(reader, writer)))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if self.dribbles is not None:
            writer.write((b"HTTP/1.1 %d X\r\n\r\n" % status)[: self.dribbles])
            await dribble(reader, writer)
        elif status:
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status
            )
        writer.close()


async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the other side hangs up."""
    hung_up = asyncio.create_task(reader.read(1))
    while not (await asyncio.wait([hung_up], timeout=0.005))[0]:
        writer.write(b"x")


@asynccontextmanager
async def listening(*answers: int) -> AsyncIterator[Listener]:
    listener = Listener(list(answers))
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield listener
        if listener.busy:
            await asyncio.wait(listener.busy, timeout=5.0)


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def modes(folder: Path) -> tuple[int, list[int]]:
    """Who may look into the folder, and into each file of it."""
    return folder.stat().st_mode & 0o777, [p.stat().st_mode & 0o777 for p in folder.iterdir()]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5.0):
        while not true():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.001)


def a_courier(listener: Listener, folder: Path, *, patient: bool = False) -> Courier:
    pause = listener.never if patient else listener.pause
    return Courier(listener.url, SECRET, folder, pause=pause, wall_clock=lambda: AT)


async def test_what_is_left_arrives_signed_and_is_kept_no_longer(tmp_path: Path) -> None:
    async with listening(204) as listener:
        carrying = a_courier(listener, tmp_path / "webhooks")
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)

        ((headers, body),) = listener.heard
        assert body == BODY
        assert headers[DELIVERY.lower()] == "call-1"
        assert verify(body, headers[SIGNATURE.lower()], SECRET.value, now=AT)
        assert left_in(tmp_path / "webhooks") == []
        assert carrying.waiting == 0


async def test_a_server_that_fails_is_asked_again_with_growing_pauses(tmp_path: Path) -> None:
    async with listening(500, 0, 404, 200) as listener:
        carrying = a_courier(listener, tmp_path)
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)

        assert len(listener.heard) == 4
        assert {headers[DELIVERY.lower()] for headers, _ in listener.heard} == {"call-1"}
        assert listener.pauses == list(PAUSES_SECONDS[:3])
        assert left_in(tmp_path) == []


async def test_what_nobody_took_is_sent_at_the_next_start(tmp_path: Path) -> None:
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path)
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)
        assert len(listener.heard) == 1 + len(PAUSES_SECONDS)
        assert left_in(tmp_path) == ["call-1.json"]

        listener.answers = [200]
        async with a_courier(listener, tmp_path).at_work():
            pass

        assert listener.heard[-1][1] == BODY
        assert left_in(tmp_path) == []


async def test_the_end_of_the_process_does_not_wait_for_a_server_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.05)
    async with listening(503) as listener:
        async with asyncio.timeout(5.0):
            carrying = a_courier(listener, tmp_path, patient=True)
            async with carrying.at_work():
                await carrying.leave("call-1", BODY)

        assert left_in(tmp_path) == ["call-1.json"]
        assert carrying.waiting == 1


async def test_more_than_a_disk_should_keep_are_dropped_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "MOST_KEPT", 1)
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.05)
    structlog.reset_defaults()
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path, patient=True)
        with capture_logs() as lines:
            async with carrying.at_work():
                await carrying.leave("call-1", BODY)
                await carrying.leave("call-2", BODY)

        assert left_in(tmp_path) == ["call-1.json"]
        assert any(line["event"].startswith("webhook dropped") for line in lines)
        assert not any("15550100001" in str(line) or listener.url in str(line) for line in lines)


async def test_those_that_were_given_up_make_room_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "MOST_KEPT", 2)
    structlog.reset_defaults()
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path)
        with capture_logs() as lines:
            async with carrying.at_work():
                for name in ("call-1", "call-2"):
                    await carrying.leave(name, BODY)
                    await asyncio.wait(carrying._under_way.values())
                assert carrying.waiting == 2
                listener.answers = [200]
                await carrying.leave("call-3", BODY)

        assert listener.heard[-1][0][DELIVERY.lower()] == "call-3"
        assert left_in(tmp_path) == ["call-2.json"]
        assert carrying.waiting == 1
    dropped = [line for line in lines if line["event"].startswith("webhook dropped")]
    assert [line["delivery"] for line in dropped] == ["call-1"]


@pytest.mark.parametrize("at_the_end", [False, True])
async def test_what_an_earlier_process_left_makes_room_for_the_next(
    at_the_end: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "MOST_KEPT", 2)
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.05)
    for age, name in enumerate(("call-2", "call-1")):
        (tmp_path / f"{name}.json").write_bytes(BODY)
        os.utime(tmp_path / f"{name}.json", (AT - age, AT - age))
    structlog.reset_defaults()
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path, patient=True)
        with capture_logs() as lines:
            async with carrying.at_work():
                await until(lambda: len(listener.pauses) == 2)
                if not at_the_end:
                    await carrying.leave("call-3", BODY)
                    await until(lambda: len(listener.pauses) == 3)
                    assert listener.heard[-1][0][DELIVERY.lower()] == "call-3"
            if at_the_end:
                await carrying.leave("call-3", BODY)

        assert sorted(left_in(tmp_path)) == ["call-2.json", "call-3.json"]
        assert carrying.waiting == 2
    dropped = [line for line in lines if line["event"].startswith("webhook dropped")]
    assert [line["delivery"] for line in dropped] == ["call-1"]


async def test_what_an_earlier_process_left_and_was_brought_makes_no_more_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "MOST_KEPT", 1)
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.05)
    (tmp_path / "call-1.json").write_bytes(BODY)
    async with listening(200, 503) as listener:
        carrying = a_courier(listener, tmp_path, patient=True)
        async with carrying.at_work():
            await until(lambda: carrying.waiting == 0)
            await carrying.leave("call-2", BODY)
            await carrying.leave("call-3", BODY)

        assert left_in(tmp_path) == ["call-2.json"]


@pytest.mark.parametrize("answers", [[200], [500, 404, 200]])
async def test_a_disk_that_cannot_be_written_costs_no_attempt(
    answers: list[int], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    structlog.reset_defaults()
    async with listening(*answers) as listener:
        carrying = a_courier(listener, tmp_path / "file" / "webhooks")
        with capture_logs() as lines:
            async with carrying.at_work():
                await carrying.leave("call-1", BODY)

    assert [body for _, body in listener.heard] == [BODY] * len(answers)
    assert listener.pauses == list(PAUSES_SECONDS[: len(answers) - 1])
    assert carrying.waiting == 0
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "webhook cannot be kept"
    ]


async def test_what_neither_the_server_takes_nor_the_disk_is_lost_and_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    structlog.reset_defaults()
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path / "file" / "webhooks")
        with capture_logs() as lines:
            async with carrying.at_work():
                await carrying.leave("call-1", BODY)

    assert len(listener.heard) == 1 + len(PAUSES_SECONDS)
    assert carrying.waiting == 0
    assert lines[-1]["event"].startswith("webhook lost")


async def test_a_disk_that_has_room_again_keeps_what_nobody_takes(tmp_path: Path) -> None:
    (tmp_path / "webhooks").write_bytes(b"")
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path / "webhooks")

        async def make_room(seconds: float) -> None:
            (tmp_path / "webhooks").unlink(missing_ok=True)
            carrying._pause = listener.pause

        carrying._pause = make_room
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)

        assert len(listener.heard) == 1 + len(PAUSES_SECONDS)
        assert left_in(tmp_path / "webhooks") == ["call-1.json"]
        assert carrying.waiting == 1


async def test_where_no_thread_can_be_had_to_write_it_down_it_is_sent_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(courier, "DISK", Disk("webhooks", 4))
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    async with listening(500, 200) as listener:
        carrying = a_courier(listener, tmp_path)
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)

        assert len(listener.heard) == 2
        assert carrying.waiting == 0


@pytest.mark.parametrize("has_room", [False, True])
async def test_what_the_disk_did_not_take_is_offered_to_it_once_more_in_the_end(
    has_room: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.05)
    (tmp_path / "webhooks").write_bytes(b"")
    structlog.reset_defaults()
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path / "webhooks", patient=True)
        with capture_logs() as lines:
            async with carrying.at_work():
                await carrying.leave("call-1", BODY)
                await until(lambda: len(listener.pauses) == 1)
                if has_room:
                    (tmp_path / "webhooks").unlink()

    assert carrying.waiting == has_room
    lost = [line["lost"] for line in lines if line["event"].startswith("webhooks lost")]
    assert lost == ([] if has_room else [1])
    if has_room:
        assert left_in(tmp_path / "webhooks") == ["call-1.json"]


async def test_what_comes_after_the_end_and_the_disk_does_not_take_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with listening(200) as listener:
        carrying = a_courier(listener, tmp_path / "file" / "webhooks")
        async with carrying.at_work():
            pass
        await carrying.leave("call-1", BODY)

    assert (listener.heard, carrying.waiting) == ([], 0)


async def test_a_message_that_was_taken_away_is_forgotten(tmp_path: Path) -> None:
    structlog.reset_defaults()
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path)

        async def steal(seconds: float) -> None:
            (tmp_path / "call-1.json").unlink(missing_ok=True)

        carrying._pause = steal
        with capture_logs() as told:
            async with carrying.at_work():
                await carrying.leave("call-1", BODY)

        assert len(listener.heard) == 1
        assert carrying.waiting == 0
        assert [line["event"] for line in told] == ["webhook not delivered"]


async def test_what_a_killed_process_half_wrote_is_taken_away_once_nobody_can_be_at_it(
    tmp_path: Path,
) -> None:
    for name, age in (("call-1", 7200.0), ("call-2", 60.0)):
        (tmp_path / f"{name}.part").write_bytes(BODY[:20])
        os.utime(tmp_path / f"{name}.part", (AT - age, AT - age))
    async with listening(200) as listener:
        async with a_courier(listener, tmp_path).at_work():
            pass

        assert (listener.heard, left_in(tmp_path)) == ([], ["call-2.part"])


async def test_what_another_process_brings_while_this_one_starts_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("call-1", "call-2"):
        (tmp_path / f"{name}.json").write_bytes(BODY)
    look = Path.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        if path.name == "call-1.json":
            path.unlink(missing_ok=True)
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", stat)
    async with listening(200) as listener:
        async with a_courier(listener, tmp_path).at_work():
            pass

        assert [headers[DELIVERY.lower()] for headers, _ in listener.heard] == ["call-2"]


@pytest.mark.parametrize("times", [1, 99])
async def test_what_the_disk_does_not_give_for_a_moment_is_asked_for_again(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, asked = Path.read_bytes, list[str]()

    def trouble(path: Path) -> bytes:
        asked.append(path.name)
        if len(asked) <= times:
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", trouble)
    async with listening(200) as listener:
        carrying = a_courier(listener, tmp_path)
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)

    given_up = times > len(PAUSES_SECONDS)
    assert listener.pauses == list(PAUSES_SECONDS[:times])
    assert len(listener.heard) == (not given_up)
    assert carrying.waiting == given_up
    assert left_in(tmp_path) == ["call-1.json"] * given_up


async def test_what_was_brought_and_cannot_be_taken_away_is_not_brought_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trouble(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    structlog.reset_defaults()
    async with listening(200) as listener:
        carrying = a_courier(listener, tmp_path)
        with capture_logs() as lines, monkeypatch.context() as disk:
            disk.setattr(Path, "unlink", trouble)
            async with carrying.at_work():
                await carrying.leave("call-1", BODY)

    assert (len(listener.heard), carrying.waiting) == (1, 0)
    assert left_in(tmp_path) == ["call-1.json"]
    assert [line["event"] for line in lines] == [
        "webhook delivered, but left on the disk: the next start sends it again"
    ]


async def test_a_message_that_breaks_is_told_and_costs_no_other(tmp_path: Path) -> None:
    structlog.reset_defaults()
    async with listening(200) as listener:
        carrying = a_courier(listener, tmp_path)
        carrying._url = "http://10.0.0.300/hook"
        with capture_logs() as lines:
            async with carrying.at_work():
                await carrying.leave("call-1", BODY)
                await asyncio.wait(carrying._under_way.values())
                carrying._url = listener.url
                await carrying.leave("call-2", BODY)

        assert len(listener.heard) == 1
        assert left_in(tmp_path) == ["call-1.json"]
        assert [line["event"] for line in lines[:2]] == [
            "webhook broke",
            "webhook not taken: kept for the next start",
        ]
        assert not any("10.0.0.300" in str(line) for line in lines)


async def test_an_answer_without_an_end_is_taken_at_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "LAST_SECONDS", 5.0)
    async with listening(200) as listener:
        listener.dribbles = 100
        carrying = a_courier(listener, tmp_path)
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)

        assert carrying.waiting == 0
        assert listener.pauses == []


async def test_a_server_that_does_not_get_as_far_as_its_status_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "ATTEMPT_SECONDS", 0.02)
    monkeypatch.setattr(courier, "LAST_SECONDS", 5.0)
    async with listening(200) as listener:
        listener.dribbles = 10
        carrying = a_courier(listener, tmp_path)
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)

        assert listener.pauses == list(PAUSES_SECONDS)
        assert left_in(tmp_path) == ["call-1.json"]


async def test_an_id_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    async with listening(200) as listener:
        carrying = a_courier(listener, tmp_path)
        async with carrying.at_work():
            with pytest.raises(ValueError, match="not an id"):
                await carrying.leave("../call-1", BODY)


async def test_only_this_user_may_read_what_waits(tmp_path: Path) -> None:
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path / "webhooks")
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)

    assert modes(tmp_path / "webhooks") == (0o700, [0o600])


# --- A disk that stands still -----------------------------------------------------------


class StandingDisk:
    """It writes when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.goes_on = threading.Event()
        write = Courier._write

        def stand_still(courier: Courier, name: str, body: bytes) -> None:
            self.goes_on.wait(20.0)
            write(courier, name, body)

        monkeypatch.setattr(Courier, "_write", stand_still)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandingDisk]:
    still = StandingDisk(monkeypatch)
    yield still
    still.goes_on.set()


async def test_a_disk_that_stands_still_holds_nobody_up_and_what_was_left_is_sent_later(
    tmp_path: Path, disk: StandingDisk
) -> None:
    async with listening(200) as listener:
        carrying = a_courier(listener, tmp_path)
        async with carrying.at_work():
            async with asyncio.timeout(0.5):
                for number in range(10):
                    await carrying.leave(f"call-{number}", BODY)
            assert (listener.heard, carrying.waiting) == ([], 10)
            disk.goes_on.set()
            await asyncio.wait(carrying._under_way.values())

        assert len(listener.heard) == 10
        assert left_in(tmp_path) == []


async def test_a_disk_that_stands_still_does_not_hold_up_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "START_SECONDS", 0.02)
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.05)
    (tmp_path / "call-1.json").write_bytes(BODY)
    goes_on, find = threading.Event(), Courier._found

    def stand_still(courier: Courier) -> list[str]:
        goes_on.wait(20.0)
        return find(courier)

    monkeypatch.setattr(Courier, "_found", stand_still)
    try:
        async with listening(200) as listener, asyncio.timeout(5.0):
            async with a_courier(listener, tmp_path).at_work():
                pass
            assert listener.heard == []
            carrying = a_courier(listener, tmp_path)
            async with carrying.at_work():
                await carrying.leave("call-2", BODY)
                await until(lambda: len(listener.heard) == 1)
                goes_on.set()
                await until(lambda: len(listener.heard) == 2)
    finally:
        goes_on.set()

    heard = [headers[DELIVERY.lower()] for headers, _ in listener.heard]
    assert heard == ["call-2", "call-1"]


async def test_messages_that_cannot_be_found_wait_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(courier: Courier) -> list[str]:
        raise PermissionError

    monkeypatch.setattr(Courier, "_found", refuse)
    structlog.reset_defaults()
    async with listening(200) as listener:
        with capture_logs() as lines:
            async with a_courier(listener, tmp_path).at_work():
                pass

    assert [line["event"] for line in lines] == ["webhooks that were left cannot be found"]


async def test_what_a_disk_does_not_take_at_all_is_dropped_and_told(
    tmp_path: Path, disk: StandingDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "MOST_UNWRITTEN", 1)
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.01)
    monkeypatch.setattr(courier, "LAST_WRITTEN_SECONDS", 0.01)
    structlog.reset_defaults()
    async with listening(200) as listener:
        carrying = a_courier(listener, tmp_path)
        with capture_logs() as lines:
            async with asyncio.timeout(1.0), carrying.at_work():
                await carrying.leave("call-1", BODY)
                await carrying.leave("call-2", BODY)

    said = [(line["event"], line.get("delivery"), line.get("lost")) for line in lines]
    assert said == [
        ("webhook dropped: too many wait", "call-2", None),
        ("webhooks lost: the disk does not take them", None, 1),
    ]
    assert carrying.waiting == 0


async def test_what_is_left_when_the_process_ends_is_kept_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "LAST_SECONDS", 0.05)
    async with listening(503) as listener:
        carrying = a_courier(listener, tmp_path, patient=True)
        async with carrying.at_work():
            await carrying.leave("call-1", BODY)
            asyncio.get_running_loop().call_later(
                0.04, lambda: others.append(asyncio.ensure_future(carrying.leave("call-2", BODY)))
            )
            others: list[asyncio.Task[None]] = []
        await carrying.leave("call-3", BODY)

        assert sorted(left_in(tmp_path)) == ["call-1.json", "call-2.json", "call-3.json"]
        assert "call-3" not in {headers[DELIVERY.lower()] for headers, _ in listener.heard}


HUNG = """
import asyncio, threading, sys
from pathlib import Path
from opusbridge.privacy import Private
from opusbridge.webhooks import courier
courier.LAST_SECONDS = 0.01
courier.Courier._write = lambda *_: threading.Event().wait()

async def main():
    carrying = courier.Courier("http://127.0.0.1:9/", Private("x" * 32), Path(sys.argv[1]))
    async with carrying.at_work():
        await carrying.leave("call-1", b"{}")

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_disk_that_stands_still_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HUNG, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=20.0)

    assert done.returncode == 0, done.stderr
