"""Test your own agent: scripted calls in virtual time, or against a bridge that runs.

With pytest the fixtures are there as soon as opusbridge is installed::

    def test_orders_are_found(call_script):
        call = call_script("order.toml", agent=agent)
        assert call.ok, call.report

Without it, :func:`call_script` is a plain function. ``docs/topics/testing-your-agent.md`` has
more. Nothing of this needs pytest, a key, a telephone or a network.
"""

from opusbridge.replay import assert_replays
from opusbridge.sim.evidence import ToolRun
from opusbridge.sim.script import CallScript
from opusbridge.testing.playing import call_script, load_script, simulated_caller, simulated_model
from opusbridge.testing.refused import NoCall
from opusbridge.testing.result import CallResult
from opusbridge.testing.serving import RunningModel

__all__ = [
    "CallResult",
    "NoCall",
    "CallScript",
    "RunningModel",
    "ToolRun",
    "assert_replays",
    "call_script",
    "load_script",
    "simulated_caller",
    "simulated_model",
]
