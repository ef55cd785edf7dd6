"""Twilio Media Streams carried to the Realtime API."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, repeat

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.bridge.base import RealtimeBridge, RecorderFactory
from opusbridge.bridge.conduct import refuse_undiallable
from opusbridge.bridge.hooks import OnOutcome
from opusbridge.bridge.metrics import CallMetrics
from opusbridge.bridge.model import ConnectModel
from opusbridge.bridge.outbox import Socket
from opusbridge.bridge.twilio_rest import TwilioRest, TwilioRestError
from opusbridge.call.call import Call
from opusbridge.call.engine import Observer, TelephonyProtocol
from opusbridge.call.policy import TWILIO
from opusbridge.config import Settings
from opusbridge.errors import TransferRefused, WishRefused
from opusbridge.logs import Log, of_call
from opusbridge.manners import read_rule
from opusbridge.privacy import Private
from opusbridge.protocols.twilio import twiml
from opusbridge.protocols.twilio.dial import dial_result
from opusbridge.protocols.twilio.protocol import TwilioProtocol

log = Log("opusbridge.bridge")

#: Seconds between looks whether the call of one who is away is over, as nobody may be able to tell
#: us; the last for good.
LOOK_SECONDS = (15.0, 15.0, 30.0, 120.0)
#: The same of one who is away only to have keys pressed: he is back soon, or taken to be lost.
PRESSING_LOOK_SECONDS = 5.0
#: A call is over: so many seconds later what became of its transfer has been told, or never is.
TOLD_SECONDS = 3.0
#: Twilio was told to end a call, and its answer was lost: it is seen so many seconds later.
DONE_SECONDS = 3.0


def undiallable(agent: Agent, settings: Settings) -> list[str]:
    """The names of the destinations that Twilio cannot dial, where it may have to."""
    targets = agent.destinations.items() if settings.twilio_account_sid is not None else ()
    return [name for name, target in targets if not twiml.diallable(target)]


def untransferable(agent: Agent, settings: Settings) -> list[str]:
    """The agent's keys that transfer callers, where Twilio's come in and no account is set."""
    comes_in = settings.twilio_auth_token is not None or settings.allow_unauthenticated
    account = settings.twilio_account_sid is not None and settings.twilio_auth_token is not None
    if account or not comes_in:
        return []
    pressed = [key for key, rule in agent.keys.items() if read_rule(rule)[0] == "transfer"]
    given_up = [] if agent.give_up_target is None else ["give_up"]
    return given_up + [f"keys.{key}" for key in pressed]


class TwilioRealtimeBridge(RealtimeBridge):
    """A call from Twilio: its socket's first messages are ``connected`` and ``start``.

    The stream cannot hang up or transfer; with ``rest`` Twilio's REST interface does. Without
    it a hang-up closes the stream, behind which our TwiML has nothing that keeps the line,
    and a transfer is refused. With ``after_url`` too, at which Twilio asks how to go on after a
    transfer (:meth:`dial_ended`), a caller whom nobody took comes back (:meth:`resume`).
    """

    traits = TWILIO

    def __init__(
        self,
        telephony_socket: Socket,
        connect_model: ConnectModel | Socket,
        settings: Settings,
        agent: Agent,
        *,
        metrics: CallMetrics | None = None,
        recorder: RecorderFactory | None = None,
        observers: Sequence[Observer] = (),
        on_outcome: OnOutcome | None = None,
        call_id: str | None = None,
        rest: TwilioRest | None = None,
        after_url: str | None = None,
    ) -> None:
        # A model session that cannot be dialled again is not given up while he is away.
        may_return = after_url is not None and rest is not None and callable(connect_model)
        self.traits = replace(TWILIO, transfers_return=may_return)
        super().__init__(
            telephony_socket,
            connect_model,
            settings,
            agent,
            metrics=metrics,
            recorder=recorder,
            observers=observers,
            on_outcome=on_outcome,
            call_id=call_id,
        )
        self._rest, self._after_url = rest, after_url
        self._looking = 0  # the latest who looks whether the call of a caller who is away is over

    # --- After a transfer ---------------------------------------------------------------

    @property
    def with_us(self) -> bool:
        """Whether the caller is on our stream, and nobody has been told that he is to leave it."""
        departure = self._call.departure if self._call is not None and not self.ended else None
        return departure is not None and not departure.away and departure.parting is None

    def dial_ended(self, fields: Mapping[str, str]) -> bool:
        """Twilio asks how to go on after a transfer, and says in ``fields`` what came of it.

        Whether it is to open another stream to us, for :meth:`resume`; else it may hang up.
        """
        call = self._call
        if call is None or self.ended or not call.departure.handing_over:
            return False
        self._line.let_go()
        self._asked(dial_result(fields))
        return not self.ended

    def call_over(self) -> None:
        """Twilio says that the call is. On its stream it tells so by itself; a caller who is not
        on it may have hung up without another word of him."""
        if self._call is not None and not self.ended and self._call.departure.handing_over:
            with of_call(self.call_id):
                self._begin(self._gave_up())

    async def resume(self, socket: Socket) -> None:
        """The call goes on on ``socket``, another stream of it. Returns when the call is over."""
        if self._engine is None or self.ended:
            await socket.close()
            return
        self._line.go_on(socket)
        await self._finished.wait()

    # --- What its wire cannot carry -----------------------------------------------------

    def _protocol(self) -> TelephonyProtocol:
        return TwilioProtocol()

    def _may_transfer(self, target: Private[str]) -> None:
        if self._rest is None:
            raise TransferRefused("this line cannot transfer calls: no account is set for it")
        refuse_undiallable(target)

    def _may_send_keys(self) -> None:
        # Only TwiML can, and that takes the caller off the stream.
        if not self.traits.transfers_return:
            raise WishRefused("this line cannot send keys: no account is set for it")

    async def _control(self, effect: effects.ByOtherMeans) -> None:
        call = self._call
        assert call is not None
        match effect:
            case effects.HangUp():
                await self._hang_up(call.provider_call_id, away=call.departure.away)
            case effects.TransferCall(target):
                try:
                    shown = self._caller_id(call, target.value)
                    document = twiml.dial(target.value, shown, action=self._after_url)
                except ValueError:  # by a key or a rule of the agent's: nobody asked whether it may
                    log.warning("Twilio cannot dial the destination")
                    self._happened(events.TransferFailed("error"))
                else:
                    await self._redirect(call.provider_call_id, document)
            case effects.SendDTMF(digits):
                assert self._after_url is not None
                document = twiml.press(digits.value, self._after_url)
                await self._redirect(call.provider_call_id, document)

    def _caller_id(self, call: Call, target: str) -> str | None:
        caller = call.caller.value if call.caller else ""
        called = call.callee.value if call.callee else None
        # Of an app's call the number called is whatever the app says; this one is the account's.
        return twiml.caller_id(target, caller, (self.settings.twilio_from, called))

    async def _hang_up(self, call_sid: str, *, away: bool) -> None:
        """``away``: he is with another party, and there is no stream that would end."""
        done = False
        if self._rest is not None:
            try:
                await self._rest.hang_up(call_sid)
                done = True
            except TwilioRestError as error:
                log.warning("hang-up by REST failed", **error.facts)
                done = away and not error.refused and await self._seen_to_be_over(call_sid)
        if away and done:
            self._happened(events.CallerHungUp("caller-hung-up"))
        elif away:
            self._happened(events.HangUpFailed())
            await self._look_after(call_sid)
        elif not done:  # else Twilio ends the stream, and that ends the call
            await self._line.socket.close()
            self._happened(events.TelephonyLost())

    async def _seen_to_be_over(self, call_sid: str) -> bool:
        """Of a call that Twilio was told to end, while nobody knows whether it does."""
        await asyncio.sleep(DONE_SECONDS)
        return await self._is_over(call_sid)

    async def _redirect(self, call_sid: str, document: str) -> None:
        if self._rest is None:  # by a rule of the agent's: nobody asked whether it may
            log.warning("no account is set: Twilio transfers nobody")
            self._happened(events.TransferFailed("error"))
            return
        try:
            await self._rest.redirect(call_sid, document)
        except TwilioRestError as error:
            log.warning("other TwiML by REST failed", **error.facts)
            # If nobody refused it, the caller may be on his way.
            unsure = self.traits.transfers_return and not error.refused
            self._happened(events.TransferUnderWay() if unsure else events.TransferFailed("error"))
            await self._look_after(call_sid)
        else:
            returns = self.traits.transfers_return
            self._happened(events.TransferUnderWay() if returns else events.TransferSucceeded())
            if returns:
                await self._look_after(call_sid)

    async def _look_after(self, call_sid: str) -> None:
        """Of one who may be on his way, or hung up: if his call is over, nobody may tell us.

        Who looked before, for an earlier transfer, does so no more: his pauses are long by now.
        """
        assert self._call is not None
        departure = self._call.departure
        self._looking = latest = self._looking + 1
        pauses = chain(LOOK_SECONDS, repeat(LOOK_SECONDS[-1]))
        while departure.handing_over:
            await asyncio.sleep(PRESSING_LOOK_SECONDS if departure.pressing else next(pauses))
            if self._looking != latest:
                return
            if departure.away and await self._is_over(call_sid):
                return await self._gave_up()

    async def _is_over(self, call_sid: str) -> bool:
        """As far as anybody knows."""
        assert self._rest is not None
        try:
            return await self._rest.is_over(call_sid)
        except TwilioRestError:
            return False  # it was told why when more was asked than to look

    async def _gave_up(self) -> None:
        await asyncio.sleep(TOLD_SECONDS)
        self._happened(events.CallerGaveUp())
