"""Copying a response lifecycle, and telling when two are the same.

Both work on the attributes the machines happen to have, so that a machine may gain or lose
one without this file's knowing. Sameness is up to what cannot matter:

* time is relative to now, in steps of 50 ms, with the order of all instants; what is long
  past is only past;
* ids are numbered in the order in which they are met; where a machine only asks whether an
  id is among those it remembers, ids that nobody can ever mention again are left out;
* counters that only number requests, and instants that are only reported, are left out.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar

from opusbridge.call.policy import ResponsePolicy

T = TypeVar("T")

#: Attributes no decision depends on: they number requests, or go into reports.
REPORTED_ONLY = frozenset({"_requests", "since"})
#: Attributes that are only ever asked whether an id is in them.
MEMORIES = frozenset({"over"})
#: Seconds. The machines compare past instants with each other and with "two seconds ago",
#: never with anything older; so beyond this one past is like another.
PAST_MATTERS = 5.0
#: The shortest wait there is: finer differences come from the order of the steps.
PER_SECOND = 20

# --- Copying ----------------------------------------------------------------------------

_UNCHANGEABLE = (str, int, float, type(None), tuple, frozenset, Enum)
_Memo = dict[int, Any]
_Copier = Callable[[Any, _Memo], Any]
_copiers: dict[type, _Copier | None] = {}


def clone(thing: T) -> T:
    """A copy that shares with the original only what cannot change, and within itself what
    the original shares within itself."""
    copied: T = _copy(thing, {})
    return copied


def _copy(thing: Any, memo: _Memo) -> Any:
    kind = type(thing)
    if kind not in _copiers:
        _copiers[kind] = _copier(kind)
    copier = _copiers[kind]
    return thing if copier is None else copier(thing, memo)


def _copier(kind: type) -> _Copier | None:
    if issubclass(kind, _UNCHANGEABLE) or _is_frozen(kind):
        return None
    if kind in (deque, set):
        return lambda thing, _: thing.copy()
    if kind is list:
        return lambda thing, memo: [_copy(one, memo) for one in thing]
    if kind is dict:
        return lambda thing, memo: {key: _copy(value, memo) for key, value in thing.items()}
    if hasattr(kind, "__slots__"):
        return _copier_of_slots(kind, tuple(kind.__slots__))
    return _copy_of_dict


def _is_frozen(kind: type) -> bool:
    return is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # undeclared


def _copier_of_slots(kind: type, names: tuple[str, ...]) -> _Copier:
    def copy(thing: Any, memo: _Memo) -> Any:
        known = memo.get(id(thing))
        if known is not None:
            return known
        new: Any = object.__new__(kind)
        memo[id(thing)] = new
        for name in names:
            value = getattr(thing, name)
            copier = _copiers.get(type(value), _copy)
            setattr(new, name, value if copier is None else copier(value, memo))
        return new

    return copy


def _copy_of_dict(thing: Any, memo: _Memo) -> Any:
    known = memo.get(id(thing))
    if known is not None:
        return known
    new = memo[id(thing)] = object.__new__(type(thing))
    attributes = new.__dict__
    for name, value in vars(thing).items():
        copier = _copiers.get(type(value), _copy)
        attributes[name] = value if copier is None else copier(value, memo)
    return new


# --- Sameness ---------------------------------------------------------------------------

#: What was settled before the call began.
_NO_FACTS = frozenset({ResponsePolicy})
_AS_IT_IS = (type(None), bool, int, Enum)
_readers: dict[type, Callable[["Likeness", Any], None] | None] = {}
_values: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
_memories: dict[type, tuple[str, ...]] = {}


class Likeness:
    """Collects the facts that make a situation what it is; two with equal keys are the same.

    Tell it first of what is on the wires and in the model, then of the machines.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._facts: list[Any] = []
        self._numbers: dict[str, int] = {}
        self._instants: list[float] = []
        self._memories: list[Iterable[str]] = []
        self._met: dict[int, int] = {}

    def key(self) -> int:
        facts, numbers = self._facts, self._numbers
        for memory in self._memories:
            facts.append(tuple([numbers[one] for one in memory if one in numbers]))
        facts.append(tuple(sorted(range(len(self._instants)), key=self._instants.__getitem__)))
        return hash(tuple(facts))

    def note(self, fact: Any) -> None:
        """A fact without ids or instants."""
        self._facts.append(fact)

    def name(self, one: str | None) -> None:
        """An id."""
        numbers = self._numbers
        self._facts.append(None if one is None else numbers.setdefault(one, len(numbers)))

    def names(self, ids: Iterable[str]) -> None:
        """Ids in no order."""
        if not ids:
            self._facts.append(())
            return
        numbers = self._numbers
        self._facts.append(
            tuple(sorted([numbers.setdefault(one, len(numbers)) for one in sorted(ids)]))
        )

    def remembered(self, ids: Iterable[str]) -> None:
        """Ids that matter only if they are mentioned elsewhere."""
        self._memories.append(ids)

    def machine(self, machine: Any) -> None:
        """Every attribute of a machine, and of what it is made of; of each once."""
        known = self._met.setdefault(id(machine), len(self._met))
        if known < len(self._met) - 1:
            self._facts.append(known)
        else:
            self.value(machine)

    def value(self, machine: Any) -> None:
        kind, append = type(machine), self._facts.append
        append(kind)
        if kind not in _values:
            _values[kind], _memories[kind] = _values_of(machine)
        for name in _memories[kind]:
            self.remembered(getattr(machine, name))
        for value in _values[kind](machine):
            read = _readers.get(type(value), _choose)
            if read is None:
                append(value)
            else:
                read(self, value)

    def text(self, value: str) -> None:
        """An id, if it ends in a number; else a word."""
        if value[-1:].isdigit():
            self.name(value)
        else:
            self._facts.append(value)

    def instant(self, at: float) -> None:
        self._instants.append(at)
        self._facts.append(round(max(at - self._now, -PAST_MATTERS) * PER_SECOND))

    def several(self, values: Sequence[Any]) -> None:
        self._facts.append(len(values))
        for value in values:
            read = _readers.get(type(value), _choose)
            # A number in a tuple is a setting: instants have attributes of their own.
            if read is None or type(value) is float:
                self._facts.append(value)
            else:
                read(self, value)

    def nothing(self, value: Any) -> None:
        pass


