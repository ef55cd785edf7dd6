"""What the model may do: the ``@tool`` decorator, and the tools of the telephone."""

from opusbridge.tools.context import CallContext, Digits
from opusbridge.tools.mcp import McpRequest, McpServer
from opusbridge.tools.outcome import CallOutcome
from opusbridge.tools.registry import Tool, ToolFailed, tool
from opusbridge.tools.signature import Destination
from opusbridge.tools.telephony import collect_digits, hang_up, send_dtmf, transfer_call

__all__ = [
    "CallContext",
    "CallOutcome",
    "Destination",
    "Digits",
    "McpRequest",
    "McpServer",
    "Tool",
    "ToolFailed",
    "collect_digits",
    "hang_up",
    "send_dtmf",
    "tool",
    "transfer_call",
]
