"""MCP servers: tools that the model uses and its provider runs, and our word in that.

The provider connects to the server itself, with the secrets it is given here; they go nowhere else.
"""

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from opusbridge.errors import ConfigurationError
from opusbridge.logs import Log
from opusbridge.privacy import Private
from opusbridge.tools.context import CallContext
from opusbridge.tools.registry import DEFAULT_TIMEOUT, Manners, Tool, ToolFailed

#: A secret so written is the value of the environment variable named.
FROM_ENVIRONMENT = "env:"

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class McpRequest:
    """The model wants to use a server's tool."""

    server_label: str
    name: str
    arguments: str = field(repr=False)
    """JSON as the model wrote it; what the caller said may be in it."""


def _secret(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(FROM_ENVIRONMENT):
        return value
    name = value.removeprefix(FROM_ENVIRONMENT)
    if name not in os.environ:
        raise ValueError(f"the environment has no {name}")
    return os.environ[name]


Secret = Annotated[str, BeforeValidator(_secret)]
Names = Annotated[Sequence[str], Field(min_length=1)]


class McpServer(BaseModel):
    """One server of the agent's ``mcp``. Printing it shows no secret.

    Raises :class:`ConfigurationError` for what cannot be.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    label: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    """What the model knows it by."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = Field(
        default=None, repr=False
    )
    """Where the provider finds it; either this or ``connector_id``."""

    connector_id: Annotated[str, Field(min_length=1)] | None = None
    """One of the provider's own connectors."""

    description: str | None = None
    """What the model is told of it."""

    authorization: Secret | None = Field(default=None, repr=False)
    """The token the provider presents there; ``env:NAME`` takes it from the environment."""

    headers: Mapping[str, Secret] = Field(default_factory=dict, repr=False)
    """The same for headers of the provider's requests."""

    allowed_tools: Names | None = None
    """The only tools the model is shown. None: all that the server has."""

    require_approval: Literal["always", "never"] | Mapping[Literal["always", "never"], Names] = (
        "always"
    )
    """Which uses ``approve`` is asked about: all, none, or by the names of the tools."""

    approve: Callable[..., Any] | None = Field(default=None, repr=False)
    """``approve(request, call)``, sync or async, with a :class:`McpRequest` and the
    :class:`CallContext`: only ``True`` is a yes. None: no."""

    if not TYPE_CHECKING:  # keeps the typed constructor that checkers derive from the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                first = error.errors()[0]
                where = "".join(f"{key}: " for key in [".".join(map(str, first["loc"]))] if key)
                what = first["msg"].removeprefix("Value error, ")
                raise ConfigurationError(f"agent: mcp: {where}{what}") from None

    @model_validator(mode="after")
    def _one_address(self) -> "McpServer":
        if (self.url is None) == (self.connector_id is None):
            raise ValueError("a server has a url or a connector_id")
        return self

    def definition(self) -> dict[str, Any]:
        """As a Realtime session has it; secrets are :class:`Private`."""
        optional: dict[str, Any] = {
            "server_url": None if self.url is None else Private(self.url),
            "connector_id": self.connector_id,
            "server_description": self.description,
            "authorization": None if self.authorization is None else Private(self.authorization),
            "headers": {name: Private(value) for name, value in self.headers.items()} or None,
            "allowed_tools": None if self.allowed_tools is None else list(self.allowed_tools),
        }
        return {
            "type": "mcp",
            "server_label": self.label,
            "require_approval": self._approval(),
            **{name: value for name, value in optional.items() if value is not None},
        }

    async def approves(self, request: McpRequest, call: CallContext) -> bool:
        """Whether the model may. Whatever goes wrong is a no."""
        if self.approve is None:
            log.warning("nobody approves the tools of an MCP server", server=self.label)
            return False
        return await _Policy(self.approve, self.label).asked(request, call)

    def _approval(self) -> Any:
        if isinstance(self.require_approval, str):
            return self.require_approval
        return {kind: {"tool_names": list(names)} for kind, names in self.require_approval.items()}


class _Policy(Tool):
    """Run as a tool is: off the loop or in it, no longer than a tool, cancelled with the call."""

    def __init__(self, approve: Callable[..., Any], label: str) -> None:
        self._answer: Any = None

        async def in_the_loop(call: CallContext) -> None:
            self._answer = await approve(self._request, call)

        def in_a_thread(call: CallContext) -> Awaitable[None] | None:
            self._answer = approve(self._request, call)
            return self._awaited() if inspect.isawaitable(self._answer) else None

        function = in_the_loop if inspect.iscoroutinefunction(approve) else in_a_thread
        function.__name__ = f"approve_{label}"[:64]
        super().__init__(function, Manners(DEFAULT_TIMEOUT))

    async def _awaited(self) -> None:
        """Of what does not look async, but is: back in the loop."""
        self._answer = await self._answer

    async def asked(self, request: McpRequest, call: CallContext) -> bool:
        self._request = request
        try:
            await self.run("{}", call)
        except ToolFailed:  # it is in the log
            return False
        return self._answer is True
