"""Every interleaving of a short call, on the real lifecycle; and that the explorer would notice."""

import pytest

from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.response import ResponseLifecycle
from opusbridge.effects import CreateResponse, Effect
from opusbridge.sim.explorer import Budget, Exploration, Explorer, Limits
from opusbridge.sim.explorer.clone import Likeness, clone

EVERYTHING = Limits()
BRIDGE = ResponsePolicy(model_creates=False, interrupts=True)
BRIDGE_UNINTERRUPTED = ResponsePolicy(model_creates=False, interrupts=False)
MODEL = ResponsePolicy(model_creates=True, interrupts=True)
MODEL_UNINTERRUPTED = ResponsePolicy(model_creates=True, interrupts=False)


def well(found: Exploration) -> None:
    assert found.violation is None, "\n".join([found.violation, *found.story])


# --- The proof --------------------------------------------------------------------------

#: Budgets are turns, keys, tools, faults; then the least number of states there must be, so
#: that nothing falls out of the exploration unnoticed. Over 60,000 together.
WHOLE = [
    (BRIDGE, Budget(1, 1, 0, 1), 20_000),
    (BRIDGE_UNINTERRUPTED, Budget(1, 1, 0, 1), 15_000),
    (MODEL, Budget(1, 0, 0, 1), 7_000),
    (MODEL, Budget(2, 0, 0, 0), 6_000),
    (MODEL_UNINTERRUPTED, Budget(1, 0, 0, 1), 5_000),
    (MODEL_UNINTERRUPTED, Budget(2, 0, 0, 0), 3_500),
]


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "budget", "least"), WHOLE)
def test_in_no_interleaving_of_a_short_call_is_anything_asked_twice_or_forgotten(
    policy: ResponsePolicy, budget: Budget, least: int
) -> None:
    found = Explorer(policy, budget, EVERYTHING).explore()

    well(found)
    assert found.exhausted
    assert found.states >= least


@pytest.mark.slow
@pytest.mark.parametrize("policy", [BRIDGE, BRIDGE_UNINTERRUPTED, MODEL, MODEL_UNINTERRUPTED])
def test_nor_where_everything_happens_and_more_goes_wrong_as_far_as_was_looked(
    policy: ResponsePolicy,
) -> None:
    found = Explorer(policy, Budget(2, 1, 1, 3), Limits(states=3000)).explore()

    well(found)
    assert found.rested > 1000


# --- Would it notice? -------------------------------------------------------------------


class Hasty(ResponseLifecycle):
    """Asks again when told to wait."""

    def user_input(self, cause: Cause, now: float) -> list[Effect]:
        asked_already = self.request_id is not None
        found = super().user_input(cause, now)
        return [*found, CreateResponse("request-0")] if asked_already else found


class Deaf(ResponseLifecycle):
    """Does not hear that it was refused."""

    def refused(
        self, request_id: str | None, active_response_id: str | None, now: float
    ) -> list[Effect]:
        return []

    def request_failed(
        self, request_id: str | None, permanent: bool, retry_after: float | None, now: float
    ) -> list[Effect]:
        return []

    def timed_out(self, now: float, settle: bool = True) -> list[Effect]:
        self.close()
        return super().timed_out(now, settle)


class Rude(ResponseLifecycle):
    """Speaks on while the caller speaks."""

    def interrupted(self, now: float) -> list[Effect]:
        return []


def test_a_lifecycle_that_asks_twice_is_found_out_by_the_shortest_story() -> None:
    found = Explorer(BRIDGE, Budget(0, 1, 0, 0), EVERYTHING, Hasty).explore()

    assert found.violation == "a response was asked for while a request was unanswered"
    assert found.story[0] == "  1.   0.00 s  keys were pressed"


def test_a_lifecycle_that_forgets_is_found_out_at_rest() -> None:
    found = Explorer(BRIDGE, Budget(0, 0, 0, 1), EVERYTHING, Deaf).explore()

    assert found.violation == "nothing is under way, and yet it is not at rest"
    assert found.story[-1].strip().startswith("note watchdog request")


def test_a_lifecycle_that_lets_cut_speech_be_heard_is_found_out() -> None:
    found = Explorer(BRIDGE, Budget(1, 0, 0, 0), EVERYTHING, Rude).explore()

    assert found.violation is not None
    assert found.violation.endswith("was cut, and may be heard all the same")


class Stubborn(ResponseLifecycle):
    """Never tires of asking."""

    @property
    def given_up(self) -> str | None:
        return None

    def timed_out(self, now: float, settle: bool = True) -> list[Effect]:
        self.door.retries.start_over()
        return super().timed_out(now, settle)


def test_a_lifecycle_that_goes_in_circles_is_found_out() -> None:
    found = Explorer(BRIDGE, Budget(0, 0, 0, 1), EVERYTHING, Stubborn).explore()

    assert found.violation == "left alone, it goes in circles and never comes to rest"


# --- Limits -----------------------------------------------------------------------------


def test_it_stops_at_its_depth_and_lets_what_it_found_come_to_rest() -> None:
    found = Explorer(BRIDGE, Budget(), Limits(depth=3)).explore()

    well(found)
    assert (found.depth, found.exhausted) == (3, False)
    assert found.rested > 100


def test_it_stops_at_its_number_of_states() -> None:
    found = Explorer(BRIDGE, Budget(), Limits(states=50)).explore()

    assert 50 <= found.states < 100


def test_it_says_how_far_it_has_come() -> None:
    depths: list[int] = []
    Explorer(BRIDGE, Budget(0, 0, 0, 0), EVERYTHING).explore(
        lambda so_far: depths.append(so_far.depth)
    )

    assert depths == list(range(1, len(depths) + 1))


# --- Copies and likenesses --------------------------------------------------------------


def asked(now: float = 5.0, *, before: int = 0) -> ResponseLifecycle:
    """A lifecycle that has had ``before`` requests answered, and one more is out."""
    life = ResponseLifecycle(BRIDGE)
    life.session_ready(now)
    for n in range(before):
        life.user_input(Cause(Why.TEXT, f"text-{n}"), now)
        life.created(f"resp-{n}", f"request-{n + 1}", now)
        life.done(f"resp-{n}", now)
    life.user_input(Cause(Why.TEXT, f"text-{before}"), now)
    return life


def key(life: ResponseLifecycle, now: float = 5.0) -> int:
    like = Likeness(now)
    like.machine(life)
    return like.key()


def test_a_copy_goes_its_own_way() -> None:
    life = asked()
    copy = clone(life)
    assert key(copy) == key(life)

    copy.created("resp-1", copy.request_id, 5.0)

    assert copy.response_active
    assert not life.response_active
    assert key(copy) != key(life)


def test_what_is_over_makes_no_difference() -> None:
    assert key(asked()) == key(asked(before=3))


def test_time_makes_a_difference_only_by_how_long_it_is_to_what_is_due() -> None:
    life = asked(now=5.0)

    assert key(life, 5.0) == key(asked(now=95.0), 95.0)
    assert key(life, 5.0) != key(life, 6.0)


def test_an_id_that_is_over_matters_as_long_as_somebody_may_mention_it() -> None:
    once, never = Likeness(5.0), Likeness(5.0)
    once.name("resp-0")
    never.name("resp-99")
    for like in (once, never):
        like.machine(asked(before=1))

    assert once.key() != never.key()
