"""A transcript that puts away what lies far back, against one that never does."""

from random import Random
from typing import Any

import pytest

from opusbridge.call import transcript as module
from opusbridge.call.transcript import Transcript

NEVER = 10**6
ASKED = ("has_words", "has_all_words", "withholds", "shown", "__contains__")


class Both:
    """Told the same; asked the same, they answer the same."""

    def __init__(self, latest: int = 3, piece: int = 2) -> None:
        self.small, self.whole = Transcript(latest, piece), Transcript(NEVER)
        self.told: dict[str, Any] = {}
        self.order: list[str] = []

    def do(self, act: str, *values: Any) -> Any:
        """Ask or tell both."""
        here, there = (getattr(one, act)(*values) for one in (self.small, self.whole))
        assert here == there
        return here

    def change(self, item_id: str, after: str | None, status: str, at_ms: int) -> None:
        """What the call does to an item it was given."""
        for one in (self.small, self.whole):
            item = one.item(item_id, "agent", after)
            item.status, item.ended_ms = status, at_ms

    def say(self, count: int = 1) -> None:
        """So many turns of the caller's, complete."""
        for _ in range(count):
            number = len(self.whole)
            self.do("began", f"said_{number}", 1000 * number)
            self.do("committed", f"said_{number}", None)
            self.do("words", f"said_{number}", "caller", f"line {number}", True)

    def follow(self) -> None:
        """As the recorder does."""
        self.whole.changes()
        new = self.small.changes()
        self.order[new.get("order_from", 0) :] = new.get("order", self.order)
        self.told |= new.get("items", {})
        written = self.whole.snapshot("")
        assert [self.told[one] for one in self.order] == written["items"]
        assert new.get("pauses", written.get("pauses")) == written.get("pauses")

    def check(self) -> None:
        assert self.small.snapshot("call_1") == self.whole.snapshot("call_1")
        assert self.small.items() == self.whole.items()
        assert self.small.items(2) == self.whole.items()[-2:]
        assert sorted(self.small.newly_withheld()) == sorted(self.whole.newly_withheld())
        assert len(self.small) == len(self.whole)

    @property
    def in_sight(self) -> int:
        return len(self.small._items)

    @property
    def latest(self) -> int:
        return len(self.small._order)

    @property
    def away(self) -> int:
        return len(self.small._archive)


