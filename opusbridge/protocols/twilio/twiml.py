"""The few TwiML documents we answer webhooks and redirect calls with."""

import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

#: Twilio wants name and value of a ``<Parameter>`` together to stay under this many characters.
PARAMETER_LIMIT = 500

#: Seconds a transfer's target may ring; a caller who waits longer believes the line is dead.
RING_SECONDS = 20

#: What XML 1.0 cannot hold, not even escaped. A caller's name may be made of anything.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)

#: A ``tel:`` address may have them, for the eye alone.
_SEPARATORS = str.maketrans("", "", "-.()")


def connect_stream(stream_url: str, parameters: Mapping[str, str]) -> str:
    """Join the caller to our socket; ``parameters`` come back in the stream's ``start``.

    Nothing follows ``</Connect>``: when the stream ends, so does the call. Raises
    ValueError for what Twilio would drop: a query in the URL, a parameter too long.
    """
    if "?" in stream_url:
        raise ValueError("a stream URL may have no query: Twilio drops it")
    response = Element("Response")
    stream = SubElement(SubElement(response, "Connect"), "Stream", url=_clean(stream_url))
    for name, value in parameters.items():
        if len(name) + len(value) >= PARAMETER_LIMIT:
            raise ValueError(f"a stream parameter must stay under {PARAMETER_LIMIT} characters")
        SubElement(stream, "Parameter", name=_clean(name), value=_clean(value))
    return _document(response)


def say_and_hang_up(message: str) -> str:
    response = Element("Response")
    SubElement(response, "Say").text = _clean(message)
    SubElement(response, "Hangup")
    return _document(response)


def hang_up() -> str:
    response = Element("Response")
    SubElement(response, "Hangup")
    return _document(response)


def press(digits: str, action: str) -> str:
    """Send these keys (``0-9 * #``) to the caller's end; then Twilio asks at ``action``."""
    response = Element("Response")
    SubElement(response, "Play", digits=_clean(digits))
    SubElement(response, "Redirect", method="POST").text = _clean(action)
    return _document(response)


def dial(
    target: str,
    caller_id: str | None = None,
    timeout: int = RING_SECONDS,
    action: str | None = None,
) -> str:
    """Hand the caller over to ``target``, which rings for ``timeout`` seconds at most.

    Twilio asks at the URL ``action`` how to go on when the call there is over, or nobody took
    it; without one the caller is hung up then.

    ``target`` is from the agent's list and never the model's own text. What is not
    :func:`diallable` is a ValueError.
    """
    response = Element("Response")
    # The caller goes on hearing the ringing until the other party really answers.
    dialled = SubElement(response, "Dial", answerOnBridge="true", timeout=str(timeout))
    if action is not None:
        dialled.set("action", _clean(action))
        dialled.set("method", "POST")
    if caller_id is not None:
        dialled.set("callerId", _clean(caller_id))
    if (number := _number(target)) is not None:
        SubElement(dialled, "Number").text = number
    elif diallable(target):
        SubElement(dialled, "Sip").text = _clean(target)
    else:
        raise ValueError("a transfer needs a number in E.164 form or a SIP address")
    return _document(response)


def caller_id(target: str, caller: str, ours: Iterable[str | None]) -> str | None:
    """As whom ``target`` sees a caller whom Twilio cannot show as he is: the first number among
    ``ours``. ``None``: it is left to Twilio, which shows himself.

    Who called by Twilio's Voice SDK (``client:name``) is nobody to dial for without one (error
    13214), and a number is shown nothing but a number.
    """
    as_he_is = _number(target) is None and not caller.startswith("client:")
    if as_he_is or _E164.fullmatch(caller):
        return None
    return next((number for number in ours if number and _E164.fullmatch(number)), None)


def diallable(target: str) -> bool:
    """Whether Twilio can: an E.164 number (``+…`` or ``tel:+…``) or a ``sip:`` address.

    Not a number without its country, nor one with parameters: behind ``;ext=`` is somebody
    whom the number alone does not reach.
    """
    return _number(target) is not None or target.startswith(("sip:", "sips:"))


def _number(target: str) -> str | None:
    """As Twilio wants it; ``None`` if it is none."""
    number = target
    if target.startswith("tel:"):
        number = target.removeprefix("tel:").translate(_SEPARATORS)
    return number if _E164.fullmatch(number) else None


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)


def _document(response: Element) -> str:
    body = ElementTree.tostring(response, encoding="unicode")
    return '<?xml version="1.0" encoding="UTF-8"?>' + body
