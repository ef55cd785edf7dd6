"""What the machines remember beside their states: identities, claims and due times."""

import pytest

from opusbridge.call.machines import (
    REMEMBERED,
    CallerTurn,
    RequestMachine,
    ResponseMachine,
    is_due,
)
from opusbridge.call.pending import Cause, Why
from opusbridge.call.tables import Action, Request, RequestInput, Response, ResponseInput

TURN = Cause(Why.TURN, "item_1")


def sent() -> RequestMachine:
    machine = RequestMachine()
    machine.sent("request-1", (TURN,), 1.0, 6.0)
    return machine


def active() -> ResponseMachine:
    machine = ResponseMachine()
    machine.begin("resp_1")
    machine.due, machine.covering = 20.0, (TURN,)
    machine.announced = machine.stuck = machine.sound_complete = True
    return machine


# --- The request ------------------------------------------------------------------------


def test_a_request_knows_what_it_was_sent_for_and_when() -> None:
    machine = sent()

    assert (machine.id, machine.asked_for) == ("request-1", (TURN,))
    assert (machine.asked_at, machine.due) == (1.0, 6.0)


def test_a_second_request_is_reported_and_the_first_stands() -> None:
    machine = sent()

    assert machine.sent("request-2", (), 2.0, 7.0) is Action.REPORT
    assert (machine.id, machine.due) == ("request-1", 6.0)


@pytest.mark.parametrize("given", [RequestInput.ACCEPTED, RequestInput.REFUSED, RequestInput.LOST])
def test_a_request_that_is_answered_is_waited_for_no_more(given: RequestInput) -> None:
    machine = sent()
    machine.step(given)

    assert (machine.id, machine.due) == (None, None)
    assert not machine.is_orphan("request-1")


def test_a_request_given_up_unanswered_is_an_orphan_and_said_to_be_once() -> None:
    machine = sent()
    machine.step(RequestInput.TIMED_OUT)

    assert not machine.is_orphan(None)
    assert not machine.is_orphan("request-9")
    assert machine.is_orphan("request-1")
    assert not machine.is_orphan("request-1")


def test_a_refusal_that_names_nobody_may_have_been_for_somebody_else() -> None:
    machine = sent()
    machine.refused(by_name=False)

    assert (machine.state, machine.disputed) == (Request.NONE, "request-1")

    machine.sent("request-2", (), 2.0, 7.0)

    assert machine.disputed is None


def test_a_refusal_by_name_is_beyond_dispute() -> None:
    machine = sent()
    machine.refused(by_name=True)

    assert (machine.state, machine.disputed) == (Request.NONE, None)


def test_a_refusal_of_nothing_changes_nothing() -> None:
    machine = RequestMachine()
    machine.refused(by_name=False)

    assert (machine.state, machine.disputed) == (Request.NONE, None)


def test_nobody_wants_the_answer_to_a_disputed_request_once_the_caller_cut_in() -> None:
    machine = sent()
    machine.refused(by_name=False)
    machine.interrupted()

    assert machine.disputed is None
    assert machine.is_orphan("request-1")


def test_nor_to_one_that_was_abandoned_before_it_was_disputed() -> None:
    machine = sent()
    machine.interrupted()
    machine.refused(by_name=False)

    assert machine.is_orphan("request-1")


def test_requests_are_answered_in_order() -> None:
    machine = RequestMachine()
    assert not machine.is_next_in_line()

    machine.sent("request-1", (), 1.0, 6.0)
    assert machine.is_next_in_line()

    machine.step(RequestInput.TIMED_OUT)
    machine.sent("request-2", (), 6.0, 11.0)
    assert not machine.is_next_in_line()
    assert machine.is_next_in_line()


def test_nobody_wants_any_of_them_if_the_last_was_abandoned() -> None:
    machine = sent()
    machine.step(RequestInput.TIMED_OUT)
    machine.sent("request-2", (), 6.0, 11.0)
    machine.interrupted()

    assert machine.is_next_in_line()


