"""The pretend Realtime model: the service's side of the socket, strict, in its own words.

``server`` is the whole of it; ``session``, ``turns``, ``responses`` and ``conversation`` are its
parts; ``knobs`` says how it behaves and ``replies`` what it says; ``referee`` judges the client.
"""

from opusbridge.sim.model.knobs import Fault, FaultKind, Knobs
from opusbridge.sim.model.replies import McpCallReply, Reply, ReplyScript, ToolCallReply
from opusbridge.sim.model.server import SimulatedModel
from opusbridge.sim.model.wire import Happening

__all__ = [
    "Fault",
    "FaultKind",
    "Happening",
    "Knobs",
    "McpCallReply",
    "Reply",
    "ReplyScript",
    "SimulatedModel",
    "ToolCallReply",
]
