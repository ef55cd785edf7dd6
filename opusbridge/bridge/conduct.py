"""From settings and an agent to how one call is conducted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opusbridge.agent import Agent
from opusbridge.bridge.speech import own_clip, stored_speech
from opusbridge.call.policy import (
    CallPolicy,
    KeyAction,
    ResponsePolicy,
    SilencePolicy,
    TelephonyTraits,
    ToolTraits,
)
from opusbridge.call.voice import FILLER
from opusbridge.config import Settings
from opusbridge.effects import SessionConfig, TurnDetection
from opusbridge.errors import TransferRefused
from opusbridge.manners import read_rule
from opusbridge.privacy import Private
from opusbridge.protocols.twilio import twiml
from opusbridge.sound import PCM_24K
from opusbridge.tools.registry import Tool

#: The model speaks while a tool is at work.
SAY_FIRST = (
    "You are looking something up for the caller, and that takes a while. Say exactly this and "
    "nothing else: {words}"
)

#: The caller is told this long before the longest a call may last: enough to finish a thought.
WARNING_SECONDS = 60.0
#: For the agent's ``configure``, while the caller hears nothing.
CONFIGURE_SECONDS = 3.0
#: Of a short call, no more than this.
WARNING_SHARE = 0.25

#: The session's names of what the call reckons with, and ours.
_RECKONED = {"prefix_padding_ms": "prefix_ms", "silence_duration_ms": "silence_ms"}
_KINDS = ("server_vad", "semantic_vad")


def call_policy(
    traits: TelephonyTraits, settings: Settings, agent: Agent, *, pings: bool = False
) -> CallPolicy:
    """``settings`` are those of :meth:`Agent.applied_to`: the agent's word wins.

    ``pings``: the telephony side's socket can carry pings.
    """
    spoken = stored_speech(settings.language, settings.speech_dir)
    clips, words = dict(spoken.clips), dict(spoken.words)
    if agent.greeting_audio is not None:
        clips["greeting"] = own_clip(agent.greeting_audio)
        words["greeting"] = agent.greeting_words or ""
    for tool in agent.tools:
        if tool.manners.filler_after is not None:
            own = tool.filler
            name = f"{FILLER}{tool.name}"
            clips[name] = clips["one-moment"] if own is None else own_clip(own)
            words[name] = words["one-moment"] if own is None else "[filler]"
    return CallPolicy(
        telephony=traits,
        session=_session(settings, agent),
        responses=ResponsePolicy(
            model_creates=settings.responses_by == "model",
            interrupts=settings.barge_in is not False,
            created_timeout=settings.created_timeout,
            progress_timeout=settings.progress_timeout,
            backoff=settings.retry_backoff,
            greeting=_greeting(agent),
        ),
        pings=pings,
        greet=agent.greeting is not None or agent.greeting_audio is not None,
        barge_in=settings.barge_in is not False,
        confirm_ms=settings.barge_in_ms if settings.barge_in == "confirmed" else None,
        greeting_interruptible=agent.greeting_interruptible,
        farewell_interruptible=agent.farewell_interruptible,
        dtmf_gap=settings.dtmf_gap,
        max_call_seconds=settings.max_call_seconds,
        warning_seconds=min(WARNING_SECONDS, settings.max_call_seconds * WARNING_SHARE),
        no_input=_no_input(agent),
        keys={key: _key_action(agent, rule) for key, rule in agent.keys.items()},
        tools={tool.name: _traits(tool, agent) for tool in agent.tools},
        hold_after=settings.hold_after,
        resume_grace=settings.resume_grace,
        give_up=agent.give_up.partition(":")[0],
        give_up_target=agent.give_up_target,
        configure_seconds=0.0 if agent.configure is None else CONFIGURE_SECONDS,
        clips=clips,
        clip_words=words,
    )


def _traits(tool: Tool, agent: Agent) -> ToolTraits:
    """A response's instructions replace the session's, so both are in what is said first."""
    manners, words = tool.manners, tool.manners.say_first
    told = None if words is None else f"{agent.instructions}\n\n{SAY_FIRST.format(words=words)}"
    return ToolTraits(manners.reply, told, manners.filler_after)


def _no_input(agent: Agent) -> SilencePolicy | None:
    wanted = agent.no_input
    if wanted is None:
        return None
    return SilencePolicy(wanted.waits, wanted.nudges, wanted.goodbye)


def _key_action(agent: Agent, rule: str) -> KeyAction:
    kind, what = read_rule(rule)
    if kind == "transfer":
        return KeyAction(kind, target=agent.target(what))
    return KeyAction(kind, words=what)


def _session(settings: Settings, agent: Agent) -> SessionConfig:
    return SessionConfig(
        instructions=agent.instructions,
        audio_format=PCM_24K,  # the call puts what suits the telephony side
        voice=agent.voice,
        tools=agent.tool_definitions(),
        turn_detection=_turn_detection(settings, agent),
        transcription_model=settings.transcription_model,
        language=settings.language,
        noise_reduction=settings.noise_reduction,
        extra=agent.session,
    )


def _turn_detection(settings: Settings, agent: Agent) -> TurnDetection | None:
    if settings.turn_detection == "none":
        return None
    # A cough, or a word over what is to be heard out, must not end the response at the model.
    heard_out = not (agent.greeting_interruptible and agent.farewell_interruptible)
    detection = TurnDetection(
        kind=settings.turn_detection,
        create_response=settings.responses_by == "model",
        interrupt_response=settings.barge_in is True and not heard_out,
        threshold=settings.vad_threshold,
        silence_ms=settings.vad_silence_ms,
        eagerness=settings.vad_eagerness,
    )
    own = _own_turns(agent)
    if own.get("kind", detection.kind) != detection.kind:
        switches = detection.create_response, detection.interrupt_response
        detection = TurnDetection(own["kind"], *switches)  # what is set is of the other kind
    return replace(detection, **own)


def _own_turns(agent: Agent) -> dict[str, Any]:
    """What the agent's own session says of turn detection that the call reckons with, too."""
    found: Any = agent.session
    for key in ("audio", "input", "turn_detection"):
        found = found.get(key) if isinstance(found, Mapping) else None
    said = found if isinstance(found, Mapping) else {}
    own = {ours: said[its] for its, ours in _RECKONED.items() if type(said.get(its)) is int}
    return own | ({"kind": said["type"]} if said.get("type") in _KINDS else {})


def _greeting(agent: Agent) -> str | None:
    """A response's instructions replace the session's, so both are in it."""
    if agent.greeting is None:
        return None
    return f"{agent.instructions}\n\nThe call was just answered. {agent.greeting}"


def refuse_undiallable(target: Private[str]) -> None:
    """:raises TransferRefused: Twilio cannot dial it."""
    if not twiml.diallable(target.value):
        raise TransferRefused("this line cannot dial that destination's address")