def _choose(like: Likeness, value: Any) -> None:
    """The first of its kind that is met."""
    kind = type(value)
    _readers[kind] = read = _reader(kind)
    if read is None:
        like.note(value)
    else:
        read(like, value)


def _reader(kind: type) -> Callable[[Likeness, Any], None] | None:
    if issubclass(kind, _AS_IT_IS):
        return None
    if kind in _NO_FACTS:
        return Likeness.nothing
    if issubclass(kind, str):
        return Likeness.text
    by_kind: dict[type, Callable[[Likeness, Any], None]] = {
        float: Likeness.instant,
        tuple: Likeness.several,
        list: Likeness.several,
        dict: lambda like, value: like.several(tuple(value.items())),
        deque: Likeness.several,
        set: Likeness.names,
        frozenset: Likeness.names,
    }
    if kind in by_kind:
        return by_kind[kind]
    return Likeness.value if _is_frozen(kind) else Likeness.machine


def _values_of(machine: Any) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
    """How to read all attributes but the memories, and the names of those."""
    kind = type(machine)
    found = [f.name for f in fields(kind)] if is_dataclass(kind) else list(vars(machine))
    memories = tuple(name for name in found if name in MEMORIES)
    names = [name for name in found if name not in REPORTED_ONLY | MEMORIES]
    if len(names) == 1:
        only = attrgetter(names[0])
        return (lambda one: (only(one),)), memories
    return attrgetter(*names), memories
