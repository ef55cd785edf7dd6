"""A call whose every text is written by hand, kept as a flight and played again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opusbridge import events
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine, TelephonyProtocol
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy, TelephonyTraits
from opusbridge.effects import SessionConfig
from opusbridge.events import Event
from opusbridge.protocols.audiocodes import AudioCodesProtocol
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.protocols.twilio import TwilioProtocol
from opusbridge.recording.reading import read_flight
from opusbridge.replay import Replay, replay
from opusbridge.replay.kept import KeptEngine
from opusbridge.sound import PCM_24K
from tests.call.wires import OPENINGS, dumped, ready

SESSION = SessionConfig("Be kind.", PCM_24K)
SIDES: dict[str, tuple[TelephonyTraits, Callable[[], TelephonyProtocol]]] = {
    "twilio": (TWILIO, TwilioProtocol),
    "audiocodes": (AUDIOCODES, AudioCodesProtocol),
}


class Kept:
    """It has begun, and the model's session is ready; a second passes with everything told."""

    def __init__(
        self,
        folder: Path,
        line: str = "twilio",
        *,
        whole: bool = False,
        session: SessionConfig = SESSION,
    ) -> None:
        traits, protocol = SIDES[line]
        self.path, self.now, self._line = folder / "flight.jsonl", 0.0, line
        call = Call(CallPolicy(traits, session), 0.0)
        engine = Engine(call, protocol(), RealtimeProtocol())
        self.engine = KeptEngine(engine, self.path, whole=whole)
        for text in OPENINGS[line]:
            self.engine.telephony_said(text, 0.0)
        self.dialled()

    def dialled(self) -> None:
        self.model(type="session.created", session={"id": "sess_1"})
        self.engine.model_said(ready(self._line), self._later())

    def model(self, **message: Any) -> None:
        self.engine.model_said(dumped(**message), self._later())

    def shell(self, event: Event) -> None:
        self.engine.happened(event, self._later())

    def until(self, seconds: float) -> None:
        """Nobody says anything."""
        while self.engine.deadline is not None and self.engine.deadline <= seconds:
            self.now = max(self.engine.deadline, self.now)
            self.engine.happened(events.DeadlineReached(), self.now)
        self.now = seconds

    def tool_called(self, name: str, arguments: str) -> None:
        """The model does, as ``call_1`` in ``resp_1``, with its arguments in two pieces."""
        item = {"id": "item_t", "type": "function_call", "name": name, "call_id": "call_1"}
        of = {"response_id": "resp_1", "item_id": "item_t", "output_index": 0, "call_id": "call_1"}
        done = {**item, "status": "completed", "arguments": arguments}
        pieces, half = "response.function_call_arguments", len(arguments) // 2
        self.model(type="response.created", response={"id": "resp_1", "output": []})
        self.model(type="response.output_item.added", **of, item={**item, "arguments": ""})
        self.model(type=f"{pieces}.delta", **of, delta=arguments[:half])
        self.model(type=f"{pieces}.delta", **of, delta=arguments[half:])
        self.model(type=f"{pieces}.done", **of, arguments=arguments)
        self.model(type="response.output_item.done", **of, item=done)
        response = {"id": "resp_1", "status": "completed", "output": [done]}
        self.model(type="response.done", response=response)

    def finish(self) -> str:
        """Hang up; what is in the file."""
        self.engine.happened(events.TelephonyLost(), self._later())
        self.engine.finish()
        return self.path.read_text()

    def replayed(self) -> Replay:
        return replay(self.path)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return read_flight(self.path)

    def rewrite(self, lines: list[dict[str, Any]]) -> None:
        self.path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def _later(self) -> float:
        self.now += 1.0
        return self.now
