"""Plays a call script on real sockets and gathers what came of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from math import inf
from pathlib import Path
from random import Random
from typing import Any

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.call.engine import Observer
from opusbridge.config import Settings
from opusbridge.effects import Effect
from opusbridge.errors import ConfigurationError
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.recording import files, timeline
from opusbridge.sim.account import Account, TwiMLRefused
from opusbridge.sim.callers import Caller, Person
from opusbridge.sim.callers.twilio import ACCOUNT_SID
from opusbridge.sim.evidence import Evidence, Watch, seen_from_inside
from opusbridge.sim.faults import Faults
from opusbridge.sim.guarantees import excused
from opusbridge.sim.model import ReplyScript, SimulatedModel
from opusbridge.sim.model_server import ModelServer, Upgrade
from opusbridge.sim.said import Said
from opusbridge.sim.script import CallScript
from opusbridge.sim.script.caller import CallerTable
from opusbridge.sim.script.model import ModelTable
from opusbridge.sim.script.places import Path as Key
from opusbridge.sim.sockets import CallRefused
from opusbridge.sim.staged import Sessions
from opusbridge.sim.switchboard import Switchboard
from opusbridge.testing.conduct import agent_for, settings_for
from opusbridge.testing.dialling import call_bridge, dial
from opusbridge.testing.names import check_names
from opusbridge.testing.refused import told
from opusbridge.testing.result import CallResult
from opusbridge.web import server
from opusbridge.web.service import create_app

#: What lies in a call's folder, in the order in which a listener wants it.
KEPT = (files.RECORDING, files.TRANSCRIPT, files.CALL, files.FLIGHT, timeline.PAGE)

#: Secrets of a bridge that exists for one call on loopback: so that the doors are locked and
#: opened as they are in earnest.
TWILIO_SECRET = "a-secret-of-this-demo-only"
AUDIOCODES_SECRET = "another-secret-of-this-demo-only"
ADMIN_SECRET = "a-third-that-nobody-is-told"

#: A call has ended for the caller; its files follow within two seconds, and the agent's
#: ``on_end`` may take ten.
AFTERWARDS_SECONDS = 15.0


class Side(StrEnum):
    """Which telephony side calls, as the command line has it."""

    TWILIO = "twilio"
    AUDIOCODES = "audiocodes"
    BOTH = "both"

    @property
    def telephonies(self) -> tuple[str, ...]:
        both = (Side.TWILIO.value, Side.AUDIOCODES.value)
        return both if self is Side.BOTH else (self.value,)


#: What a caller does that nobody hears; the keys themselves are his own affair.
DEEDS = {"presses": "presses keys", "hangs-up": "hangs up", "drops": "is cut off"}

Tell = Callable[[str, str, str], None]
"""Telephony side, who (``caller``, ``agent``, ``bridge``), and what."""


@dataclass(slots=True)
class Played:
    """One script on one telephony side, and what came of it."""

    telephony: str
    script: CallScript
    folder: Path
    problems: list[str] = field(default_factory=list)
    """What was done wrong, whatever the script expects; empty is well."""
    caller: Caller | None = None
    watch: Watch = field(default_factory=Watch)
    evidence: Evidence | None = None
    not_played: list[str] = field(default_factory=list)
    """Tables of the script that this way of playing has no means for."""
    never_befell: list[Key] = field(default_factory=list)
    """Faults of the script whose time did not come."""
    seconds: float = 0.0
    replies: ReplyScript | None = None
    """How far they were used, by a model of our own."""

    @property
    def result(self) -> CallResult:
        """With every expectation judged."""
        found = self.script.findings(self.evidence) if self.evidence else []
        return CallResult(
            self.script,
            self.telephony,
            self.evidence,
            found,
            self.problems,
            self.seconds,
            self.not_played,
            self.never_befell,
            self.replies,
        )


async def play(
    script: CallScript,
    telephony: str,
    folder: Path,
    tell: Tell,
    agent: Agent = RECEPTIONIST,
    real: Settings | None = None,
) -> Played:
    """A whole call against a bridge and a simulated model of its own, all on loopback.

    Leaves the files of the call and its timeline in ``folder``, and no others of an earlier one.
    ``real``: whose model is asked in place of the simulated one.
    """
    if real is None:
        check_names(script, agent)
    played = Played(telephony, script, folder)
    agent = agent_for(script, agent, played.problems.append)
    if script.faults != Faults():
        played.not_played.append("faults")
    _make_room(folder)
    began, person = time.perf_counter(), script.person()
    said = Said(person)

    def watch(what: Event | Effect, now: float) -> None:
        played.watch(what, now)
        said(what, now)

    async with AsyncExitStack() as stack:
        model: ModelServer | None = None
        account = Account()
        board = Switchboard(Random(script.seed), on_update=account.update, on_look=account.status)
        rest = await stack.enter_async_context(board.open())
        if real is None:
            model = await stack.enter_async_context(own_model(script, said))
            settings = own_settings(model.url, script, rest)
        else:
            settings = _with_model_of(real, script, rest)
            played.not_played += ["model"] if script.model != ModelTable() else []
        failed = played.problems.append
        async with own_bridge(settings, folder, tell, agent, watch, failed) as base:
            await _place(played, person, settings, base, tell, account)
    played.seconds = time.perf_counter() - began
    if model is not None:
        played.problems += _of_model(model.finished, played.watch)
        responses = sum(one.responses for one in model.finished)
        played.replies = next((one.replies for one in model.finished), None)  # they share them
        played.never_befell += script.never_befell(responses, inf)  # no network was played
    _judge(played)
    _draw(folder)
    return played


async def play_against(
    script: CallScript, telephony: str, url: str, settings: Settings
) -> CallResult:
    """The caller's side only, against a bridge that runs somewhere else; there may be no call."""
    try:
        return await call_bridge(script, telephony, url, settings)
    except (TwiMLRefused, CallRefused) as refused:
        result = CallResult(script, telephony)
        result.problems.append(told(refused, telephony))
        return result


