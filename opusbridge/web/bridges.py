"""The bridge of each new call, with everything of the process that a call needs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from opusbridge.agent import Agent
from opusbridge.bridge.audiocodes import TelephonyRealtimeBridge
from opusbridge.bridge.audiocodes_dial import AudioCodesDialOut
from opusbridge.bridge.base import RecorderFactory
from opusbridge.bridge.metrics import Metrics
from opusbridge.bridge.outbox import Socket
from opusbridge.bridge.twilio import TwilioRealtimeBridge
from opusbridge.bridge.twilio_rest import TwilioRest
from opusbridge.call.engine import Observer
from opusbridge.config import Settings, is_loopback
from opusbridge.recording.files import call_folder
from opusbridge.recording.journal import Journal
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.tools.outcome import CallOutcome
from opusbridge.tools.workers import Disk
from opusbridge.web.access import MACHINE, STATUS, VOICE, Access
from opusbridge.web.calls import ConnectModel
from opusbridge.web.names import look_names_up_apart
from opusbridge.web.order_book import Order
from opusbridge.web.outbound import Dial
from opusbridge.webhooks.courier import Courier
from opusbridge.webhooks.letters import call_ended

#: Where the files of a call go, by its telephony side, its id and its beginning.
FolderOf = Callable[[str, str, datetime], Path]
#: Observers of one call, by its telephony side.
ObserversOf = Callable[[str], Sequence[Observer]]


class Bridges:
    """Builds them, and keeps what they share. :meth:`close` it when all calls are over."""

    def __init__(
        self,
        settings: Settings,
        agent: Agent,
        metrics: Metrics,
        folder_of: FolderOf | None = None,
        observers_of: ObserversOf | None = None,
        after_url: str | None = None,
    ) -> None:
        """By default files go where the settings say, and nobody observes. ``after_url``: where
        Twilio can ask how to go on after a transfer."""
        self._settings = settings
        self._agent = agent
        self._metrics = metrics
        self._folder_of = folder_of or self._usual_folder
        self._observers_of = observers_of or (lambda side: ())
        self._writer, self._journal = Writer(), Journal()
        self.rest = _rest(settings)
        self._dial_out = _dial_out(settings)
        self._courier = _courier(settings)
        self._on_outcome = None if self._courier is None else self._send
        self._after_url = after_url

    def audiocodes(
        self, socket: Socket, connect: ConnectModel, call_id: str | None = None
    ) -> TelephonyRealtimeBridge:
        return TelephonyRealtimeBridge(
            socket,
            connect,
            self._settings,
            self._agent,
            metrics=self._metrics.call_metrics("audiocodes"),
            recorder=self._recorder_of("audiocodes"),
            observers=self._observers_of("audiocodes"),
            on_outcome=self._on_outcome,
            call_id=call_id,
        )

    def twilio(
        self, socket: Socket, connect: ConnectModel, call_id: str | None = None
    ) -> TwilioRealtimeBridge:
        return TwilioRealtimeBridge(
            socket,
            connect,
            self._settings,
            self._agent,
            metrics=self._metrics.call_metrics("twilio"),
            recorder=self._recorder_of("twilio"),
            observers=self._observers_of("twilio"),
            on_outcome=self._on_outcome,
            call_id=call_id,
            rest=self.rest,
            after_url=self._after_url,
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Calls can be made inside; in the end the last are told of."""
        look_names_up_apart()  # also where another server than ours has the loop
        return nullcontext() if self._courier is None else self._courier.at_work()

    def dials(self, access: Access) -> dict[str, Dial]:
        """The providers through which calls can be placed."""
        found: dict[str, Dial] = {}
        # Twilio asks for what to do under an address of ours, and ours of loopback is not its.
        here = is_loopback(urlsplit(self._settings.twilio_api_url).hostname or "")
        asks_us = access.webhook_url(VOICE, "") is not None
        asks_us = asks_us and (here or not access.only_pretend_twilio)
        if self.rest is not None and asks_us:
            found["twilio"] = partial(_dial_twilio, self.rest, access)
        if self._dial_out is not None:
            found["audiocodes"] = partial(_dial_audiocodes, self._dial_out)
        return found

    async def close(self) -> None:
        if self._dial_out is not None:
            await self._dial_out.close()
        if self.rest is not None:
            await self.rest.close()
        # What the last calls left to write; asyncio's own threads may all be an agent's by now.
        await Disk("opusbridge-last-files", 1).do(self._writer.close)

    async def _send(self, outcome: CallOutcome) -> None:
        assert self._courier is not None
        letter = call_ended(outcome, self._settings.data_dir, transcript=self._settings.record)
        await self._courier.leave(outcome.call_id, letter)

    def _recorder_of(self, side: str) -> RecorderFactory:
        def make(call_id: str, started: datetime, now: float) -> CallRecorder:
            folder = self._folder_of(side, call_id, started)
            return CallRecorder(
                folder,
                None,
                now,
                record=self._settings.record,
                flight=self._settings.flight,
                writer=self._writer,
                journal=self._journal,
                call_id=call_id,
            )

        return make

    def _usual_folder(self, side: str, call_id: str, started: datetime) -> Path:
        return call_folder(self._settings.data_dir, call_id, started)


async def _dial_twilio(rest: TwilioRest, access: Access, order: Order) -> str | None:
    urls = [access.webhook_url(path, order.call_id) for path in (VOICE, STATUS, MACHINE)]
    voice, status, machine = urls
    assert voice is not None
    assert status is not None
    asked = machine if order.machine_detection else None
    return await rest.place_call(order.to, order.from_, voice, status, machine=asked)


async def _dial_audiocodes(dial_out: AudioCodesDialOut, order: Order) -> str | None:
    detect = order.machine_detection
    return await dial_out.dial(order.call_id, order.to, order.from_, machine_detection=detect)


def _dial_out(settings: Settings) -> AudioCodesDialOut | None:
    url, token = settings.audiocodes_dial_url, settings.audiocodes_dial_token
    if url is None or token is None:
        return None
    return AudioCodesDialOut(url, token, settings.audiocodes_dial_bot)


def _courier(settings: Settings) -> Courier | None:
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    folder = settings.data_dir / "webhooks"
    return Courier(settings.webhook_url, settings.webhook_secret, folder)


def _rest(settings: Settings) -> TwilioRest | None:
    if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
        return None
    return TwilioRest(
        settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_api_url
    )
