"""Where a key goes: to whoever collects digits, to the agent's own map, or to the model.

A collection takes every key while it lasts. Otherwise a key of the agent's map acts at once if
it was pressed by itself; in the middle of a number it is a digit like any other. What is left
becomes an input of the caller's, which the model reads.

Keys of a secret collection are nobody else's: those that still come close behind it are
swallowed too, for who types one digit too many has not stopped typing the secret. Who waits for
digits by then gets them all the same, but as a secret. What was typed before anybody asked is
none of them: it was written down when it came, like any other key.
"""

from dataclasses import dataclass, field

from opusbridge import effects, events
from opusbridge.call.machines import earliest, is_due
from opusbridge.call.policy import CallPolicy, KeyAction
from opusbridge.call.turns import Keypad
from opusbridge.privacy import Private

#: No number that people type is longer.
MOST_DIGITS = 64
#: Keys so close behind a secret are still part of it, and so is the tone of its last key, however
#: soon keys are one input otherwise.
SECRET_TAIL_SECONDS = 1.5


@dataclass(slots=True, repr=False)
class Collection:
    """Somebody waits for digits."""

    wanted: events.DigitsWanted
    asked_at: float
    deadline: float
    digits: str = ""
    since: float = 0.0
    """When the first of them was pressed."""
    secret: bool = False
    """What is delivered may be written down nowhere."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """What keys led to."""

    inputs: tuple[Private[str], ...] = ()
    """For the model, oldest first."""
    since: float | None = field(default=None, compare=False)
    """When the last of them began."""
    action: KeyAction | None = None
    digit: str = ""
    """The key that stands for it."""
    delivery: effects.DeliverDigits | None = None
    delivered_since: float = field(default=0.0, compare=False)
    """When the first key of what is delivered was pressed."""
    taken: bool = False
    """A collection took them: what the agent was saying has been answered."""

    @property
    def secret(self) -> bool:
        """Whether what is delivered is one."""
        return self.delivery is not None and self.delivery.secret


@dataclass(slots=True)
class _Tail:
    """Keys that may still follow a collection."""

    until: float
    secret: bool
    terminator: str


@dataclass(slots=True)
class KeyDesk:
    """Times are seconds; every method takes ``now``."""

    policy: CallPolicy
    _keypad: Keypad = field(init=False)
    _collection: Collection | None = None
    _tail: _Tail | None = None

    def __post_init__(self) -> None:
        self._keypad = Keypad(self.policy.dtmf_gap)

    @property
    def collecting(self) -> bool:
        return self._collection is not None

    @property
    def secret(self) -> bool:
        """Whether what comes from the caller now may be a secret."""
        collecting = self._collection is not None and self._collection.wanted.secret
        return collecting or (self._tail is not None and self._tail.secret)

    def press(self, digits: Private[str], now: float) -> Pressed:
        keys, tail, collection = digits.value, self._tail, self._collection
        if tail is not None and tail.secret:
            tail.until = self._secret_until(now)
            if collection is None:
                return Pressed()
            collection.secret = True
        if collection is not None:
            return self._take(keys, now, now)
        if tail is not None:
            keys = keys.removeprefix(tail.terminator)
            self._tail = None
        if keys in self.policy.keys and self._keypad.deadline is None:
            return Pressed(action=self.policy.keys[keys], digit=keys)
        inputs = tuple(self._keypad.press(Private(keys), now))
        return Pressed(inputs, self._keypad.since)

    # --- Collecting ---------------------------------------------------------------------

    def want(self, wanted: events.DigitsWanted, now: float) -> Pressed:
        """Begin, with what was typed just before unless it is to be secret; one at a time."""
        if self._collection is not None:
            return Pressed(delivery=_delivery(wanted, "", "busy"))
        if self._tail is not None and not self._tail.secret:
            self._tail = None
        due = now + wanted.timeout_seconds
        self._collection = Collection(wanted, now, due, secret=wanted.secret)
        ahead = self._keypad.take()
        if wanted.secret or not ahead:
            return Pressed()
        return self._take(ahead[0].value, now, self._keypad.since)

    def drop(self, collection_id: str, now: float) -> None:
        """Nobody waits for them any more."""
        collection = self._collection
        if collection is not None and collection.wanted.collection_id == collection_id:
            self._over(collection, now)

    def look(self, silent_at: float) -> None:
        """``silent_at``: when the caller will have heard what he is asked for."""
        collection = self._collection
        if collection is not None and not collection.digits:
            heard_at = max(collection.asked_at, silent_at)
            collection.deadline = heard_at + collection.wanted.timeout_seconds

    def _take(self, keys: str, now: float, since: float) -> Pressed:
        """``since``: when the first of these keys was pressed."""
        collection = self._collection
        assert collection is not None
        if not collection.digits:
            collection.since = since
        wanted = collection.wanted
        longest = min(wanted.length or MOST_DIGITS, MOST_DIGITS)
        for place, key in enumerate(keys, 1):
            if key == wanted.terminator:
                return self._complete(collection, "terminator", keys[place:], now)
            collection.digits += key
            if len(collection.digits) == longest:
                return self._complete(collection, "length", keys[place:], now)
        collection.deadline = now + wanted.timeout_seconds
        return Pressed(taken=True)

    def _complete(self, collection: Collection, how: str, rest: str, now: float) -> Pressed:
        wanted = collection.wanted
        self._over(collection, now)
        if how == "length" and wanted.terminator and self._tail is None:
            self._tail = _Tail(now + self.policy.dtmf_gap, False, wanted.terminator)
        left = self.press(Private(rest), now) if rest else Pressed()
        return Pressed(
            left.inputs,
            left.since,
            left.action,
            left.digit,
            delivery=_delivery(wanted, collection.digits, how, collection.secret),
            delivered_since=collection.since,
            taken=True,
        )

    def _over(self, collection: Collection, now: float) -> None:
        self._collection = None
        if collection.wanted.secret:
            self._tail = _Tail(self._secret_until(now), True, "")

    def _secret_until(self, now: float) -> float:
        return now + max(self.policy.dtmf_gap, SECRET_TAIL_SECONDS)

    # --- Time ---------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        due = (
            self._keypad.deadline,
            self._collection.deadline if self._collection else None,
            self._tail.until if self._tail else None,
        )
        return earliest(*due)

    def timed_out(self, now: float) -> Pressed:
        if self._tail is not None and is_due(self._tail.until, now):
            self._tail = None
        collection = self._collection
        if collection is not None and is_due(collection.deadline, now):
            self._over(collection, now)
            wanted, digits = collection.wanted, collection.digits
            return Pressed(
                delivery=_delivery(wanted, digits, "timeout", collection.secret),
                delivered_since=collection.since,
            )
        if is_due(self._keypad.deadline, now):
            return Pressed(tuple(self._keypad.take()), self._keypad.since)
        return Pressed()


def _delivery(
    wanted: events.DigitsWanted, digits: str, how: str, secret: bool = False
) -> effects.DeliverDigits:
    return effects.DeliverDigits(wanted.collection_id, Private(digits), how, secret)
