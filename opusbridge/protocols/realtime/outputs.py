"""What the items of a response come to for who is on the telephone, as the server shows them.

Of an item that says too little the best is thought: it may have been heard.
"""

from typing import Any


def cut_off_call(item: Any) -> bool:
    """It is not run, and nobody hears it."""
    if not isinstance(item, dict) or item.get("type") not in ("function_call", "mcp_call"):
        return False
    return item.get("status") == "incomplete"


def soundless(item: Any) -> bool:
    """A message in text, or without anything in it: nobody hears it."""
    if not isinstance(item, dict) or item.get("type") != "message":
        return False
    content = item.get("content")
    return content == [] or written(content)


def written(content: Any) -> bool:
    """There is something in it, and all of it is text."""
    return isinstance(content, list) and bool(content) and all(map(_is_text, content))


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in ("output_text", "text")
