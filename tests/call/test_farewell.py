from opusbridge.call.farewell import GRACE_SECONDS, REPLY_SECONDS, TAIL_SECONDS, Farewell
from opusbridge.effects import HangUp, TransferCall
from opusbridge.errors import ending
from opusbridge.privacy import Private


def farewell(by_agent: bool = False) -> Farewell:
    return Farewell(HangUp("agent-hung-up"), 10.0, by_agent)


def test_nobody_hangs_up_while_the_last_word_is_heard() -> None:
    assert not farewell().due(12.0, at_rest=True, audible=True, silent_at=13.0)


def test_the_last_word_has_a_way_to_go_when_it_was_played() -> None:
    ending = farewell()

    assert not ending.due(13.0, at_rest=True, audible=False, silent_at=13.0)
    assert ending.due(13.0 + TAIL_SECONDS, at_rest=True, audible=False, silent_at=13.0)


def test_a_mark_that_never_comes_back_does_not_keep_the_line_open() -> None:
    ending = farewell()

    assert not ending.due(13.0 + TAIL_SECONDS, at_rest=True, audible=True, silent_at=13.0)
    assert ending.due(13.0 + GRACE_SECONDS, at_rest=True, audible=True, silent_at=13.0)


def test_a_goodbye_the_model_still_owes_is_waited_for_but_not_for_ever() -> None:
    ending = farewell(by_agent=True)

    assert not ending.due(11.0, at_rest=False, audible=False, silent_at=9.0)
    assert ending.due(11.0, at_rest=True, audible=False, silent_at=9.0)
    assert ending.due(10.0 + REPLY_SECONDS, at_rest=False, audible=False, silent_at=9.0)


def test_who_awaits_no_goodbye_leaves_without_one() -> None:
    assert farewell().due(11.0, at_rest=False, audible=False, silent_at=9.0)


def test_a_goodbye_that_is_not_said_in_time_is_missed_before_a_hang_up_and_no_other_end() -> None:
    hanging_up = farewell(by_agent=True)
    transfer = TransferCall(Private("+15550100300"), "billing")
    handing_over = Farewell(transfer, 10.0, by_agent=True)

    assert hanging_up.unsaid(took_leave=False) == ending("agent-hung-up")
    assert hanging_up.unsaid(took_leave=True) is None
    assert farewell().unsaid(took_leave=False) is None
    assert handing_over.unsaid(took_leave=False) is None
