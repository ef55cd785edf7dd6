"""Clients whose model has a lot to say, for the tests of who says it when."""

from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel
from tests.sim.model.client import Client

LONG = "This answer takes a while to say, so that one may break in upon it. " * 2

CONFLICT = "conversation_already_has_active_response"
NOT_ACTIVE = "response_cancel_not_active"


def client(*faults: str, text: str = LONG) -> Client:
    script = ReplyScript([Reply(text)] * 8)
    return Client(SimulatedModel(Knobs.parse(*faults), replies=script))


def speaking(*faults: str) -> tuple[Client, str]:
    """A client whose own response is being spoken, and that response's id."""
    one = client(*faults)
    one.say("response.create", event_id="rc-1")
    one.run(1)
    return one, one.one("response.created")["response"]["id"]


def statuses(one: Client) -> list[tuple[str, str | None]]:
    found = [event["response"] for event in one.of("response.done")]
    return [(r["status"], (r["status_details"] or {}).get("reason")) for r in found]


def errors(one: Client) -> list[dict[str, str | None]]:
    return [event["error"] for event in one.of("error")]
