"""Metrics: what the calls of this process did, counted for Prometheus.

A call's events and effects pass :meth:`CallMetrics.observe` on their way, in the path of
audio, so whatever is not counted costs one look into a dict. A label's values come from
closed lists; anything else is ``other``, so that no peer can make us grow.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric

from opusbridge import effects, events
from opusbridge.call.machines import remember
from opusbridge.call.pending import Why
from opusbridge.call.tally import INTERVALS
from opusbridge.effects import Effect
from opusbridge.errors import REASONS
from opusbridge.events import Event

OTHER = "other"
TELEPHONY = ("audiocodes", "twilio")
PEERS = (*TELEPHONY, "model")
STATUSES = ("completed", "cancelled", "incomplete", "failed")
RUNGS = ("session", "commit", "request", "response", "cancel", "silence")
TOKENS = ("input_text", "input_audio", "cached", "output_text", "output_audio")

#: Retries told apart; the default back-off has three, and the settings allow nine.
_ATTEMPTS = 9

#: Slugs one label may have. Ours are written in the code and far fewer; the limit is for the
#: day somebody counts by something a peer sent.
_SLUGS = 40
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

#: Seconds. A caller notices from half a second on, and doubts the line from three.
_LATENCIES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
#: Parts of it: most are far below, so that one shows which is not.
_INTERVALS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0, 10.0, 20.0)
#: Seconds. Input waits as long as the response before it is produced, or a back-off lasts.
_WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class Metrics:
    """All of a process; one for each ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"opusbridge_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"opusbridge_{name}", text, labels, buckets=buckets, registry=registry)

        self.calls_active = Gauge(
            "opusbridge_calls_active", "Calls under way", ["telephony"], registry=registry
        )
        self.calls = counter("calls_total", "Calls that ended", "telephony", "outcome", "reason")
        self.requests = counter("response_requests_total", "Responses asked for", "reason")
        self.responses = counter("responses_total", "Responses that ended", "status")
        self.pending_inputs = counter("pending_inputs_total", "Inputs that had to wait")
        self.pending_wait = histogram(
            "pending_wait_seconds", "How long input waited for its request", _WAITS
        )
        self.conflicts = counter(
            "response_conflicts_total", "Requests the model refused because one was active"
        )
        self.retries = counter("response_retries_total", "Responses asked for again", "attempt")
        self.watchdog = counter("watchdog_total", "Answers of the model overdue", "rung")
        self.barge_ins = counter("barge_ins_total", "Times the caller spoke over the agent")
        self.false_interruptions = counter("false_interruptions_total", "Pauses for a cough")
        self.truncations = counter("truncations_total", "Items cut to what was heard")
        self.reconnects = counter(
            "model_reconnects_total", "Model sessions replaced in mid-call", "reason"
        )
        self.latency = histogram(
            "turn_latency_seconds",
            "From the caller's last speech to the first agent audio sent to the caller",
            _LATENCIES,
        )
        about = "The parts of a turn's latency, up to the answer heard"
        self.intervals = histogram("turn_interval_seconds", about, _INTERVALS, "interval")
        self.refusals = counter("rejected_total", "Requests turned away", "endpoint", "reason")
        self.tokens = counter("tokens_total", "Tokens the model used", "kind")
        self.bad_messages = counter(
            "bad_messages_total", "Messages of a peer that could not be used", "peer", "kind"
        )
        self.violations = counter(
            "invariant_violations_total", "Bugs of ours in the response lifecycle; stays 0"
        )
        self.calls_limit, self.loop_lag = _load(registry)
        self._bad_kinds, self._endpoints, self._refusal_reasons = _Slugs(), _Slugs(), _Slugs()
        for telephony in TELEPHONY:
            self.calls_active.labels(telephony)  # a gauge nobody has touched is not shown

    def call_metrics(self, telephony: str) -> "CallMetrics":
        """For one call on ``audiocodes`` or ``twilio``."""
        return CallMetrics(self, _one_of(TELEPHONY, telephony))

    def rejected(self, endpoint: str, reason: str) -> None:
        """A request was turned away; both are slugs of ours, such as ``twilio-voice`` and
        ``bad-signature``, never anything of the request."""
        self.refusals.labels(self._endpoints(endpoint), self._refusal_reasons(reason)).inc()

    def bad_message(self, peer_and_kind: str) -> None:
        """``peer:kind``, as the note says it."""
        peer, _, kind = peer_and_kind.partition(":")
        self.bad_messages.labels(_one_of(PEERS, peer), self._bad_kinds(kind)).inc()


def as_text(registry: CollectorRegistry) -> bytes:
    """What ``/metrics`` answers: the metrics that are documented, and no others."""
    return generate_latest(_Documented(registry))


