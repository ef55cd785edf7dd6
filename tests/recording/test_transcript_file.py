import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

import pytest

from opusbridge.call.transcript import Transcript
from opusbridge.recording import files
from opusbridge.recording.transcript_file import (
    BYTES_PER_SECOND,
    PIECE_ITEMS,
    TranscriptFile,
    merged,
)


class Followed:
    """A transcript, and the file that is made of its news."""

    def __init__(self, path: Path, transcript: Transcript | None = None) -> None:
        self.path, self.now = path, 100.0
        self.transcript = transcript or Transcript(latest=5, piece=10)
        self.file = TranscriptFile(path, "call_1", self.clock)
        self.said = 0
        self.waiting: dict[str, Any] = {}
        self.handed_over: Callable[[], bool] = lambda: True

    def clock(self) -> float:
        return self.now

    def say(self, count: int) -> None:
        for number in range(self.said, self.said + count):
            self.transcript.began(f"item_{number}", 1000 * number)
            self.transcript.committed(f"item_{number}", None)
            self.transcript.words(f"item_{number}", "caller", f"line\n{number}", final=True)
            self.follow()
        self.said += count

    def follow(self) -> None:
        """As the recorder does, whose writer may be busy."""
        self.waiting = merged(self.waiting, self.transcript.changes())
        if self.handed_over():
            self.file.tell(self.waiting)
            self.waiting = {}

    def check(self) -> None:
        """What is written now is what would be written at the end of the call."""
        self.now += 3600
        self.file.write_if_due()
        end = self.path.with_name("end.json")
        files.write_json(end, self.transcript.snapshot("call_1"))
        assert self.path.read_text() == end.read_text()


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path / "transcript.json")


def test_the_file_is_at_any_time_what_it_would_be_at_the_end(followed: Followed) -> None:
    followed.follow()
    followed.check()
    for _ in range(4):
        followed.say(PIECE_ITEMS // 2)
        followed.check()
    followed.transcript.pause("agent", 10_000, ())
    followed.say(2)
    followed.check()
    followed.say(200)
    followed.check()


def test_words_that_come_very_late_are_written_where_they_belong(followed: Followed) -> None:
    followed.say(3 * PIECE_ITEMS)
    followed.transcript.words("item_7", "caller", "Better.", final=True)
    followed.follow()
    followed.check()
    followed.say(3 * PIECE_ITEMS)

    followed.check()
    assert json.loads(followed.path.read_text())["items"][7]["text"] == "Better."


def test_what_is_put_far_back_later_is_written_where_it_belongs(followed: Followed) -> None:
    followed.say(3 * PIECE_ITEMS)
    followed.transcript.item("late", "agent", after="item_7")
    followed.follow()

    followed.check()
    assert json.loads(followed.path.read_text())["items"][8]["item_id"] == "late"


def test_the_longer_it_is_the_less_often_it_is_written(followed: Followed) -> None:
    def written_after(seconds: float) -> bool:
        before = followed.path.read_text()
        followed.say(1)
        followed.now += seconds
        followed.file.write_if_due()
        return followed.path.read_text() != before

    followed.say(1)
    followed.check()
    assert written_after(0.0)
    followed.say(500)
    followed.check()
    seconds = followed.path.stat().st_size / BYTES_PER_SECOND
    assert seconds > 1
    assert not written_after(0.9 * seconds)
    assert written_after(0.2 * seconds)


def test_what_is_withheld_is_taken_out_of_the_file_at_once(followed: Followed) -> None:
    followed.say(500)
    followed.transcript.words("open", "agent", "It ends in 4711", final=True)
    followed.follow()
    followed.check()
    assert "4711" in followed.path.read_text()

    followed.transcript.pause("agent", 10_000, ())
    followed.follow()
    followed.file.write_if_due()

    assert "4711" not in followed.path.read_text()


def test_what_could_not_be_written_is_written_with_what_comes_next(followed: Followed) -> None:
    followed.say(1)
    followed.path.mkdir()
    with pytest.raises(OSError, match=r"transcript\.json"):
        followed.file.write_if_due()
    followed.path.rmdir()

    followed.check()


@contextmanager
def full_disk() -> Iterator[None]:
    def write_all(file: BinaryIO, data: bytes) -> None:
        file.write(data[:100])
        raise OSError(ENOSPC, "no space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write_all", write_all)
        yield


def test_where_the_disk_is_full_what_is_withheld_goes_with_the_file(followed: Followed) -> None:
    followed.say(1)
    followed.transcript.words("open", "agent", "It ends in 4711", final=True)
    followed.follow()
    followed.check()
    followed.transcript.pause("agent", 10_000, ())
    followed.follow()
    with full_disk(), pytest.raises(OSError, match="no space"):
        followed.file.write_if_due()
    assert list(followed.path.parent.glob("transcript.*")) == []

    followed.check()  # there is room again
    followed.say(1)
    with full_disk(), pytest.raises(OSError, match="no space"):
        followed.file.write()
    assert followed.path.exists(), "what is there has nothing to hide any more"


def test_so_it_is_when_the_call_ends_in_the_pause(followed: Followed) -> None:
    followed.transcript.words("open", "agent", "It ends in 4711", final=True)
    followed.follow()
    followed.check()
    followed.transcript.pause("agent", 10_000, ())
    with full_disk(), pytest.raises(OSError, match="no space"):
        followed.file.complete(followed.transcript.snapshot("call_1"))

    assert not followed.path.exists()


def test_a_file_in_which_those_words_never_were_stays(followed: Followed) -> None:
    followed.say(1)
    followed.check()
    followed.transcript.words("open", "agent", "It ends in 4711", final=True)
    followed.follow()
    with full_disk(), pytest.raises(OSError, match="no space"):
        followed.file.write()
    assert not followed.path.with_name("transcript.json.part").exists(), "it may have the words"
    followed.transcript.pause("agent", 10_000, ())
    followed.follow()
    with full_disk(), pytest.raises(OSError, match="no space"):
        followed.file.write()

    (item,) = json.loads(followed.path.read_text())["items"]
    assert item["text"] == "line\n0"
    followed.check()  # there is room again


def test_without_news_nothing_is_written(followed: Followed) -> None:
    followed.file.write_if_due()
    assert not followed.path.exists()


def test_what_is_put_away_takes_little_memory(followed: Followed) -> None:
    followed.say(2000)

    kept = followed.file._pieces, followed.file._texts, followed.file._order
    assert sum(map(len, kept[0])) < 40 * 2000
    assert max(len(kept[1]), len(kept[2])) < 2 * PIECE_ITEMS


# --- News that wait for each other ------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_news_put_together_tell_the_same_as_one_after_the_other(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    followed = Followed(tmp_path / "transcript.json")
    followed.handed_over = lambda: random.random() < 0.3

    def some() -> str:
        return f"item_{random.randrange(followed.said + 1)}"

    acts: list[Callable[[], object]] = [
        lambda: followed.say(random.choice([1, 1, 1, 30])),
        lambda: followed.transcript.item(f"new_{random.random()}", "agent", some()),
        lambda: followed.transcript.words(some(), "caller", "Late.", final=True),
        lambda: followed.transcript.place(some(), some()),
        followed.follow,
    ]
    for _ in range(60):
        random.choice(acts)()
    followed.handed_over = lambda: True
    followed.follow()
    followed.check()
