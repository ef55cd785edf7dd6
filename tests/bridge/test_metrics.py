"""Metrics: what is counted, and that nothing a peer says makes us grow."""

import pytest
from prometheus_client import CollectorRegistry

from opusbridge import effects, events
from opusbridge.bridge.metrics import CallMetrics, Metrics, as_text
from opusbridge.effects import Effect, Note
from opusbridge.errors import Ending, Outcome, ending
from opusbridge.events import Event
from opusbridge.sound import PCMU_8K, Audio
from opusbridge.usage import Usage


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


@pytest.fixture
def call(metrics: Metrics) -> CallMetrics:
    return metrics.call_metrics("twilio")


def changed(registry: CollectorRegistry) -> dict[str, float]:
    """Every sample that is not 0, as Prometheus would read it."""
    lines = as_text(registry).decode().splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {
        name.removeprefix("opusbridge_"): float(value)
        for name, value in samples
        if float(value) and "_bucket" not in name
    }


def test_the_metrics_are_those_of_the_contract(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    described = {
        line.split()[2]
        for line in as_text(registry).decode().splitlines()
        if line.startswith("# TYPE")
    }

    assert described == {
        "opusbridge_calls_active",
        "opusbridge_calls_total",
        "opusbridge_calls_limit",
        "opusbridge_loop_lag_seconds",
        "opusbridge_response_requests_total",
        "opusbridge_responses_total",
        "opusbridge_pending_inputs_total",
        "opusbridge_pending_wait_seconds",
        "opusbridge_response_conflicts_total",
        "opusbridge_response_retries_total",
        "opusbridge_watchdog_total",
        "opusbridge_barge_ins_total",
        "opusbridge_false_interruptions_total",
        "opusbridge_truncations_total",
        "opusbridge_model_reconnects_total",
        "opusbridge_turn_latency_seconds",
        "opusbridge_turn_interval_seconds",
        "opusbridge_rejected_total",
        "opusbridge_tokens_total",
        "opusbridge_bad_messages_total",
        "opusbridge_invariant_violations_total",
    }


def test_a_call_is_active_from_its_beginning_to_its_one_end(
    registry: CollectorRegistry, call: CallMetrics
) -> None:
    call.call_began()
    call.call_began()
    assert changed(registry) == {'calls_active{telephony="twilio"}': 1.0}

    call.observe(effects.EndCall(ending("caller-hung-up")), now=9.0)
    call.observe(effects.EndCall(ending("caller-hung-up")), now=9.0)
    assert changed(registry) == {
        'calls_total{outcome="completed",reason="caller-hung-up",telephony="twilio"}': 1.0
    }


def test_a_call_that_ended_before_it_began_is_counted_and_never_was_active(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.call_metrics("audiocodes").observe(effects.EndCall(ending("no-start")), now=1.0)

    assert changed(registry) == {
        'calls_total{outcome="caller",reason="no-start",telephony="audiocodes"}': 1.0
    }


USAGE = Usage(input_text=1, input_audio=2, cached=3, output_text=4, output_audio=5)
TOKENS = {
    'tokens_total{kind="input_text"}': 1.0,
    'tokens_total{kind="input_audio"}': 2.0,
    'tokens_total{kind="cached"}': 3.0,
    'tokens_total{kind="output_text"}': 4.0,
    'tokens_total{kind="output_audio"}': 5.0,
}


@pytest.mark.parametrize(
    ("what", "counted"),
    [
        (effects.CreateResponse("r", "turn"), {'response_requests_total{reason="turn"}': 1.0}),
        (
            effects.CreateResponse("r", "tools+turn"),
            {'response_requests_total{reason="turn+tools"}': 1.0},
        ),
        (effects.CreateResponse("r", "whim"), {'response_requests_total{reason="other"}': 1.0}),
        (
            effects.CreateResponse("r", "turn+whim"),
            {'response_requests_total{reason="other"}': 1.0},
        ),
        (effects.CreateResponse("r"), {'response_requests_total{reason="other"}': 1.0}),
        (
            events.ResponseDone("r", "completed", usage=USAGE),
            {'responses_total{status="completed"}': 1.0, **TOKENS},
        ),
        (events.ResponseDone("r", "odd"), {'responses_total{status="other"}': 1.0}),
        (events.ResponseDone("r", "completed", usage=USAGE, in_conversation=False), TOKENS),
        (Note("pending", "response"), {"pending_inputs_total": 1.0}),
        (
            Note("pending-wait", value=1.5),
            {"pending_wait_seconds_count": 1.0, "pending_wait_seconds_sum": 1.5},
        ),
        (Note("conflict"), {"response_conflicts_total": 1.0}),
        (Note("retry", value=2.0), {'response_retries_total{attempt="2"}': 1.0}),
        (Note("retry", value=10.0), {'response_retries_total{attempt="other"}': 1.0}),
        (Note("retry"), {'response_retries_total{attempt="other"}': 1.0}),
        (Note("watchdog", "request"), {'watchdog_total{rung="request"}': 1.0}),
        (Note("watchdog", "silence"), {'watchdog_total{rung="silence"}': 1.0}),
        (Note("watchdog", "odd"), {'watchdog_total{rung="other"}': 1.0}),
        (Note("barge-in"), {"barge_ins_total": 1.0}),
        (Note("false-interruption", "", ("item_1",), 0.1), {"false_interruptions_total": 1.0}),
        (Note("truncated", value=400.0), {"truncations_total": 1.0}),
        (
            Note("model-back", "session-expired"),
            {'model_reconnects_total{reason="session-expired"}': 1.0},
        ),
        (Note("model-replaced", "session-expired"), {}),  # it is dialled for
        (Note("model-back", "whim"), {'model_reconnects_total{reason="other"}': 1.0}),
        (Note("violation", "x"), {"invariant_violations_total": 1.0}),
        (
            Note("bad-message", "twilio:not-json"),
            {'bad_messages_total{kind="not-json",peer="twilio"}': 1.0},
        ),
        (
            Note("bad-message", "+15550100300:Hello there"),
            {'bad_messages_total{kind="other",peer="other"}': 1.0},
        ),
        (
            Note("unknown-message", "model"),
            {'bad_messages_total{kind="unknown",peer="model"}': 1.0},
        ),
        (Note("bad-message", "model"), {'bad_messages_total{kind="other",peer="model"}': 1.0}),
        (Note("coalesced"), {}),
        (events.CallerSpoke(Audio("", PCMU_8K)), {}),
        (effects.PlayAudio(Audio("", PCMU_8K)), {}),
    ],
)
def test_what_an_event_or_effect_counts_as(
    registry: CollectorRegistry,
    call: CallMetrics,
    what: Event | Effect,
    counted: dict[str, float],
) -> None:
    call.observe(what, now=1.0)

    assert changed(registry) == counted


def test_a_response_whose_end_is_told_twice_is_counted_once(
    registry: CollectorRegistry, call: CallMetrics
) -> None:
    done = events.ResponseDone("r", "completed", usage=USAGE)
    call.observe(done, 1.0)
    call.observe(done, 1.1)

    assert changed(registry) == {'responses_total{status="completed"}': 1.0, **TOKENS}


def test_unknown_endings_and_telephony_sides_are_other(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    odd = effects.EndCall(Ending(Outcome.UNKNOWN, "whatever"))

    metrics.call_metrics("carrier pigeon").observe(odd, now=1.0)

    assert changed(registry) == {
        'calls_total{outcome="unknown",reason="other",telephony="other"}': 1.0
    }


def test_the_latency_of_a_turn_is_the_callers(
    registry: CollectorRegistry, call: CallMetrics
) -> None:
    call.observe(effects.Note("turn-latency", value=0.75), 1.0)

    assert changed(registry) == {
        "turn_latency_seconds_count": 1.0,
        "turn_latency_seconds_sum": 0.75,
    }


def test_refusals_are_counted_by_endpoint_and_reason(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.rejected("twilio-voice", "bad-signature")
    metrics.rejected("twilio-voice", "bad-signature")

    assert changed(registry) == {
        'rejected_total{endpoint="twilio-voice",reason="bad-signature"}': 2.0
    }


def test_a_label_has_so_many_values_and_no_more(
    registry: CollectorRegistry, call: CallMetrics
) -> None:
    for number in range(100):
        call.observe(Note("bad-message", f"twilio:kind-{number}"), now=1.0)

    counted = changed(registry)
    assert len(counted) == 41
    assert counted['bad_messages_total{kind="other",peer="twilio"}'] == 60.0


def test_a_gauge_is_shown_before_the_first_call(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    shown = as_text(registry).decode()

    assert 'opusbridge_calls_active{telephony="twilio"} 0.0' in shown
    assert 'opusbridge_calls_active{telephony="audiocodes"} 0.0' in shown


def test_the_parts_of_a_turns_latency_are_told_apart(
    registry: CollectorRegistry, call: CallMetrics
) -> None:
    call.observe(Note("turn-interval", "commit_to_request", ("item_1",), 0.25), 1.0)
    call.observe(Note("turn-interval", "nothing we know", ("item_1",), 0.5), 1.0)

    assert changed(registry) == {
        'turn_interval_seconds_count{interval="commit_to_request"}': 1.0,
        'turn_interval_seconds_sum{interval="commit_to_request"}': 0.25,
        'turn_interval_seconds_count{interval="other"}': 1.0,
        'turn_interval_seconds_sum{interval="other"}': 0.5,
    }


@pytest.mark.parametrize("what", ["mark", "after-end"])
def test_an_acknowledgement_of_nothing_is_a_bad_message_of_the_telephony_side(
    registry: CollectorRegistry, call: CallMetrics, what: str
) -> None:
    call.observe(Note("stray", what), 1.0)
    call.observe(Note("stray", "transfer"), 1.0)

    bad = 'bad_messages_total{kind="stray-acknowledgement",peer="twilio"}'
    assert changed(registry) == {bad: 1.0}
