"""From settings and an agent to how one call is conducted."""

from functools import cache

from opusbridge.agent import Agent
from opusbridge.call.policy import CallPolicy, Clip, ResponsePolicy, TelephonyTraits
from opusbridge.config import Settings
from opusbridge.effects import SessionConfig, TurnDetection
from opusbridge.sound import PCM_24K
from opusbridge.speech import load_clip


def call_policy(traits: TelephonyTraits, settings: Settings, agent: Agent) -> CallPolicy:
    """``settings`` are those of :meth:`Agent.applied_to`: the agent's word wins."""
    return CallPolicy(
        telephony=traits,
        session=_session(settings, agent),
        responses=ResponsePolicy(
            model_creates=settings.responses_by == "model",
            interrupts=settings.barge_in,
            created_timeout=settings.created_timeout,
            progress_timeout=settings.progress_timeout,
            backoff=settings.retry_backoff,
            greeting=_greeting(agent),
        ),
        greet=agent.greeting is not None,
        barge_in=settings.barge_in,
        dtmf_gap=settings.dtmf_gap,
        max_call_seconds=settings.max_call_seconds,
        clips={name: _clip(name) for name in ("sorry", "goodbye")},
    )


def _session(settings: Settings, agent: Agent) -> SessionConfig:
    return SessionConfig(
        instructions=agent.instructions,
        audio_format=PCM_24K,  # the call puts what suits the telephony side
        voice=agent.voice,
        tools=agent.tool_definitions(),
        turn_detection=_turn_detection(settings),
        transcription_model=settings.transcription_model,
        language=settings.language,
        noise_reduction=settings.noise_reduction,
        extra=agent.session,
    )


def _turn_detection(settings: Settings) -> TurnDetection | None:
    if settings.turn_detection == "none":
        return None
    return TurnDetection(
        kind=settings.turn_detection,
        create_response=settings.responses_by == "model",
        interrupt_response=settings.barge_in,
        threshold=settings.vad_threshold,
        silence_ms=settings.vad_silence_ms,
        eagerness=settings.vad_eagerness,
    )


def _greeting(agent: Agent) -> str | None:
    """A response's instructions replace the session's, so both are in it."""
    if agent.greeting is None:
        return None
    return f"{agent.instructions}\n\nThe call was just answered. {agent.greeting}"


@cache
def _clip(name: str) -> Clip:
    rate_hz, pcm = load_clip(name)
    return Clip(rate_hz, pcm)
