"""The tools of a simulated call: what they give, and how long they take in virtual time."""

from collections.abc import Callable, Mapping
from json import JSONDecodeError, dumps, loads

from opusbridge import events
from opusbridge.privacy import Private

#: A tool takes the model's JSON text and gives the output text; ValueError means it failed,
#: and its text is what the model is told.
Tools = Mapping[str, Callable[[str], str]]


class Toolbox:
    """``hang_up`` and ``transfer_call`` are always there and ask the engine as the real ones
    do, unless ``tools`` has others of these names."""

    def __init__(
        self,
        tools: Tools,
        destinations: Mapping[str, str],
        durations: Mapping[str, float],
        happened: Callable[[events.Event], None],
    ) -> None:
        """``durations`` in seconds, of the tools whose time is not left to chance."""
        self.run: list[str] = []
        """Every tool that was, in order."""
        self._tools = dict(tools)
        self._destinations = dict(destinations)
        self._durations = dict(durations)
        self._happened = happened

    def seconds(self, name: str, usual: tuple[float, float]) -> tuple[float, float]:
        """The least and the most it takes."""
        known = self._durations.get(name)
        return usual if known is None else (known, known)

    def output_of(self, name: str, arguments: str) -> tuple[str, bool]:
        """What the model is told, and whether the tool failed."""
        self.run.append(name)
        if name in self._tools:
            try:
                return self._tools[name](arguments), False
            except ValueError as error:
                return dumps({"error": str(error) or "the tool failed"}), True
        if name == "hang_up":
            self._happened(events.HangUpRequested("agent-hung-up"))
            return dumps({"status": "hanging up"}), False
        if name == "transfer_call" and (target := self._target(arguments)) is not None:
            self._happened(events.TransferRequested(Private(target)))
            return dumps({"status": "transferring"}), False
        return dumps({"error": "no such tool or destination"}), True

    def _target(self, arguments: str) -> str | None:
        try:
            wanted = loads(arguments)
        except JSONDecodeError:
            return None
        return self._destinations.get(wanted.get("destination", ""))
