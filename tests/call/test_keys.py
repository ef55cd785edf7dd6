"""Where a key goes: collections, the agent's map, the model."""

from dataclasses import replace

import pytest

from opusbridge.call.keys import MOST_DIGITS, SECRET_TAIL_SECONDS, KeyDesk, Pressed
from opusbridge.call.policy import TWILIO, CallPolicy, KeyAction
from opusbridge.effects import DeliverDigits, SessionConfig
from opusbridge.events import DigitsWanted
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K

OPERATOR = KeyAction("transfer", Private("+15550100300"))
POLICY = CallPolicy(TWILIO, SessionConfig("Be kind.", PCM_24K), dtmf_gap=1.0, keys={"0": OPERATOR})


def wanted(
    length: int | None = 4, terminator: str = "#", seconds: float = 5.0, secret: bool = False
) -> DigitsWanted:
    return DigitsWanted("digits-1", length, terminator, seconds, secret)


def press(desk: KeyDesk, keys: str, now: float = 1.0) -> Pressed:
    return desk.press(Private(keys), now)


def collecting(
    length: int | None = 4, terminator: str = "#", seconds: float = 5.0, secret: bool = False
) -> KeyDesk:
    """Since 0.0."""
    desk = KeyDesk(POLICY)
    desk.want(wanted(length, terminator, seconds, secret), 0.0)
    return desk


def delivered(pressed: Pressed) -> tuple[str, str] | None:
    delivery = pressed.delivery
    return None if delivery is None else (delivery.digits.value, delivery.how)


# --- Nobody collects --------------------------------------------------------------------


def test_keys_that_nobody_wants_are_one_input_for_the_model() -> None:
    desk = KeyDesk(POLICY)
    press(desk, "1", 1.0)
    press(desk, "2", 1.5)

    assert desk.deadline == 2.5
    assert desk.timed_out(2.5) == Pressed((Private("12"),))
    assert desk.timed_out(3.0) == Pressed()


def test_a_key_of_the_map_acts_at_once() -> None:
    assert press(KeyDesk(POLICY), "0") == Pressed(action=OPERATOR, digit="0")


@pytest.mark.parametrize("before", ["4", "40"])
def test_in_the_middle_of_a_number_a_key_of_the_map_is_a_digit(before: str) -> None:
    desk = KeyDesk(POLICY)
    press(desk, before, 1.0)

    assert press(desk, "0", 1.5) == Pressed()
    assert desk.timed_out(3.0).inputs == (Private(f"{before}0"),)


def test_a_number_that_comes_in_one_piece_is_a_number() -> None:
    desk = KeyDesk(POLICY)

    assert press(desk, "0123#") == Pressed((Private("0123#"),))


# --- Collecting -------------------------------------------------------------------------


def test_so_many_digits_are_enough() -> None:
    desk = collecting(length=3)

    assert press(desk, "1") == press(desk, "2") == Pressed(taken=True)
    assert delivered(press(desk, "3")) == ("123", "length")
    assert not desk.collecting


def test_the_terminator_ends_them_and_is_none_of_them() -> None:
    assert delivered(press(collecting(length=None), "1234#")) == ("1234", "terminator")


def test_a_key_of_the_map_is_a_digit_while_digits_are_collected() -> None:
    assert delivered(press(collecting(length=1), "0")) == ("0", "length")


def test_ten_digits_in_one_event_are_four_and_an_input_of_six() -> None:
    desk = collecting(length=4)
    found = press(desk, "1234567890", 1.0)

    assert delivered(found) == ("1234", "length")
    assert found.inputs == ()
    assert desk.timed_out(2.0).inputs == (Private("567890"),)


def test_a_key_of_the_map_behind_them_in_the_same_event_acts() -> None:
    found = press(collecting(length=4), "12340")

    assert delivered(found) == ("1234", "length")
    assert (found.action, found.digit, found.inputs) == (OPERATOR, "0", ())


def test_two_inputs_in_one_event_are_both_there() -> None:
    found = press(collecting(length=4), "1234#56#")

    assert delivered(found) == ("1234", "length")
    assert found.inputs == (Private("56#"),)


def test_the_terminator_out_of_habit_is_nobodys_input() -> None:
    desk = collecting(length=4)
    press(desk, "1234", 1.0)

    assert press(desk, "#", 1.5) == Pressed()
    assert press(desk, "#", 1.6).inputs == (Private("#"),)


def test_that_habit_has_its_time() -> None:
    desk = collecting(length=4)
    press(desk, "1234", 1.0)
    assert desk.timed_out(2.0) == Pressed()

    assert press(desk, "#", 2.1).inputs == (Private("#"),)


def test_that_habit_is_of_the_latest_digits_only() -> None:
    desk = collecting(length=4)
    press(desk, "1234", 1.0)
    desk.want(wanted(length=1, terminator="*"), 1.1)
    press(desk, "5", 1.2)

    assert press(desk, "*", 1.3) == Pressed()
    assert press(desk, "#", 1.4).inputs == (Private("#"),)


def test_keys_typed_just_before_are_the_first_of_them() -> None:
    desk = KeyDesk(POLICY)
    press(desk, "12", 1.0)

    assert desk.want(wanted(), 1.5) == Pressed(taken=True)
    assert delivered(press(desk, "34", 2.0)) == ("1234", "length")


def test_there_is_a_most() -> None:
    desk = collecting(length=None, terminator="")

    assert delivered(press(desk, "7" * MOST_DIGITS)) == ("7" * MOST_DIGITS, "length")


