"""All calls put things down in one list; each recorder gets its own, in order, and soon."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from opusbridge.recording.journal import SORT_SECONDS, Journal
from opusbridge.recording.recorder import FLIGHT_SECONDS, CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.sound import PCMU_8K

SOUND = b64encode(bytes(160)).decode()


class Keeper:
    """Writes down what it is given, and when it hears that this was all."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.told = list[object]()

    def put(self, what: object, now: float) -> None:
        self.journal.put((self, self.take, what, now))

    def take(self, what: object, now: float) -> None:
        self.told.append((what, now))
        if what == "and more":
            self.put("more", now)
        if what == "a bug":
            raise ValueError

    def sorted(self, now: float) -> None:
        self.told.append(("sorted", now))
        if ("a bug at the end", now) in self.told:
            raise KeyError

    def broke(self, error: Exception) -> None:
        self.told.append(type(error).__name__)


def test_each_gets_its_own_in_order_and_hears_that_this_was_all() -> None:
    journal = Journal()
    one, other = Keeper(journal), Keeper(journal)
    one.put("a", 1.0)
    other.put("b", 1.01)
    one.put("c", 1.02)
    journal.sort(1.1)
    journal.sort(1.2)
    assert one.told == [("a", 1.0), ("c", 1.02), ("sorted", 1.1)]
    assert other.told == [("b", 1.01), ("sorted", 1.1)]


def test_it_is_due_at_once_and_then_every_tenth_of_a_second() -> None:
    journal = Journal()
    assert journal.due < -1e9  # whatever the loop's clock says
    journal.sort(5.0)
    assert journal.due == 5.0 + SORT_SECONDS


def test_what_is_put_down_while_it_is_sorted_waits_for_the_next_time() -> None:
    journal = Journal()
    one = Keeper(journal)
    one.put("and more", 1.0)
    journal.sort(1.1)
    assert one.told == [("and more", 1.0), ("sorted", 1.1)]
    journal.sort(1.2)
    assert one.told[2:] == [("more", 1.0), ("sorted", 1.2)]


def test_a_bug_with_what_is_of_one_costs_the_others_nothing() -> None:
    journal = Journal()
    one, other = Keeper(journal), Keeper(journal)
    for what in ("a bug", "a bug at the end"):
        one.put(what, 1.1)
        other.put("b", 1.1)
    journal.sort(1.1)

    bugs = [("a bug", 1.1), "ValueError", ("a bug at the end", 1.1)]
    assert one.told == [*bugs, ("sorted", 1.1), "KeyError"]
    assert other.told == [("b", 1.1), ("b", 1.1), ("sorted", 1.1)]


def call(folder: Path, writer: Writer, journal: Journal) -> CallRecorder:
    return CallRecorder(
        folder, PCMU_8K, 0.0, record=False, flight=True, writer=writer, journal=journal
    )


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "flight.jsonl").read_text().splitlines()[1:]]


async def test_calls_that_share_one_are_kept_apart(tmp_path: Path, writer: Writer) -> None:
    journal = Journal()
    calls = [call(tmp_path / name, writer, journal) for name in "abc"]
    for nth in range(100):
        for one in calls:
            one.passed((SOUND, nth * 20, 160), nth * 0.02)
            if nth % 10 == 0:
                one.said("model", "in", json.dumps({"type": one.folder.name}), nth * 0.02)
    for one in calls:
        one.finish({}, {}, 2.0)
        await one.closed()
        told = [line for line in lines(one.folder) if "text" in line]
        assert [line["text"] for line in told] == [{"type": one.folder.name}] * 10
        # Each frame came and left: two numbers.
        assert [line["n"] for line in told] == [3 + nth * 21 for nth in range(10)]


async def test_a_call_that_has_fallen_silent_is_handed_over_by_the_others(
    tmp_path: Path, writer: Writer
) -> None:
    journal = Journal()
    silent, other = (call(tmp_path / name, writer, journal) for name in "ab")
    silent.said("model", "in", '{"type":"x"}', 0.0)
    other.said("model", "in", '{"type":"y"}', FLIGHT_SECONDS - 0.02)
    assert silent.hand_over_at == FLIGHT_SECONDS
    silent.said("model", "in", '{"type":"z"}', FLIGHT_SECONDS - 0.01)
    other.said("model", "in", '{"type":"y"}', FLIGHT_SECONDS + SORT_SECONDS)
    assert silent.hand_over_at == 2 * FLIGHT_SECONDS + SORT_SECONDS
    for one in (silent, other):
        one.finish({}, {}, 3.0)
        await one.closed()
    assert [line["text"] for line in lines(silent.folder)] == [{"type": "x"}, {"type": "z"}]


async def test_a_call_whose_transcript_has_a_bug_costs_itself_a_line_and_the_others_nothing(
    tmp_path: Path, writer: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal()
    broken, other = (
        CallRecorder(
            tmp_path / name, PCMU_8K, 0.0, record=True, flight=True, writer=writer, journal=journal
        )
        for name in "ab"
    )
    asked = list[float]()

    def changes(now: float) -> dict[str, object]:
        asked.append(now)
        raise KeyError("what somebody said")

    broken.follow(changes)
    for nth in range(300):
        for one in (broken, other):
            one.passed((SOUND, nth * 20, 160), nth * 0.02)
            one.said("model", "in", json.dumps({"type": f"{nth}"}), nth * 0.02)
    broken.hand_over_if_due(20.0)

    assert len(asked) == 1
    for one in (broken, other):
        one.finish({}, {}, 20.0)
        await one.closed()
        assert len([line for line in lines(one.folder) if "text" in line]) == 300
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "broke" in line]
    assert "call_id=a" in line
    assert "KeyError" in line
    assert "somebody" not in line


async def test_after_its_end_nothing_is_kept_of_a_call(tmp_path: Path, writer: Writer) -> None:
    journal = Journal()
    over = call(tmp_path / "a", writer, journal)
    over.finish({}, {}, 1.0)
    await over.closed()
    over.passed((SOUND, 0, 160), 5.0)
    over.said("model", "in", '{"type":"late"}', 5.0)
    journal.sort(9.0)
    over.hand_over_if_due(99.0)
    assert lines(over.folder) == []


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("busy_seconds", [1, 2, 3])
def test_what_came_before_a_silence_is_on_the_disk(
    tmp_path: Path, record: bool, busy_seconds: int
) -> None:
    writer = Writer()
    one = CallRecorder(tmp_path, PCMU_8K, 0.0, record=record, flight=True, writer=writer)
    for second in range(busy_seconds):
        one.said("model", "in", json.dumps({"type": f"{second}"}), second + 0.01)
        one.hand_over_if_due(second + 0.9)
    for second in range(busy_seconds, busy_seconds + 5):
        one.hand_over_if_due(float(second))
    assert writer.close()  # as far as the disk is concerned: the process ends here
    assert len(lines(tmp_path)) == busy_seconds
    one.finish({}, {}, 9.0)