# --- The parties ------------------------------------------------------------------------


@asynccontextmanager
async def own_model(script: CallScript, said: Said | None = None) -> AsyncIterator[ModelServer]:
    """For one call; ``said``: in it, by who calls."""
    sessions = Sessions(script, said=said)

    def make(upgrade: Upgrade) -> SimulatedModel:
        return sessions.begin(**asdict(upgrade))

    async with ModelServer(make) as served:
        yield served


class _Within(server.Server):
    """Signals are for the command that it is a part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def own_bridge(
    settings: Settings,
    folder: Path,
    tell: Tell,
    agent: Agent = RECEPTIONIST,
    watch: Observer | None = None,
    failed: Callable[[str], None] = lambda why: None,
) -> AsyncIterator[str]:
    """The production server on a free port of loopback; yields where it is reached.

    When it is left, its call has ended, the call's files are complete and the agent was told;
    otherwise ``failed`` is. Where it is cancelled nobody is waited for.
    """
    listening = server.listen("127.0.0.1", 0)
    port = listening.getsockname()[1]

    def folder_of(side: str, call_id: str, started: datetime) -> Path:
        return folder

    def observers_of(side: str) -> Sequence[Observer]:
        return (narrator(side, tell),) if watch is None else (narrator(side, tell), watch)

    app = create_app(
        settings,
        agent,
        host="127.0.0.1",
        port=port,
        folder_of=folder_of,
        observers_of=observers_of,
    )
    running = _Within(app, app.state.calls, settings.drain_seconds)
    task = asyncio.create_task(running.serve(sockets=[listening]))
    try:
        yield f"ws://127.0.0.1:{port}"
    except asyncio.CancelledError:
        running.cut_off()
        raise
    finally:
        # A call is over only when its files are; the caller was gone before.
        if not running.force_exit and not await app.state.calls.drain(AFTERWARDS_SECONDS):
            failed(f"the bridge was not done with the call within {AFTERWARDS_SECONDS:g} s")
        running.should_exit = True
        await task


def own_settings(
    model_url: str, script: CallScript | None = None, rest_url: str | None = None
) -> Settings:
    """The defaults, whatever the environment says, with the script's own and with secrets.

    ``rest_url``: where a pretend Twilio is told of calls; without it they end with their streams.
    """
    given = script or CallScript(caller=CallerTable(steps=()))
    key = Private("the-simulator-takes-any-key")
    return settings_for(given, realtime_url=model_url, openai_api_key=key, **_telephony(rest_url))


def _with_model_of(real: Settings, script: CallScript, rest_url: str) -> Settings:
    asked = ("realtime_url", "realtime_auth", "openai_api_key", "model")
    return settings_for(
        script, **{name: getattr(real, name) for name in asked}, **_telephony(rest_url)
    )


def _telephony(rest_url: str | None) -> dict[str, Any]:
    rest = {"twilio_api_url": rest_url, "twilio_account_sid": ACCOUNT_SID} if rest_url else {}
    return {
        "twilio_auth_token": Private(TWILIO_SECRET),
        "audiocodes_token": Private(AUDIOCODES_SECRET),
        "admin_token": Private(ADMIN_SECRET),
        **rest,
    }


async def _place(
    played: Played, person: Person, settings: Settings, base: str, tell: Tell, account: Account
) -> None:
    """Dial with the secrets and under the names of ``settings``; ``base`` is where it listens."""

    def deed(kind: str, text: str) -> None:
        if kind in DEEDS:
            tell(played.telephony, "caller", DEEDS[kind])

    try:
        played.caller = await dial(
            played.script, played.telephony, base, settings, deed, account, person
        )
    except (TwiMLRefused, CallRefused) as refused:
        played.problems.append(f"the call was refused: {refused}")
        return
    played.problems += [f"caller: {what}" for what in played.caller.verdict()]
    played.problems += played.script.left_undone(played.caller.person)


def narrator(telephony: str, tell: Tell) -> Observer:
    """Tells a call as it happens, in the order in which it is known."""

    def observe(what: Event | Effect, now: float) -> None:
        match what:
            case events.CallStarted():
                tell(telephony, "bridge", "the call has begun")
            case events.CallerTranscribed(_, text, True):
                tell(telephony, "caller", text.value)
            case events.ModelWords(_, _, _, text, True):
                tell(telephony, "agent", text.value)
            case effects.Note("barge-in"):
                tell(telephony, "bridge", "the caller cut in: the agent is silenced")
            case effects.RunTool(_, name):
                tell(telephony, "agent", f"[{name}]")
            case effects.EndCall(how):
                tell(telephony, "bridge", f"the call ended: {how.reason}")
            case _:
                pass

    return observe


# --- What came of it --------------------------------------------------------------------


def _make_room(folder: Path) -> None:
    """An earlier call's files would pass for this one's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot write to {folder}: {error.strerror}") from None


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _of_model(sessions: Sequence[SimulatedModel], watch: Watch) -> list[str]:
    """What was done wrong to it; what one left undone that was replaced is the next one's."""
    found = [what for one in list(sessions)[:-1] for what in one.violations]
    found += [what for one in list(sessions)[-1:] for what in one.verdict()]
    return [f"model: {what}" for what in found if not excused(what, watch.coughs)]


def _judge(played: Played) -> None:
    try:
        _read(played.folder / files.CALL)
        transcript = _read(played.folder / files.TRANSCRIPT)
    except FileNotFoundError as missing:
        played.problems.append(f"{Path(str(missing.filename)).name} was not written")
        return
    if played.caller is not None:
        played.evidence = seen_from_inside(played.caller, played.watch, transcript["items"])


def _draw(folder: Path) -> None:
    """The timeline page, beside the files it is made of."""
    if (folder / files.FLIGHT).exists():
        timeline.draw(folder / files.FLIGHT, folder / timeline.PAGE)
