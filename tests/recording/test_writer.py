import threading
from collections.abc import Iterator
from typing import NoReturn

import pytest
import structlog

from opusbridge.recording.writer import Writer


@pytest.fixture
def writer() -> Iterator[Writer]:
    writer = Writer(limit_bytes=100)
    yield writer
    assert writer.close()


def test_jobs_are_done_in_order_on_another_thread(writer: Writer) -> None:
    done: list[object] = []
    writer.submit(lambda: done.append(threading.current_thread().name), 1)
    writer.submit(lambda: done.append("second"), 1)

    assert writer.close()
    assert done == ["writer", "second"]


def test_too_much_waiting_is_refused_and_counted_and_delays_nobody(writer: Writer) -> None:
    disk_answers, done = threading.Event(), []
    writer.submit(lambda: [disk_answers.wait(5)].clear(), 60)

    assert not writer.submit(lambda: done.append("refused"), 41)
    assert writer.submit(lambda: done.append("fits"), 40)
    assert writer.dropped == 1
    disk_answers.set()
    assert writer.close()
    assert done == ["fits"]


def test_what_was_done_makes_room_again(writer: Writer) -> None:
    for _ in range(5):
        finished = threading.Event()
        writer.submit(lambda: None, 100)
        writer.submit_last(finished.set, 0)
        assert finished.wait(5)

    assert writer.dropped == 0


def test_the_last_job_of_a_call_is_never_refused(writer: Writer) -> None:
    done: list[str] = []
    writer.submit_last(lambda: done.append("last"), 1000)

    assert writer.close()
    assert done == ["last"]


def test_a_bug_in_one_job_does_not_stop_the_next(writer: Writer) -> None:
    done: list[str] = []
    writer.submit(lambda: done.remove("what was never there"), 1)
    writer.submit(lambda: done.append("next"), 1)

    assert writer.close()
    assert done == ["next"]
    assert writer.broken == 1


def test_after_the_end_only_last_jobs_are_done_and_at_once(writer: Writer) -> None:
    done: list[str] = []
    assert writer.close()

    assert not writer.submit(lambda: done.append("late"), 1)
    writer.submit_last(lambda: done.append("last"), 1)
    assert done == ["last"]


def test_closing_gives_up_on_a_disk_that_never_answers() -> None:
    writer, disk_answers = Writer(), threading.Event()
    writer.submit(lambda: [disk_answers.wait(5)].clear(), 1)

    assert not writer.close(timeout_seconds=0.01)
    disk_answers.set()
    assert writer.close()


def test_nor_does_a_log_that_is_broken(writer: Writer) -> None:
    def full_disk(*_: object) -> NoReturn:
        raise OSError("no space left on device")

    structlog.configure(logger_factory=full_disk)
    done: list[str] = []
    writer.submit(lambda: done.remove("what was never there"), 1)
    writer.submit(lambda: done.append("next"), 1)

    assert writer.close()
    assert done == ["next"]
