"""How fast a telephony peer is read."""

from opusbridge.bridge.pacing import A_SECOND, AT_ONCE, LONGEST_SECONDS, Pace


def pauses(pace: Pace, seconds: float, a_second: int, since: float = 100.0) -> list[float]:
    """Of a peer that says so much in that time, if nothing is read in a pause."""
    found, now = [], since
    for _ in range(round(seconds * a_second)):
        now += 1 / a_second
        pace.spare -= 1
        if pace.spare < 0 and (pause := pace.pause(now)):
            found.append(pause)
            now += pause
    return found


def test_an_hour_of_a_lively_call_is_read_as_it_comes() -> None:
    assert pauses(Pace(), 3600, 60) == []


def test_what_was_held_up_for_twenty_seconds_is_read_at_once() -> None:
    for seconds_before in range(60):
        pace = Pace()
        assert pauses(pace, seconds_before, 50) == []
        assert pauses(pace, 0.01, 100_000, since=120.0 + seconds_before) == []


def test_of_a_flood_no_more_is_read_than_may_be() -> None:
    waited = sum(pauses(Pace(), 1.0, 10_000))

    assert waited + 1.0 >= (10_000 - 2 * AT_ONCE) / A_SECOND


def test_what_was_read_too_much_in_one_piece_is_owed_however_long_nothing_came_before() -> None:
    pace = Pace()
    pace.spare -= 3 * AT_ONCE

    assert pace.pause(1e6) == AT_ONCE / A_SECOND


def test_somebody_looks_now_and_then_whether_such_a_peer_is_still_there() -> None:
    pace = Pace()
    pace.spare = -1e6

    assert pace.pause(100.0) == LONGEST_SECONDS


def test_it_is_news_once() -> None:
    pace = Pace()

    assert [pace.is_news(), pace.is_news()] == [True, False]