def test_who_is_accepted_by_name_leaves_no_chance_to_those_before_him() -> None:
    machine = sent()
    machine.step(RequestInput.TIMED_OUT)
    machine.sent("request-2", (), 6.0, 11.0)
    assert machine.accepted(by_name=True) is None

    assert not machine.is_orphan("request-1")


def test_who_is_accepted_without_a_name_may_be_another() -> None:
    machine = sent()
    machine.step(RequestInput.TIMED_OUT)
    machine.sent("request-2", (), 6.0, 11.0)
    assert machine.accepted(by_name=False) == "request-2"

    assert machine.is_orphan("request-1")


# --- The response -----------------------------------------------------------------------


def test_a_response_that_is_over_leaves_only_its_id() -> None:
    machine = active()
    machine.step(ResponseInput.DONE)

    assert machine.forget(machine.over) == (TURN,)
    assert machine == ResponseMachine(over=machine.over)
    assert machine.is_past("resp_1")


def test_a_response_that_takes_anothers_place_takes_over_what_that_was_answering() -> None:
    machine = active()

    assert machine.begin("resp_2") is Action.REPLACE
    assert (machine.id, machine.covering) == ("resp_2", (TURN,))
    assert (machine.announced, machine.stuck, machine.sound_complete) == (False, False, False)
    assert machine.is_past("resp_1")


def test_one_declared_over_may_turn_out_to_hold_the_slot_still() -> None:
    machine = active()
    machine.step(ResponseInput.TIMED_OUT)
    machine.step(ResponseInput.TIMED_OUT)
    machine.forget(machine.freed)
    assert machine.is_past("resp_1")

    machine.begin("resp_1")

    assert (machine.state, machine.id) == (Response.ACTIVE, "resp_1")
    assert not machine.is_past("resp_1")


def test_one_declared_over_is_really_over_once_its_done_has_come() -> None:
    machine = active()
    machine.forget(machine.freed)
    machine.really_done("resp_1")
    machine.really_done("resp_1")

    assert (list(machine.freed), list(machine.over)) == ([], ["resp_1"])


def test_what_is_remembered_is_bounded() -> None:
    machine = ResponseMachine()
    for number in range(2 * REMEMBERED):
        machine.really_done(f"resp_{number}")

    assert len(machine.over) == REMEMBERED
    assert machine.is_past(f"resp_{2 * REMEMBERED - 1}")


# --- The caller -------------------------------------------------------------------------


def test_a_turn_is_under_way_until_the_model_has_taken_it_up() -> None:
    turn = CallerTurn()
    assert not turn.under_way

    turn.began()
    assert (turn.under_way, turn.due) == (True, None)

    turn.stopped(6.0)
    assert (turn.under_way, turn.due) == (True, 6.0)

    turn.committed(7.0)
    assert (turn.under_way, turn.due) == (True, 7.0)

    turn.committed(None)
    assert (turn.under_way, turn.due) == (False, None)


def test_who_speaks_on_owes_a_new_commit() -> None:
    turn = CallerTurn()
    turn.committed(7.0)
    turn.stopped(6.0)
    assert turn.due == 6.0

    turn.began()
    assert turn.due is None


def test_speech_that_was_no_turn_gives_back_what_it_cut_short() -> None:
    turn = CallerTurn(superseded=(TURN,))
    turn.stopped(6.0)

    assert turn.waited_in_vain() == (TURN,)
    assert turn == CallerTurn()


def test_a_turn_takes_the_place_of_what_it_cut_short() -> None:
    turn = CallerTurn(superseded=(TURN,))
    turn.committed(None)

    assert turn.waited_in_vain() == ()


def test_what_has_no_due_time_is_never_due() -> None:
    assert not is_due(None, 1.0)
    assert not is_due(1.1, 1.0)
    assert is_due(1.0, 1.0)
