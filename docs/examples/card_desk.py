"""A card-replacement desk: three tools, a PIN that only the bank sees, and a transfer.

    opusbridge serve --agent docs/examples/card_desk.py

The caller says his customer number, types his PIN and gets a new card; a stolen card goes to the
fraud desk, and so does whoever presses 0. The bank is a dict here; yours is behind an API.
"""

import hmac
from dataclasses import dataclass
from typing import Literal

from opusbridge import Agent, CallContext, CallOutcome, tool
from opusbridge.tools import ToolFailed, hang_up, transfer_call

#: Wrong PINs after which only a person can help.
MOST_TRIES = 3
PIN_LENGTH = 4


@dataclass
class Customer:
    name: str
    pin: str
    cards_sent: int = 0


BANK = {
    "4711": Customer("Robin Keller", "8392"),
    "4712": Customer("Alex Larsen", "2047"),
}

#: Yours are in a database.
BOOKS: list[str] = []


@tool(timeout_seconds=3)
async def find_customer(customer_number: str, call: CallContext) -> dict[str, str]:
    """Find the customer who calls. Always the first step.

    Args:
        customer_number: Four digits, as the caller said them.
    """
    if customer_number not in BANK:
        raise ToolFailed("there is no such customer: ask for the number again")
    call.state.update(customer=BANK[customer_number], known=False)
    return {"name": BANK[customer_number].name}


@tool(timeout_seconds=60)  # the caller may have to look for it
async def check_pin(call: CallContext) -> dict[str, bool | int]:
    """Have the caller type the PIN on the telephone, and check it. First ask for it."""
    if "customer" not in call.state:
        raise ToolFailed("first find the customer")
    tries = call.state["tries"] = call.state.get("tries", 0) + 1
    if tries > MOST_TRIES:
        raise ToolFailed("too many wrong PINs: transfer the caller to fraud")
    digits = await call.collect_digits(PIN_LENGTH, timeout=15, secret=True)
    right = hmac.compare_digest(digits.value, call.state["customer"].pin)
    call.state["known"] = right
    return {"right": right, "tries_left": MOST_TRIES - tries}


@tool(timeout_seconds=3)
async def replace_card(reason: Literal["lost", "broken"], call: CallContext) -> dict[str, str]:
    """Block the card and send a new one.

    Args:
        reason: A stolen card is not replaced here: transfer the caller to fraud.
    """
    if not call.state.get("known"):
        raise ToolFailed("first check the PIN")
    call.state["customer"].cards_sent += 1
    return {"arrives": "within five working days"}


async def on_end(outcome: CallOutcome) -> None:
    """A line for each call."""
    customer = outcome.state.get("customer")
    told = "nobody known" if customer is None else f"{customer.cards_sent} card(s) sent"
    BOOKS.append(f"call {outcome.call_id} {outcome.call['ending']['reason']}: {told}")


agent = Agent(
    name="card-desk",
    instructions=(
        "You are the card desk of a bank, on the telephone. Be brief and calm. "
        "Ask for the customer number and find the customer, then ask the caller to type the PIN "
        "and check it. Nobody may say a PIN aloud: if somebody begins to, ask him to type it. "
        "Then replace the card. A stolen card goes to fraud at once, as does a caller whose "
        "PIN was wrong three times. In the end say goodbye and hang up."
    ),
    greeting="Say that this is the card desk and ask for the customer number.",
    tools=[find_customer, check_pin, replace_card, transfer_call, hang_up],
    destinations={"fraud": "+15550100300"},
    keys={"0": "transfer:fraud"},
    on_end=on_end,
)
