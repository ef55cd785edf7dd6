"""The Realtime API's side of a socket, as a pure object, and a strict one.

It refuses what the real service refuses, in the same words, and does what the real one does in
the same order; where the real one may behave either way, :class:`Knobs` chooses. It draws chance
from the ``Random`` it is given, knows the time only from ``now``, and shares no code with the
bridge's own idea of this protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from random import Random
from typing import Any

import orjson

from opusbridge.sim.model.conversation import Conversation, shown
from opusbridge.sim.model.items import ITEM, RESPONSE
from opusbridge.sim.model.knobs import Knobs
from opusbridge.sim.model.mcp import McpHost
from opusbridge.sim.model.referee import Referee
from opusbridge.sim.model.replies import ReplyScript
from opusbridge.sim.model.responses import Responses
from opusbridge.sim.model.schedule import Schedule
from opusbridge.sim.model.session import Session
from opusbridge.sim.model.shapes import (
    Check,
    Refused,
    anything,
    integer,
    or_null,
    record,
    tagged,
    text,
)
from opusbridge.sim.model.turns import Turns, audio_of_item
from opusbridge.sim.model.wire import Happening, Wire
from opusbridge.sim.party import Closing

#: Base64 of 15 MiB, the most one append may carry.
_MOST_AUDIO = 20 * 2**20

_LONG = integer(0, 2**53)


def _event(required: Mapping[str, Check] | None = None, **optional: Check) -> Check:
    fields = {"type": anything, "event_id": or_null(text(512)), **(required or {}), **optional}
    return record(fields, required=tuple(required or ()))


CLIENT_EVENT = tagged(
    "type",
    {
        "session.update": _event({"session": anything}),
        "input_audio_buffer.append": _event({"audio": text(_MOST_AUDIO)}),
        "input_audio_buffer.commit": _event(),
        "input_audio_buffer.clear": _event(),
        "conversation.item.create": _event({"item": ITEM}, previous_item_id=or_null(text())),
        "conversation.item.retrieve": _event({"item_id": text()}),
        "conversation.item.truncate": _event(
            {"item_id": text(), "content_index": _LONG, "audio_end_ms": _LONG}
        ),
        "conversation.item.delete": _event({"item_id": text()}),
        "response.create": _event(response=or_null(RESPONSE)),
        "response.cancel": _event(response_id=or_null(text())),
    },
)


class SimulatedModel:
    """One session, from the upgrade to the end of its socket; a ``Party``."""

    def __init__(
        self,
        knobs: Knobs | None = None,
        random: Random | None = None,
        replies: ReplyScript | None = None,
        *,
        now: float = 0.0,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accepted_keys: Collection[str] | None = None,
        models: Collection[str] | None = None,
        unix_time: int = 1_800_000_000,
        grace_seconds: float = 0.5,
    ) -> None:
        """The socket was upgraded at ``now``, with this query and these headers.

        ``accepted_keys`` and ``models``: ``None`` takes any key, and any model with a likely name.
        ``unix_time``: what a calendar says at ``now``; only ``expires_at`` is made from it.
        ``grace_seconds``: the longest way of a text to the client and back (see ``referee``).
        """
        knobs, random = knobs or Knobs(), random or Random(0)
        self.replies = replies = replies or ReplyScript()
        query = {"model": "gpt-realtime"} if query is None else query
        headers = {"authorization": "Bearer sk-simulated"} if headers is None else headers
        self.knobs = knobs
        self.referee = Referee(grace_seconds)
        self._schedule = schedule = Schedule(now)
        self._wire = wire = Wire(knobs, random, schedule)
        self.conversation = conversation = Conversation(wire.new_id("conv"))
        self.session = session = Session(
            wire.new_id("sess"), query.get("model", ""), unix_time + int(knobs.session_limit)
        )
        self._mcp = McpHost(
            wire, schedule, session, conversation, replies, self.referee, self._goes_on_after_mcp
        )
        self._responses = Responses(
            wire, schedule, session, conversation, replies, knobs, random, self.referee, self._mcp,
            done=lambda response: self._turns.response_done(response),
        )  # fmt: skip
        self._turns = Turns(
            wire, schedule, session, conversation, self._responses, replies, knobs, self.referee
        )
        self._gone = False
        try:
            admit(query, headers, accepted_keys, models)
        except Refused as refused:
            self._refuse_session(refused)
        else:
            wire.say("session.created", session=session.settings)
            self._arrange_endings()

    # -- what it is to its owner

    @property
    def deadline(self) -> float | None:
        over = self._gone or self._wire.frozen or self.closing is not None
        return None if over else self._schedule.deadline

    @property
    def responses(self) -> int:
        """So many it has had in its default conversation."""
        return self._responses.accepted

    @property
    def closing(self) -> Closing | None:
        return self._wire.closing

    def receive(self, text: str, now: float) -> None:
        self.wake(now)
        try:
            event = orjson.loads(text)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self._wire.error("invalid_json", "Invalid event: failed to parse JSON value.")
            return
        self._wire.heard(event)
        if self.deaf:
            return
        event_id = event.get("event_id")
        try:
            CLIENT_EVENT(event, "")
            self._obey(event, event_id)
        except Refused as refused:
            echoed = event_id if refused.echo and isinstance(event_id, str) else None
            self._wire.error(refused.code, refused.message, refused.param, echoed)
            if refused.code == "invalid_model":
                self._wire.close(4000, "invalid_request_error.invalid_model")

    def receive_binary(self, now: float) -> None:
        """A binary frame came; it makes no difference what is in it."""
        self.wake(now)
        self._wire.error(
            "invalid_event", "Expected a text WebSocket message; binary frames are not supported."
        )

    def gone(self, now: float) -> None:
        self.wake(now)
        self._gone = True
        self._schedule.clear()
        self._wire.texts_to_send()  # nobody is there to take them

    def wake(self, now: float) -> None:
        if not self.deaf:
            self._schedule.run_until(now)

    def texts_to_send(self) -> list[str]:
        return self._wire.texts_to_send()

    # -- what it is to a test

    @property
    def deaf(self) -> bool:
        """Nothing that is said to it makes a difference any more."""
        return self._gone or self._wire.frozen or self.closing is not None

    @property
    def history(self) -> list[Happening]:
        """Every event in either direction, audio appended left out."""
        return self._wire.history

    @property
    def violations(self) -> list[str]:
        """What the client did that no client may; complete only by :meth:`verdict`."""
        return self.referee.violations

    @property
    def session_lost(self) -> bool:
        """By its own fault: it finds nothing left undone any more."""
        return self.referee.session_lost

    @property
    def conflicts(self) -> int:
        """How many creates were refused because a response was active."""
        return self.referee.conflicts

    def verdict(self, over_at: float = inf, patience_seconds: float = 25.0) -> list[str]:
        """What the client did wrong and what it left undone, for longer than the patience.

        ``over_at``: when it left, of which a slow wire may tell much later; nobody waits for it
        from then on. What it had sent before counts whenever it arrives.
        """
        return self.referee.verdict(min(self._schedule.now, over_at), patience_seconds)

    # -- what it does

    def _goes_on_after_mcp(self) -> None:
        if self.knobs.goes_on_after_mcp:
            self._responses.turn_to_answer()

    def _obey(self, event: dict[str, Any], event_id: str | None) -> None:
        now = self._schedule.now
        match event["type"]:
            case "session.update":
                self.session.update(event["session"], self.conversation.assistant_spoke)
                self._turns.session_changed()
                self._wire.say("session.updated", session=self.session.settings)
                self._mcp.session_changed()
            case "input_audio_buffer.append":
                self._turns.append(event["audio"])
            case "input_audio_buffer.commit":
                self._turns.commit()
            case "input_audio_buffer.clear":
                self._turns.clear()
            case "conversation.item.create":
                self._create_item(event["item"], event.get("previous_item_id"))
            case "conversation.item.retrieve":
                item = self.conversation.retrieve(event["item_id"])
                self._wire.say("conversation.item.retrieved", item=item)
            case "conversation.item.truncate":
                place = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
                sent_ms = self.conversation.sent_ms(event["item_id"])
                self.referee.truncate_received(event["item_id"], event["audio_end_ms"], sent_ms)
                self.conversation.truncate(**place)
                self._wire.say("conversation.item.truncated", **place)
            case "conversation.item.delete":
                self.conversation.delete(event["item_id"])
                self._wire.say("conversation.item.deleted", item_id=event["item_id"])
            case "response.create":
                asked = event.get("response") or {}
                self.referee.create_received(asked, now)
                self._responses.requested(asked, event_id)
            case _:
                self._responses.cancel(event.get("response_id"), event_id)

    def _create_item(self, given: dict[str, Any], after: str | None) -> None:
        item_id = given.get("id") or self._wire.new_id("item")
        item = {**given, "id": item_id, "object": "realtime.item", "status": "completed"}
        entry = audio_of_item(item, self.session.input_format)
        previous = self.conversation.insert(entry, after)
        for event in ("conversation.item.added", "conversation.item.done"):
            self._wire.say(event, previous_item_id=previous, item=shown(item))
        self.referee.item_received(item, self._schedule.now)
        if item["type"] == "mcp_approval_response":
            self._mcp.decided(item)

    def _refuse_session(self, refused: Refused) -> None:
        self._wire.error(refused.code, refused.message, refused.param)
        reason = "invalid_request_error" + (f".{refused.code}" if refused.code else "")
        self._wire.close(3000 if refused.code in (None, "invalid_api_key") else 4000, reason)

    def _arrange_endings(self) -> None:
        self._schedule.after(self.knobs.session_limit, self._expire)
        if self.knobs.freeze_at is not None:
            self._schedule.after(self.knobs.freeze_at, self._freeze)
        if self.knobs.drop_at is not None:
            self._schedule.after(self.knobs.drop_at, self._drop)

    def _expire(self) -> None:
        minutes = round(self.knobs.session_limit / 60)
        message = f"Your session hit the maximum duration of {minutes} minutes."
        self._wire.error("session_expired", message)
        self.referee.session_lost = True
        self._wire.close(1001, message)

    def _freeze(self) -> None:
        self.referee.session_lost = self._wire.frozen = True

    def _drop(self) -> None:
        self.referee.session_lost = True
        self._wire.close(None)


def admit(
    query: Mapping[str, str],
    headers: Mapping[str, str],
    accepted_keys: Collection[str] | None,
    models: Collection[str] | None,
) -> None:
    """:raises Refused: whoever connects like this gets one error and a close."""
    known = {name.lower(): value for name, value in headers.items()}
    key = known.get("api-key") or known.get("authorization", "").removeprefix("Bearer ")
    if not key:
        raise Refused(None, "Missing bearer or basic authentication in header")
    if accepted_keys is not None and key not in accepted_keys:
        raise Refused("invalid_api_key", "Incorrect API key provided.")
    if "realtime=v1" in known.get("openai-beta", ""):
        raise Refused(
            "beta_api_shape_disabled",
            "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        )
    model = query.get("model")
    if not model:
        raise Refused("missing_model", "You must provide a model parameter.", "model")
    likely = any(word in model for word in ("realtime", "audio"))
    if model not in models if models is not None else not likely:
        raise Refused(
            "invalid_model", f'Model "{model}" is not supported in realtime mode.', "model"
        )