class Chance:
    """What may come next, and of what."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.followed = self.one_of(True, False)

    def one_of(self, *values: Any) -> Any:
        return self._random.choice(values)

    def name(self) -> str:
        return self._random.choice(["said", "said", "item"]) + f"_{self._random.randrange(13)}"

    def before(self) -> str | None:
        return self._random.choice([None, self.name(), self.name()])

    def ms(self) -> int:
        return self._random.randrange(3000)

    def words(self) -> str:
        return self._random.choice(["Good", " morning to", " you. "])

    def response(self) -> str:
        return self._random.choice(["resp_1", "resp_2"])

    def step(self) -> tuple[Any, ...]:
        """Half of it is about the order, in which more can be confused."""
        name, part = self.name(), self.one_of(0, 1)
        order = [
            ("say", self._random.randrange(1, 7)),
            ("place", name, self.before()),
            ("change", name, self.before(), self.one_of("completed", "in_progress"), self.ms()),
            ("used", name, self.name(), self.words(), self.ms()),
        ]
        others = [
            ("settle",),
            ("began", name, self.ms()),
            ("committed", name, self.before()),
            ("words", name, self.one_of("caller", "agent"), self.words(), part == 0, part),
            ("typed", name, self.words(), self.ms(), self.ms()),
            ("answered", name, self.words(), part == 0, self.ms()),
            ("answers", name, self.response()),
            ("response_over", self.response(), self.one_of("failed", "completed", "cut")),
            ("heard", name, self.ms(), self.ms(), part),
            ("playing", name, self.ms(), self.ms(), part),
            ("pause", "agent", self.ms(), {self.name()}),
            ("resume", "agent", self.ms()),
            *((asked, name) for asked in ASKED),
            ("check",),
            ("follow",) if self.followed else ("say",),
        ]
        return tuple(self.one_of(*self.one_of(order, others)))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(60), range(60, 120)])
def test_nobody_can_tell_that_anything_was_put_away(seeds: range) -> None:
    for seed in seeds:
        try_all(Chance(seed))


def try_all(chance: Chance) -> None:
    both = Both()
    both.say(6)
    for _ in range(60):
        act, *values = chance.step()
        if hasattr(both, act):
            getattr(both, act)(*values)
        else:
            both.do(act, *values)
    both.check()
    both.follow()
    both.say(20)
    both.follow()
    both.check()


def test_only_the_latest_and_what_is_open_are_kept_as_they_are() -> None:
    both = Both(latest=10, piece=5)
    both.do("used", "tool", "item_1", "look_up()", 0)
    both.say(100)

    assert both.away > 80
    assert "tool" in both.small._items
    assert len(both.small._items) < 20
    both.do("answered", "tool", "found", False, 9000)
    both.check()


def test_what_was_open_when_its_place_was_put_away_follows_when_it_is_complete() -> None:
    both = Both(latest=10, piece=5)
    for number in range(8):
        both.do("used", f"call_{number}", f"item_{number}", "{}", number)
    both.say(20)
    both.do("answered", "call_1", "late", False, 77)
    both.do("words", "said_9", "caller", "and this was looked for again", True)
    assert both.in_sight > 15
    both.say(5)
    assert both.in_sight == 7 + both.latest  # those still open, and the latest
    both.check()
    assert both.in_sight == 7 + both.latest


def test_what_the_recorder_was_not_told_yet_is_not_put_away() -> None:
    both = Both()
    both.follow()
    both.say(50)
    assert not both.away

    for _ in range(50):
        both.follow()
    assert both.away > 40


def test_whoever_begins_to_follow_late_is_told_everything() -> None:
    both = Both()
    both.say(50)
    assert both.away

    both.follow()


def test_what_is_far_away_is_taken_out_one_by_one() -> None:
    both = Both(latest=10, piece=5)
    both.say(100)
    away = both.away

    both.do("words", "said_3", "caller", "Better.", True)
    both.change("said_4", None, "failed", 5)
    both.do("pause", "agent", 10_000, frozenset({"said_5"}))

    assert both.away == away
    assert both.do("__contains__", "said_2")
    assert not both.do("committed", "said_2", None)
    assert both.do("withholds", "said_5")
    assert both.do("shown", "said_3")["text"] == "Better."
    both.check()


def test_what_is_put_in_between_takes_all_that_follows_out_again() -> None:
    both = Both(latest=10, piece=5)
    both.say(100)

    both.do("place", "hidden", "said_41")
    assert 30 < both.away <= 41
    both.check()
    both.say(100)
    assert both.away > 180 - 41  # and so they are put away again, one piece for one place
    both.do("words", "hidden", "agent", "Here I am.", True)
    both.check()


def test_what_is_settled_and_far_away_stays_there() -> None:
    both = Both(latest=10, piece=5)
    both.say(100)
    both.do("settle")
    away = both.away

    both.do("place", "said_7", "said_41")

    assert both.away == away
    both.check()


def test_a_tools_words_that_are_no_unicode_are_put_away_all_the_same() -> None:
    both = Both()
    both.do("used", "tool", "item_1", "look_up()", 0)
    both.do("answered", "tool", "caf\udce9", False, 10)
    both.say(20)

    assert both.away
    both.check()


@pytest.mark.parametrize("meanwhile", [0, 50])
def test_what_only_had_its_place_is_shown_there(meanwhile: int) -> None:
    both = Both()
    both.do("place", "hidden", None)
    both.follow()
    for _ in range(meanwhile):
        both.say()
        both.follow()

    both.do("words", "hidden", "agent", "Here I am.", True)

    both.follow()
    both.check()


def test_stored_speech_keeps_to_what_it_followed_even_far_away() -> None:
    both = Both()
    both.say()
    for one in (both.small, both.whole):
        one.aside("clip", "agent").status = "completed"
    both.say(20)

    both.do("place", "late", "said_0")
    both.do("words", "late", "agent", "One moment.", True)

    assert [one["item_id"] for one in both.small.items()][:3] == ["said_0", "clip", "late"]
    both.check()


def test_what_was_told_its_place_keeps_it_even_far_away() -> None:
    both = Both()
    both.say(2)
    both.do("place", "said_1", "said_0")
    both.say(20)

    both.do("place", "said_1", "said_15")

    assert both.away > 15
    both.check()


def test_what_was_put_away_counts_towards_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ITEMS", 20)
    monkeypatch.setattr(module, "MOST_PLACES", 30)
    both = Both()
    for number in range(40):
        both.change(f"item_{number}", None, "completed", number)
        both.do("place", f"hidden_{number}", None)

    assert len(both.small) == 20
    assert both.away <= 30
    both.check()