def test_one_collects_at_a_time() -> None:
    desk = collecting()
    found = desk.want(DigitsWanted("digits-2", 4, "#", 5.0, False), 1.0)

    assert found.delivery == DeliverDigits("digits-2", Private(""), "busy")
    assert delivered(press(desk, "1234")) == ("1234", "length")


def test_who_types_nothing_is_waited_for_from_the_end_of_what_he_hears() -> None:
    desk = collecting(seconds=5.0)
    desk.look(silent_at=3.0)

    assert desk.deadline == 8.0
    assert delivered(desk.timed_out(8.0)) == ("", "timeout")


def test_who_stops_typing_is_waited_for_from_the_last_key() -> None:
    desk = collecting(seconds=5.0)
    press(desk, "12", 2.0)
    desk.look(silent_at=4.0)

    assert desk.deadline == 7.0
    assert delivered(desk.timed_out(7.0)) == ("12", "timeout")


def test_when_nobody_waits_any_more_keys_are_inputs_again() -> None:
    desk = collecting()
    desk.drop("digits-2", 1.0)
    assert desk.collecting
    desk.drop("digits-1", 1.0)
    assert not desk.collecting
    desk.look(silent_at=3.0)

    assert press(desk, "12#").inputs == (Private("12#"),)


# --- Secrets ----------------------------------------------------------------------------


def test_what_follows_a_secret_is_swallowed_for_as_long_as_he_types() -> None:
    desk = collecting(length=4, secret=True)
    found = press(desk, "123456", 1.0)

    assert delivered(found) == ("1234", "length")
    assert found.secret
    assert found.inputs == ()
    assert desk.secret
    assert press(desk, "7#", 1.9) == Pressed()
    assert desk.timed_out(2.0) == Pressed()
    assert desk.secret
    assert desk.timed_out(1.9 + SECRET_TAIL_SECONDS) == Pressed()
    assert not desk.secret


def test_keys_that_are_told_one_by_one_keep_a_secret_all_the_same() -> None:
    desk = KeyDesk(replace(POLICY, dtmf_gap=0.0))
    desk.want(wanted(length=4, secret=True), 0.0)
    assert delivered(press(desk, "4711", 1.0)) == ("4711", "length")

    assert desk.timed_out(1.0 + SECRET_TAIL_SECONDS - 0.1) == Pressed()
    assert desk.secret
    assert press(desk, "#", 2.4) == Pressed()
    desk.timed_out(2.4 + SECRET_TAIL_SECONDS - 0.1)
    assert desk.secret
    desk.timed_out(2.4 + SECRET_TAIL_SECONDS)
    assert not desk.secret


def test_what_was_typed_before_a_secret_was_asked_for_is_dropped() -> None:
    desk = KeyDesk(POLICY)
    press(desk, "12", 1.0)

    assert desk.want(wanted(secret=True), 1.5) == Pressed()
    assert delivered(press(desk, "1234", 2.0)) == ("1234", "length")
    assert desk.timed_out(2.6).inputs == ()


@pytest.mark.parametrize("end", ["timeout", "drop"])
def test_a_secret_that_was_not_finished_is_one_all_the_same(end: str) -> None:
    desk = collecting(length=4, secret=True)
    press(desk, "12", 1.0)
    if end == "timeout":
        assert desk.timed_out(6.0).secret
    else:
        desk.drop("digits-1", 6.0)

    assert press(desk, "34", 6.5) == Pressed()
    assert desk.secret


def test_another_collection_is_what_follows_a_secret_too() -> None:
    desk = collecting(length=4, secret=True)
    press(desk, "1234", 1.0)
    desk.want(wanted(length=2), 1.2)

    assert delivered(press(desk, "56", 1.5)) == ("56", "length")


def test_what_is_typed_close_behind_a_secret_is_kept_as_one_though_another_waits_for_it() -> None:
    desk = collecting(length=4, secret=True)
    press(desk, "1234", 1.0)
    desk.want(wanted(length=3), 1.1)

    assert desk.secret  # the last key may sound still
    press(desk, "5", 2.4)
    desk.timed_out(1.0 + SECRET_TAIL_SECONDS)
    assert desk.secret
    desk.timed_out(2.4 + SECRET_TAIL_SECONDS)
    assert not desk.secret
    assert press(desk, "67", 4.5).secret
    assert press(desk, "#", 4.6) == Pressed()  # out of habit


def test_what_is_typed_later_than_that_is_no_secret() -> None:
    desk = collecting(length=4, secret=True)
    press(desk, "1234", 1.0)
    desk.want(wanted(length=2), 1.1)
    desk.timed_out(1.0 + SECRET_TAIL_SECONDS)

    assert not desk.secret
    assert not press(desk, "56", 3.0).secret


def test_what_comes_behind_the_digits_that_follow_a_secret_is_still_swallowed() -> None:
    desk = collecting(length=4, secret=True)
    press(desk, "1234", 1.0)
    desk.want(wanted(length=1), 1.1)
    assert delivered(press(desk, "5", 1.2)) == ("5", "length")

    assert press(desk, "#6", 1.3) == Pressed()
    assert desk.secret


@pytest.mark.parametrize("typed", [True, False])
def test_another_collection_that_nobody_finishes_is_as_secret_as_what_was_typed(
    typed: bool,
) -> None:
    desk = collecting(length=4, secret=True)
    press(desk, "1234", 1.0)
    desk.want(wanted(length=2), 1.1)
    if typed:
        press(desk, "5", 1.2)

    assert desk.timed_out(9.0).secret is typed
