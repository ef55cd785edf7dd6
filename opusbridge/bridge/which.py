"""Which sockets a process uses: the ordinary ones, or the lean ones of the ``[fast]`` extra."""

import re
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from opusbridge.config import Settings, variable
from opusbridge.errors import ConfigurationError

Sockets = Literal["default", "fast"]

#: Ours stand on what picows does not promise to keep (see bridge/lean.py), so only on these.
KNOWN_PICOWS = re.compile(r"2\.3(\.\d+)?")


def which_sockets(settings: Settings) -> Sockets:
    """As the settings say; ``auto`` takes the lean ones where they are installed.

    Raises :class:`ConfigurationError` where those were asked for and cannot be had.
    """
    if settings.sockets == "default":
        return "default"
    if _fast_is_installed():
        return "fast"
    if settings.sockets == "fast":
        raise ConfigurationError(
            f"{variable('sockets')} is fast, which needs picows 2.3: pip install 'opusbridge[fast]'"
        )
    return "default"


def _fast_is_installed() -> bool:
    try:
        return KNOWN_PICOWS.fullmatch(version("picows")) is not None
    except PackageNotFoundError:
        return False
