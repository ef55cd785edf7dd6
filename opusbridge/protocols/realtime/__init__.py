"""The Realtime API: the model's side of a call, as the wire has it."""

from opusbridge.protocols.realtime.errors import PERMANENT_CODES, loss, refusal
from opusbridge.protocols.realtime.protocol import RealtimeProtocol

__all__ = ["PERMANENT_CODES", "RealtimeProtocol", "loss", "refusal"]
