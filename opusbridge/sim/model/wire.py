"""What leaves this server: every event goes through here, gets its id and is remembered."""

from random import Random
from typing import Any, NamedTuple

import orjson

from opusbridge.sim.model.knobs import Knobs
from opusbridge.sim.model.schedule import Schedule
from opusbridge.sim.party import Closing

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_NAMED = ("item_id", "response_id", "call_id", "previous_item_id")


class Happening(NamedTuple):
    """One event of the session, in either direction; audio appended is left out."""

    at: float
    by: str
    """``client`` or ``server``."""
    type: str
    ids: str
    """The ids it names, apart by spaces, and an error's code."""


class Wire:
    def __init__(self, knobs: Knobs, random: Random, schedule: Schedule) -> None:
        self.frozen = False
        self.closing: Closing | None = None
        self.history: list[Happening] = []
        self._knobs = knobs
        self._schedule = schedule
        self._random = random
        # Chance beside the script: what is injected must not change what is said.
        self._padding = Random(random.getrandbits(64))
        self._texts: list[str] = []

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{''.join(self._random.choices(_BASE62, k=21))}"

    def say(self, type: str, **fields: Any) -> None:
        """Put an event on the wire, unless this session has fallen silent."""
        if self.frozen or self.closing is not None:
            return
        if self._knobs.obfuscation and type.endswith(".delta"):
            fields["obfuscation"] = "".join(self._padding.choices(_BASE62, k=8))
        if self._knobs.unknown_fields:
            fields["x_never_heard_of"] = {"x": self._padding.randrange(100)}
        self._put({"type": type, "event_id": self.new_id("event"), **fields})
        if self._knobs.unknown_events and self._padding.random() < 0.1:
            self._put({"type": "x.never.heard_of", "event_id": f"event_{len(self.history)}"})

    def error(
        self,
        code: str | None,
        message: str,
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """``event_id``: the client event this answers, if it gave one."""
        echoed = event_id if self._knobs.error_event_id == "echo" else None
        kind = "server_error" if code == "server_error" else "invalid_request_error"
        detail = {"type": kind, "code": code, "message": message, "param": param}
        self.say("error", error={**detail, "event_id": echoed})

    def close(self, code: int | None, reason: str = "") -> None:
        if self.closing is None:
            self.closing = Closing(code, reason)

    def heard(self, event: dict[str, Any]) -> None:
        """Remember what the client said."""
        if event.get("type") != "input_audio_buffer.append":
            self._remember("client", event)

    def texts_to_send(self) -> list[str]:
        texts, self._texts = self._texts, []
        return texts

    def _put(self, event: dict[str, Any]) -> None:
        self._remember("server", event)
        self._texts.append(orjson.dumps(event).decode())

    def _remember(self, by: str, event: dict[str, Any]) -> None:
        named: list[object] = [event.get(name) for name in _NAMED]
        for part in ("response", "item", "error"):
            inner = event.get(part)
            if isinstance(inner, dict):
                named += [inner.get("id"), inner.get("call_id"), inner.get("code")]
        ids = " ".join(name for name in named if isinstance(name, str))
        self.history.append(Happening(self._schedule.now, by, str(event.get("type", "")), ids))
