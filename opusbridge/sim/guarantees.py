"""What every call must satisfy, whatever befalls it: the promises, each by its name.

The parties of a simulated call object in sentences; here each sentence is put under the
promise it breaks, so that a report can name every promise and whether it held.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from opusbridge.errors import Outcome
from opusbridge.sim.callers import SimulatedAudioCodes, SimulatedTwilio
from opusbridge.sim.checks import SpokenItem, heard_of
from opusbridge.sim.witness import SEAM_MS, cleared_at
from opusbridge.sim.world import SimulatedCall


@dataclass(frozen=True, slots=True)
class Guarantee:
    name: str
    promise: str
    broken: re.Pattern[str]
    """What an objection says that means this one."""


def _guarantee(name: str, promise: str, *signs: str) -> Guarantee:
    return Guarantee(name, promise, re.compile("|".join(signs)))


GUARANTEES: tuple[Guarantee, ...] = (
    _guarantee(
        "one-response",
        "at most one response is asked for or active",
        "while a request was unanswered",
        "while a response was active",
        "engine: two-requests",
        "awaited the service's own",
    ),
    _guarantee(
        "cancel-first",
        "none is asked for between a cancel and its done",
        "between a cancel and its done",
    ),
    _guarantee(
        "caller-first",
        "none is asked for while the caller is speaking",
        "while the caller was speaking",
    ),
    _guarantee(
        "turns-answered",
        "every turn of the caller's is answered, or was followed by newer speech",
        "the turn .* was never answered",
        "waited in vain for the agent",
        "nothing was heard for",
    ),
    _guarantee(
        "asked-again",
        "every refused or failed request is asked again or given up aloud",
        "gave up",
        "the (output|result|request) .* was never answered",
    ),
    _guarantee(
        "tools-once",
        "every tool call gets exactly one output, and a batch one answer",
        "the tool call",
        "every tool call",
        "batch of tool outputs",
    ),
    _guarantee("cut-is-cut", "nothing of a cut response is heard", "heard after it had been cut"),
    _guarantee(
        "honest-truncation",
        "the model is told what was really heard",
        "truncated",
        "were ever heard",
    ),
    _guarantee("unique-marks", "no mark is used twice", "mark names"),
    _guarantee(
        "comes-to-rest",
        "everything comes to rest",
        "still waits for something",
        "the call has not ended",
        "end of the call",
    ),
    _guarantee("one-ending", "there is one ending", "endings instead of one"),
    _guarantee(
        "whole-recording",
        "the recording is as long as the call, and has what was heard where it was heard",
        "in the recording",
    ),
    _guarantee("good-manners", "the providers' own rules are kept", ""),
)
"""The last takes whatever no other does."""


def broken(objections: Iterable[str]) -> dict[str, list[str]]:
    """Every guarantee by name, with what was said against it; nothing is well."""
    found: dict[str, list[str]] = {guarantee.name: [] for guarantee in GUARANTEES}
    for sentence in objections:
        name = next(one.name for one in GUARANTEES if one.broken.search(sentence))
        found[name].append(sentence)
    return found


#: What the model's referee takes for rash.
_RASH = ("model: a response was asked for", "model: a second response was asked for")


def judged(call: SimulatedCall, said_sorry: bool, as_written: bool = False) -> list[str]:
    """The verdict on a call at rest, with what nobody can be blamed for left out.

    ``said_sorry``: the person heard the stored apology. ``as_written``: what he says, and when,
    was not left to chance.
    """
    found = [what for what in call.verdict() if "moment to interrupt" not in what]
    ignored = coughs(call)
    found = [what for what in found if not excused(what, ignored)]
    if call.faults.delays_model:
        # The referee at the far end of a slow wire takes what is late for rash; the watch at
        # the bridge's own end ("door: …"), which knows the same rules, does not.
        found = [what for what in found if not what.startswith(_RASH)]
    troubled = call.faults.befalling("telephony", call.over_at)
    if troubled:
        # An answer that the network holds back is not missing.
        found = [what for what in found if not what.startswith("caller: no answer to")]
        # And of what it still holds when the line is hung up nobody could know.
        last = [f" of {item.item_id} were ever heard" for item in _under_way(call)]
        found = [what for what in found if not what.endswith(tuple(last))]
    if not as_written and not hears_everything(call):
        # What is said while the agent is heard never leaves AudioCodes: nobody can answer it.
        found = [what for what in found if "for the agent to speak" not in what]
    if any(one.kind == "half-open" for one in troubled):
        # On a dead line he waits in vain for whomever.
        found = [what for what in found if "waited in vain for the agent" not in what]
    if any(ending.outcome is Outcome.MODEL for ending in call.endings):
        found = [what for what in found if not what.endswith("was never answered")]
        if not said_sorry and can_be_told(call):
            found.append("the bridge gave up without a word")
    return found


def unjudged(call: SimulatedCall) -> set[str]:
    """The promises that nobody could have found broken in this call, or not in all they say."""
    found = set[str]()
    if not isinstance(call.caller, SimulatedTwilio):
        found.add("unique-marks")  # there are none
    troubled = call.faults.befalling("telephony", call.over_at)  # late or wrong?
    if troubled or not call.witness.compares(call.caller):
        found |= {"cut-is-cut", "honest-truncation"}
    befell = {one.kind for one in call.faults.befalling("model", call.over_at)}
    if call.given_up or call.model.session_lost or befell & {"drop", "half-open"}:
        found |= {"turns-answered", "asked-again", "tools-once"}  # what a lost session owes
    if any(ending.outcome is Outcome.MODEL for ending in call.endings):
        found.add("turns-answered")  # whoever gives up answers nothing more
    return found


def _under_way(call: SimulatedCall) -> list[SpokenItem]:
    """What the network may still hold at the end: the last item, and those before it that came
    late enough, back to the first of which anything was heard."""
    ended_at = call.caller.ended_at or 0.0
    since = ended_at - call.faults.lateness(call.over_at)
    cleared, found = cleared_at(call.caller), list[SpokenItem]()
    for item in reversed(call.witness.items):
        if found and item.spoken_at < since:
            break
        found.append(item)
        if heard_of(item, call.caller.heard, inf, cleared, SEAM_MS):
            break
    return found


def can_be_told(call: SimulatedCall) -> bool:
    """Whether an apology must reach the caller: he did not leave, nor does his line withhold it."""
    left = any(deed.kind in ("hangs-up", "drops") for deed in call.caller.person.diary)
    line = {mishap.kind for mishap in call.faults.befalling("telephony", call.over_at)}
    return not left and line <= {"stall"}


def hung_up_in_stall(call: SimulatedCall) -> bool:
    """Whether the end of the call came to the caller out of a stall, with all that was held up
    before it: whoever hung up said everything in time, and could not know that it was not heard.
    """
    ended_at = (call.caller.ended_at or 0.0) / (1 + call.faults.clock_skew)
    late = call.surroundings.slowest_telephony
    return any(
        one.kind == "stall"
        and one.side == "telephony"
        and one.at < ended_at <= one.at + one.seconds + late
        for one in call.faults.network
    )


def hears_everything(call: SimulatedCall) -> bool:
    """Whether all that the caller says reaches the bridge: AudioCodes may withhold some."""
    return not isinstance(call.caller, SimulatedAudioCodes) or call.caller.barge_in


def coughs(call: SimulatedCall) -> set[str]:
    """The turns that the bridge judged to be none."""
    return {note.ids[0] for note in call.notes if note.kind == "false-interruption"}


def excused(what: str, ignored: set[str]) -> bool:
    """Whether it is a complaint that nobody answered a cough, of which these are the turns."""
    return what.endswith("was never answered") and what.split()[-4] in ignored
