"""An appointment desk in German: what the model reads and says is in the caller's language.

    OPUSBRIDGE_LANGUAGE=de OPUSBRIDGE_SPEECH_DIR=docs/examples/speech \\
        opusbridge serve --agent docs/examples/praxis.py

The tools' names, docstrings and results are German, too: the model then stays in it. Whoever
calls from a number that is known is greeted by name (``configure``). The calendar is a dict here.
"""

from typing import Literal

from opusbridge import Agent, CallContext, tool
from opusbridge.manners import NoInput
from opusbridge.tools import ToolFailed, hang_up

Tag = Literal["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"]

FREI: dict[str, list[str]] = {
    "Montag": ["9 Uhr", "14 Uhr 30"],
    "Dienstag": [],
    "Mittwoch": ["10 Uhr"],
    "Donnerstag": ["8 Uhr", "16 Uhr"],
    "Freitag": ["11 Uhr 15"],
}
PATIENTEN = {"+15550104477": "Frau Keller"}


@tool(timeout_seconds=3)
async def freie_zeiten(tag: Tag) -> dict[str, list[str] | str]:
    """Freie Zeiten an einem Tag der kommenden Woche.

    Args:
        tag: Der Wochentag.
    """
    return {"tag": tag, "zeiten": FREI[tag]}


@tool(timeout_seconds=3)
async def termin_buchen(tag: Tag, zeit: str, name: str, call: CallContext) -> dict[str, str]:
    """Einen Termin fest buchen. Vorher Tag, Zeit und Namen wiederholen lassen.

    Args:
        tag: Der Wochentag.
        zeit: Eine der freien Zeiten dieses Tages, im selben Wortlaut.
        name: Vor- und Nachname.
    """
    if zeit not in FREI[tag]:
        raise ToolFailed("diese Zeit ist nicht frei: nennen Sie die freien Zeiten")
    FREI[tag].remove(zeit)
    call.state["termin"] = (tag, zeit, name)
    return {"status": "gebucht", "tag": tag, "zeit": zeit}


async def configure(call: CallContext) -> dict[str, str] | None:
    """Wer bekannt ist, wird mit Namen begrüßt."""
    name = PATIENTEN.get(call.caller or "")
    return None if name is None else {"greeting": f"Begrüßen Sie {name} und fragen Sie, wann."}


agent = Agent(
    name="praxis",
    instructions=(
        "Sie sind der Empfang einer Zahnarztpraxis am Telefon und vergeben Termine für die "
        "kommende Woche. Sprechen Sie Deutsch, siezen Sie, und sagen Sie höchstens zwei kurze "
        "Sätze am Stück. Nennen Sie nie mehr als zwei freie Zeiten auf einmal. Bei Schmerzen "
        "bieten Sie die früheste Zeit an. Verabschieden Sie sich, bevor Sie auflegen."
    ),
    greeting="Melden Sie sich mit: Zahnarztpraxis am Park, guten Tag. Fragen Sie, wann es passt.",
    tools=[freie_zeiten, termin_buchen, hang_up],
    no_input=NoInput(
        after_seconds=8,
        nudges=("Fragen Sie, ob noch jemand da ist.",),
        goodbye="Sagen Sie, dass Sie nichts hören, und verabschieden Sie sich.",
    ),
    configure=configure,
)
