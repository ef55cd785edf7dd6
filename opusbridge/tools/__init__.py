"""What the model may do: the ``@tool`` decorator, and the tools of the telephone."""

from opusbridge.tools.context import CallContext
from opusbridge.tools.registry import Tool, ToolFailed, tool
from opusbridge.tools.signature import Destination
from opusbridge.tools.telephony import hang_up, transfer_call

__all__ = ["CallContext", "Destination", "Tool", "ToolFailed", "hang_up", "tool", "transfer_call"]