class _Documented:
    """Without the library's own ``…_created`` series, which say when each counter was first
    touched: they are as many again as there are counters, and nobody asked for them. Its own
    switch is the whole process's, which may be another's program."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [one for one in metric.samples if not one.name.endswith("_created")]
            yield metric


class CallMetrics:
    """One call's: tell it when the call begins, and show it every event and effect."""

    def __init__(self, metrics: Metrics, telephony: str) -> None:
        self._metrics = metrics
        self._telephony = telephony
        self._active = self._over = False
        self._done: list[str] = []  # the latest responses
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.ResponseDone: self._response_done,
            effects.CreateResponse: self._response_requested,
            effects.Note: self._noted,
            effects.EndCall: self._ended,
        }

    @property
    def wanted(self) -> Iterable[type]:
        """What :meth:`observe` makes anything of."""
        return self._handlers

    def call_began(self) -> None:
        if not self._active:
            self._active = True
            self._metrics.calls_active.labels(self._telephony).inc()

    def observe(self, what: Event | Effect, now: float) -> None:
        handler = self._handlers.get(type(what))
        if handler is not None:
            handler(what)

    def _ended(self, effect: effects.EndCall) -> None:
        """A call ends once, and only one that began leaves the gauge."""
        if self._over:
            return
        self._over = True
        if self._active:
            self._active = False
            self._metrics.calls_active.labels(self._telephony).dec()
        outcome, reason = effect.ending.outcome.value, _one_of(REASONS, effect.ending.reason)
        self._metrics.calls.labels(self._telephony, outcome, reason).inc()

    def _response_requested(self, effect: effects.CreateResponse) -> None:
        self._metrics.requests.labels(_causes(effect.why)).inc()

    def _response_done(self, event: events.ResponseDone) -> None:
        if event.response_id in self._done:
            return  # it is told twice
        remember(self._done, event.response_id)
        if event.in_conversation:
            self._metrics.responses.labels(_one_of(STATUSES, event.status)).inc()
        if event.usage is not None:  # out of band ones are paid for too
            for kind in TOKENS:
                self._metrics.tokens.labels(kind).inc(getattr(event.usage, kind))

    def _noted(self, note: effects.Note) -> None:
        metrics = self._metrics
        match note.kind:
            case "pending":
                metrics.pending_inputs.inc()
            case "pending-wait" | "turn-latency" | "turn-interval":
                self._took(note)
            case "conflict":
                metrics.conflicts.inc()
            case "retry":
                attempt = int(note.value)
                metrics.retries.labels(str(attempt) if 1 <= attempt <= _ATTEMPTS else OTHER).inc()
            case "watchdog":
                metrics.watchdog.labels(_one_of(RUNGS, note.reason)).inc()
            case "barge-in":
                metrics.barge_ins.inc()
            case "false-interruption":
                metrics.false_interruptions.inc()
            case "truncated":
                metrics.truncations.inc()
            case "violation":
                metrics.violations.inc()
            case "bad-message":
                metrics.bad_message(note.reason)
            case "unknown-message":
                metrics.bad_message(f"{note.reason}:unknown")
            case "model-back":
                metrics.reconnects.labels(_one_of(REASONS, note.reason)).inc()
            case "stray" if note.reason in ("mark", "after-end"):
                metrics.bad_message(f"{self._telephony}:stray-acknowledgement")
            case _:
                pass  # the others are for the trace

    def _took(self, note: effects.Note) -> None:
        metrics = self._metrics
        match note.kind:
            case "pending-wait":
                metrics.pending_wait.observe(note.value)
            case "turn-latency":
                metrics.latency.observe(note.value)
            case _:
                metrics.intervals.labels(_one_of(INTERVALS, note.reason)).observe(note.value)


class _Slugs:
    """Lets the first slugs it meets through, and calls the rest ``other``."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, slug: str) -> str:
        if slug in self._known:
            return slug
        if len(self._known) >= _SLUGS or not _SLUG.fullmatch(slug):
            return OTHER
        self._known.add(slug)
        return slug


def _one_of(known: "tuple[str, ...] | dict[str, Any]", value: str) -> str:
    return value if value in known else OTHER


def _causes(why: str) -> str:
    """The causes of a request in one order, whichever came first: 255 values at most."""
    given = set(why.split("+"))
    known = [cause.value for cause in Why if cause.value in given]
    return "+".join(known) if len(known) == len(given) else OTHER


def _load(registry: CollectorRegistry) -> tuple[Gauge, Gauge]:
    """How many calls may be under way, and how late the process is."""
    return (
        Gauge("opusbridge_calls_limit", "Calls that may be under way; 0 is any", registry=registry),
        Gauge(
            "opusbridge_loop_lag_seconds",
            "How late the event loop came to what was due, at worst in ten seconds",
            registry=registry,
        ),
    )
