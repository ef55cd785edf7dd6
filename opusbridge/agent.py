"""An agent: who answers the telephone, in which voice, with which tools.

A Python value, or the same keys in a TOML file. Whatever an agent says about the session
(``transcription``, ``turn_detection``, ``barge_in``) wins over the settings; see
:meth:`Agent.applied_to`.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    JsonValue,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from opusbridge.agent_files import HEARD, HOME, at_home, heard, keys_of, module_of
from opusbridge.agent_mistakes import complaint, key_of
from opusbridge.config import BargeInKind, Settings, TurnDetectionKind
from opusbridge.config.values import SomeSeconds
from opusbridge.errors import ConfigurationError, TransferRefused
from opusbridge.manners import Key, NoInput, Rule, read_rule
from opusbridge.privacy import Private
from opusbridge.speech import read_clip
from opusbridge.tools.mcp import McpServer
from opusbridge.tools.registry import Tool

Text = Annotated[str, Field(min_length=1)]

#: E.164, or an address a provider can dial.
_DIALLABLE = re.compile(r"\+[1-9][0-9]{1,14}|sips?:[!-~]+|tel:\+?[0-9().-]+(;[!-~]+)?")

#: What a Python file calls its agent, unless another name is asked for.
_DEFAULT_NAME = "agent"


def _tools(value: object) -> object:
    """Each a tool, each name once."""
    if not isinstance(value, Sequence):
        return value  # the field's type says what is wrong
    names: set[str] = set()
    for entry in value:
        if isinstance(entry, str):
            raise ValueError("in Python a tool is the function itself, not its name")
        if not isinstance(entry, Tool):
            name = getattr(entry, "__name__", type(entry).__name__)
            raise ValueError(f"{name} is not a tool; decorate the function with @tool")
        if entry.name in names:
            raise ValueError(f"two tools have the name {entry.name}")
        names.add(entry.name)
    return tuple(value)


def _takes_what_it_is_told(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that cannot be asked would fail in every call, where nobody looks."""
    try:
        signature = inspect.signature(hook)
    except ValueError:
        return hook  # of C, and keeps it to itself
    try:
        signature.bind(None)
    except TypeError:
        raise ValueError("must be a function that takes one argument") from None
    return hook


Hook = Annotated[Callable[..., Any], AfterValidator(_takes_what_it_is_told)]


def _labels_differ(servers: Sequence[McpServer]) -> Sequence[McpServer]:
    labels = [server.label for server in servers]
    if len(set(labels)) < len(labels):
        raise ValueError("two servers have the same label")
    return tuple(servers)


def _stored_sound(path: Path) -> Path:
    """Made absolute, and known to be of use: a mistake must not wait for the first call."""
    found = (HOME.get() / path).absolute()
    try:
        _hear(found)
    except OSError:
        raise ValueError("there is no such file, or it cannot be read") from None
    return found


def _usable_filler(name: str, path: Path) -> None:
    try:
        _hear(path)
    except OSError:
        why = "there is no such file, or it cannot be read"
    except ValueError as error:
        why = str(error)
    else:
        return
    raise ConfigurationError(f"agent: the tool {name}: filler: {why}", f"tools.{name}.filler")


def _hear(path: Path) -> None:
    if path not in HEARD.get():
        read_clip(path)


