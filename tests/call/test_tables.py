"""Both tables are total, and the machines go where they say."""

from itertools import product

import pytest

from opusbridge.call.machines import RequestMachine, ResponseMachine
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.response import ResponseLifecycle
from opusbridge.call.tables import (
    REQUEST_TABLE,
    RESPONSE_TABLE,
    Request,
    RequestInput,
    Response,
    ResponseInput,
)


def test_every_input_is_decided_in_every_request_state() -> None:
    assert set(REQUEST_TABLE) == set(product(Request, RequestInput))


def test_every_input_is_decided_in_every_response_state() -> None:
    assert set(RESPONSE_TABLE) == set(product(Response, ResponseInput))


def test_cancelling_is_as_busy_as_active() -> None:
    for state in (Response.ACTIVE, Response.CANCELLING):
        ways_out = {i for i in ResponseInput if RESPONSE_TABLE[state, i][0] is Response.NONE}

        assert ways_out <= {ResponseInput.DONE, ResponseInput.LOST, ResponseInput.TIMED_OUT}
    assert RESPONSE_TABLE[Response.ACTIVE, ResponseInput.INTERRUPTED][0] is Response.CANCELLING


def test_a_request_is_never_answered_twice() -> None:
    for given in (RequestInput.ACCEPTED, RequestInput.REFUSED, RequestInput.LOST):
        for state in Request:
            assert REQUEST_TABLE[state, given][0] is Request.NONE


def a_request(state: Request) -> RequestMachine:
    machine = RequestMachine()
    if state is not Request.NONE:
        machine.sent("request-1", (), 0.0, 5.0)
    if state is Request.ABANDONED:
        machine.interrupted()
    return machine


def a_response(state: Response) -> ResponseMachine:
    machine = ResponseMachine()
    if state is not Response.NONE:
        machine.begin("resp_1")
    if state is Response.CANCELLING:
        machine.step(ResponseInput.INTERRUPTED)
    return machine


@pytest.mark.parametrize(("state", "given"), list(product(Request, RequestInput)))
def test_the_request_machine_goes_where_the_table_says(state: Request, given: RequestInput) -> None:
    machine = a_request(state)
    assert machine.state is state

    assert machine.step(given) is REQUEST_TABLE[state, given][1]
    assert machine.state is REQUEST_TABLE[state, given][0]


@pytest.mark.parametrize(("state", "given"), list(product(Response, ResponseInput)))
def test_the_response_machine_goes_where_the_table_says(
    state: Response, given: ResponseInput
) -> None:
    machine = a_response(state)
    assert machine.state is state

    assert machine.step(given) is RESPONSE_TABLE[state, given][1]
    assert machine.state is RESPONSE_TABLE[state, given][0]


# --- The same, through what the call itself calls --------------------------------------

STATES = list(product(Request, Response))


def lifecycle_in(request: Request, response: Response) -> ResponseLifecycle:
    """At 12.0. ``resp_1`` is one the model began by itself, or one that nobody wants any more."""
    found = ResponseLifecycle(ResponsePolicy(model_creates=True))
    found.session_ready(0.0)
    if request is not Request.NONE:
        found.turn_committed("item_1", 0.0)
        found.timed_out(5.0)  # the model owed it a response: asked for with request-1
        found.timed_out(10.0)  # unanswered, and asked for again with request-2
    if request is Request.ABANDONED:
        found.interrupted(11.0)
    if response is Response.ACTIVE or (request, response) == (Request.NONE, Response.CANCELLING):
        found.created("resp_1", None, 12.0)
    elif response is Response.CANCELLING:
        found.created("resp_1", "request-1", 12.0)
    if response is Response.CANCELLING and request is Request.NONE:
        found.interrupted(12.0)
    assert (found.request, found.response) == (request, response)
    return found


def happens(given: RequestInput | ResponseInput, to: ResponseLifecycle) -> None:
    match given:
        case RequestInput.ACCEPTED:
            to.created("resp_2", "request-2", 13.0)
        case RequestInput.REFUSED:
            to.refused("request-2", to.response_id, 13.0)
        case ResponseInput.CREATED:
            to.created("resp_2", None, 13.0)
        case ResponseInput.DONE:
            to.done("resp_1", 13.0)
        case RequestInput.INTERRUPTED | ResponseInput.INTERRUPTED:
            to.interrupted(13.0)
        case RequestInput.LOST | ResponseInput.LOST:
            to.lost(13.0)


REQUEST_STORIES = (
    RequestInput.ACCEPTED,
    RequestInput.REFUSED,
    RequestInput.INTERRUPTED,
    RequestInput.LOST,
)
RESPONSE_STORIES = (
    ResponseInput.CREATED,
    ResponseInput.DONE,
    ResponseInput.INTERRUPTED,
    ResponseInput.LOST,
)


@pytest.mark.parametrize("given", REQUEST_STORIES)
@pytest.mark.parametrize(("request_state", "response_state"), STATES)
def test_whatever_happens_the_request_of_a_call_follows_its_table(
    request_state: Request, response_state: Response, given: RequestInput
) -> None:
    some = lifecycle_in(request_state, response_state)
    happens(given, some)

    assert some.request is REQUEST_TABLE[request_state, given][0]


@pytest.mark.parametrize("given", RESPONSE_STORIES)
@pytest.mark.parametrize(("request_state", "response_state"), STATES)
def test_whatever_happens_the_response_of_a_call_follows_its_table(
    request_state: Request, response_state: Response, given: ResponseInput
) -> None:
    some = lifecycle_in(request_state, response_state)
    happens(given, some)

    assert some.response is RESPONSE_TABLE[response_state, given][0]


@pytest.mark.parametrize(("request_state", "response_state"), STATES)
def test_whatever_is_overdue_follows_both_tables(
    request_state: Request, response_state: Response
) -> None:
    some = lifecycle_in(request_state, response_state)
    some.close()  # or what was given up would be asked for again at once
    some.timed_out(60.0)

    assert some.request is REQUEST_TABLE[request_state, RequestInput.TIMED_OUT][0]
    assert some.response is RESPONSE_TABLE[response_state, ResponseInput.TIMED_OUT][0]
