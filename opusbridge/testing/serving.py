"""The simulated model on a real socket, in a thread with a loop of its own."""

import asyncio
from collections.abc import Callable
from random import Random
from threading import Thread
from types import TracebackType
from typing import TypeVar

from opusbridge.sim.model import SimulatedModel
from opusbridge.sim.model_server import ModelServer, Upgrade
from opusbridge.sim.script import CallScript

T = TypeVar("T")

#: Seconds for the server to come up, or to go down with its connections.
PATIENCE_SECONDS = 10.0


class RunningModel:
    """Enter it to run it; then :attr:`url` is where any client of the Realtime API connects.

    It can be asked what happened when it is left, too.
    """

    def __init__(self, script: CallScript | None = None) -> None:
        self._script = script
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="simulated-model", daemon=True)
        self._server = ModelServer(self._session)
        self._url: str | None = None

    @property
    def url(self) -> str:
        """For ``OPUSBRIDGE_REALTIME_URL``; any key will do, and none."""
        assert self._url is not None, "it has not been entered yet"
        return self._url

    @property
    def sessions(self) -> int:
        """How many clients have come so far."""
        return self._ask(lambda: len(self._server.live) + len(self._server.finished))

    @property
    def violations(self) -> list[str]:
        """What clients did that no client may, those still connected included."""
        return self._ask(
            lambda: [
                what
                for session in [*self._server.finished, *self._server.live]
                for what in session.violations
            ]
        )

    def __enter__(self) -> "RunningModel":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.__aenter__(), self._loop).result(
            PATIENCE_SECONDS
        )
        self._url = self._server.url
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        down = self._server.__aexit__(kind, error, traceback)
        try:
            asyncio.run_coroutine_threadsafe(down, self._loop).result(PATIENCE_SECONDS)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_SECONDS)
            self._loop.close()

    def _session(self, upgrade: Upgrade) -> SimulatedModel:
        script = self._script
        return SimulatedModel(
            script.model.behaviour() if script else None,
            Random(script.seed if script else 1),
            script.reply_script() if script else None,
            now=upgrade.now,
            query=upgrade.query,
            headers={"authorization": "Bearer any", **upgrade.headers},
            unix_time=upgrade.unix_time,
        )

    def _ask(self, what: Callable[[], T]) -> T:
        """In the loop's own thread, while that runs: its lists change under everybody else."""
        if self._loop.is_closed():
            return what()

        async def answer() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(PATIENCE_SECONDS)