class Agent(BaseModel):
    """Who answers. Raises :class:`ConfigurationError` for what cannot work, naming the key."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    name: Text

    instructions: Text = Field(repr=False)
    """The model's standing orders."""

    voice: Text = "marin"
    """One of the model's voices; it cannot change once the agent has spoken."""

    greeting: Text | None = Field(default=None, repr=False)
    """What the model is told to open the call with. None: the caller speaks first."""

    greeting_audio: Annotated[Path, AfterValidator(_stored_sound)] | None = None
    """A WAV file to open the call with in place of ``greeting``: heard at once, while the model
    is still dialled. Relative to the agent's file."""

    greeting_words: Text | None = Field(default=None, repr=False)
    """What is said in it, word for word: the model is told that it said so."""

    tools: Annotated[Sequence[InstanceOf[Tool]], BeforeValidator(_tools)] = ()

    mcp: Annotated[Sequence[McpServer], AfterValidator(_labels_differ)] = ()
    """Servers whose tools the model may use, which the provider runs."""

    destinations: Mapping[Text, str] = Field(default_factory=dict, repr=False)
    """The only places a transfer may go: E.164 numbers, ``sip:`` or ``tel:`` addresses, by the
    names the model is shown."""

    transcription: Text | None = None
    """The transcription model; ``none`` for no transcription. None: as the settings say."""

    turn_detection: TurnDetectionKind | None = None
    """None: as the settings say."""

    barge_in: BargeInKind | None = None
    """Whether the caller's speech interrupts; ``"confirmed"`` if it lasts. None: as the settings
    say."""

    greeting_interruptible: bool = True
    """Whether the caller's speech cuts the greeting. False: it is heard to its end, and what he
    said over it is answered then."""

    farewell_interruptible: bool = True
    """Whether a caller who speaks before the agent's own hang-up or transfer keeps the line.
    False: he hears the goodbye to its end, and nothing he says then changes it; needs
    ``OPUSBRIDGE_RESPONSES_BY`` to be ``bridge``."""

    give_up: str = "wait"
    """What follows the apology when the model gave no answer for all our asking: ``wait`` for
    the caller to try again, ``transfer:NAME`` to one of the destinations, or ``hang_up``."""

    keys: Mapping[Key, Rule] = Field(default_factory=dict, repr=False)
    """What keys do at once, the model not being asked: ``transfer:NAME`` to one of the
    destinations, ``hang_up``, or ``say:TEXT``."""

    no_input: NoInput | None = None
    """What follows when the caller says nothing. None: the agent waits for as long as it
    takes."""

    max_seconds: SomeSeconds | None = None
    """The longest a call may last; the caller is told before. None: as the settings say."""

    configure: Hook | None = Field(default=None, repr=False)
    """Asked before each call, with its :class:`~opusbridge.tools.CallContext`: another agent,
    a dict of keys to change, or None for this agent as it is. Has 3 s; async, or in a thread."""

    on_end: Hook | None = Field(default=None, repr=False)
    """Told of each call when it is over, once, with its
    :class:`~opusbridge.tools.CallOutcome`. Has 10 s; async, or in a thread."""

    session: Mapping[str, JsonValue] = Field(default_factory=dict, repr=False)
    """Merged into the model's session as it is, last."""

    _home: Path = PrivateAttr(default_factory=lambda: HOME.get())

    if not TYPE_CHECKING:  # keeps the typed constructor that checkers derive from the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise ConfigurationError(complaint(error, type(self)), key_of(error)) from None

    @model_validator(mode="after")
    def _greets_once(self) -> Self:
        if self.greeting_audio is not None and self.greeting is not None:
            raise ConfigurationError(
                "agent: greeting and greeting_audio are one or the other", "greeting_audio"
            )
        if (self.greeting_audio is None) != (self.greeting_words is None):
            raise ConfigurationError(
                "agent: greeting_audio and greeting_words belong together", "greeting_words"
            )
        return self

    @model_validator(mode="after")
    def _can_be_heard(self) -> Self:
        if self.session.get("output_modalities") == ["text"]:
            raise ConfigurationError(
                'agent: session.output_modalities must be ["audio"]: a caller hears no text',
                "session.output_modalities",
            )
        return self

    @model_validator(mode="after")
    def _destinations_fit(self) -> Self:
        for name, target in self.destinations.items():
            if not _DIALLABLE.fullmatch(target):
                raise ConfigurationError(
                    f"agent: destinations.{name} must be +DIGITS (E.164), sip:… or tel:…",
                    f"destinations.{name}",
                )
        for tool in self.tools:
            if tool.wants_destinations and not self.destinations:
                raise ConfigurationError(
                    f"agent: the tool {tool.name} needs destinations", "destinations"
                )
            if tool.filler is not None:
                _usable_filler(tool.name, tool.filler)
        for key, rule in self.keys.items():
            kind, name = read_rule(rule)
            if kind == "transfer" and name not in self.destinations:
                raise ConfigurationError(
                    f"agent: keys.{key} must name one of the destinations", f"keys.{key}"
                )
        policy, _, name = self.give_up.partition(":")
        if policy == "transfer" and name in self.destinations:
            return self
        if self.give_up not in ("wait", "hang_up"):
            raise ConfigurationError(
                "agent: give_up must be wait, hang_up or transfer:NAME with one of the "
                "destinations",
                "give_up",
            )
        return self

    @property
    def give_up_target(self) -> Private[str] | None:
        """Where ``transfer:NAME`` goes; ``None`` for the other policies."""
        policy, _, name = self.give_up.partition(":")
        return Private(self.destinations[name]) if policy == "transfer" else None

    @classmethod
    def load(cls, spec: str) -> "Agent":
        """From ``FILE.py[:NAME]`` (``agent`` unless named) or ``FILE.toml``.

        The file's folder can be imported from while it loads. Raises
        :class:`ConfigurationError` with one line that says what is wrong and where.
        """
        file, _, name = spec.partition(".py:")
        if name:
            return _from_python(Path(f"{file}.py"), name)
        path = Path(spec)
        if path.suffix == ".py":
            return _from_python(path, _DEFAULT_NAME)
        if path.suffix == ".toml":
            return _from_toml(path)
        raise ConfigurationError("an agent is named as FILE.py, FILE.py:NAME or FILE.toml")

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Paths of agents made meanwhile start where this one's do: at its file's folder."""
        previous = HOME.set(self._home)
        try:
            yield
        finally:
            HOME.reset(previous)

    def changed(self, told: object) -> "Agent":
        """What ``configure`` said: another agent, or this one with other keys. Of the sounds it
        names only those are read that this agent has not.

        Raises :class:`ConfigurationError`.
        """
        if isinstance(told, Agent):
            return told
        if not isinstance(told, Mapping):
            raise ConfigurationError("configure returns an agent, a dict of its keys, or None")
        kept = {name: getattr(self, name) for name in self.model_fields_set}
        sounds = self.greeting_audio, *(tool.filler for tool in self.tools)
        with self.at_home(), heard(sounds):
            return Agent(**kept | dict(told))

    def tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def mcp_server(self, label: str) -> McpServer | None:
        return next((server for server in self.mcp if server.label == label), None)

    def tool_definitions(self) -> tuple[dict[str, Any], ...]:
        """The tools as the model's session has them, with this agent's destinations; what is
        secret in them is :class:`Private`."""
        own = (tool.definition(self.destinations) for tool in self.tools)
        return (*own, *(server.definition() for server in self.mcp))

    def target(self, destination: str) -> Private[str]:
        """The address behind a destination's name; :class:`TransferRefused` if it has none."""
        if destination not in self.destinations:
            known = ", ".join(self.destinations) or "none"
            raise TransferRefused(f"there is no such destination; there are: {known}")
        return Private(self.destinations[destination])

    def applied_to(self, settings: Settings) -> Settings:
        """The settings for this agent's calls: what it says, and otherwise what they say.

        Raises :class:`ConfigurationError` if the two do not go together.
        """
        if not self.farewell_interruptible and settings.responses_by == "model":
            raise ConfigurationError(
                "agent: farewell_interruptible: false leaves what is said over the goodbye "
                "unanswered, and a model that starts responses itself would not: "
                "OPUSBRIDGE_RESPONSES_BY must be bridge",
                "farewell_interruptible",
            )
        changes: dict[str, Any] = {
            "turn_detection": self.turn_detection,
            "barge_in": self.barge_in,
            "max_call_seconds": self.max_seconds,
        }
        changes = {name: value for name, value in changes.items() if value is not None}
        if self.transcription is not None:
            off = self.transcription.strip().lower() == "none"
            changes["transcription_model"] = None if off else self.transcription
        # A call keeps its settings, and as a rule they are the same for all.
        return settings.replace(**changes) if changes else settings


# --- Files ------------------------------------------------------------------------------


def _from_python(path: Path, name: str) -> Agent:
    with at_home(path):
        module = module_of(path)
    return _found(path, module, name)


def _found(path: Path, module: ModuleType, name: str) -> Agent:
    agent = getattr(module, name, None)
    if agent is None:
        others = [one for one, value in vars(module).items() if isinstance(value, Agent)]
        hint = f"; there is {path}:{others[0]}" if others else ""
        raise ConfigurationError(f"{path} defines no {name}{hint}")
    if not isinstance(agent, Agent):
        raise ConfigurationError(f"{name} in {path} is not an Agent")
    return agent


def _from_toml(path: Path) -> Agent:
    with at_home(path):
        return Agent(**keys_of(path))
