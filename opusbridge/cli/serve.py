"""``opusbridge serve``: the bridge, for AudioCodes and Twilio to connect to."""

import gc
import os
from pathlib import Path
from typing import Annotated

import structlog
import typer
from fastapi import FastAPI

from opusbridge import logs
from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError
from opusbridge.web import server
from opusbridge.web.access import NO_ADDRESS
from opusbridge.web.service import create_app


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    agent: Annotated[
        str | None, typer.Option(help="FILE.py[:NAME] or FILE.toml; OPUSBRIDGE_AGENT otherwise.")
    ] = None,
) -> None:
    """Serve calls until SIGTERM (they may finish) or Ctrl-C (a goodbye; twice: at once)."""
    host = host.strip("[]")  # as an IPv6 address is written in a URL
    given = {} if agent is None else {"agent": agent}
    settings = Settings.load(**given)
    settings.check_ready(host, port)
    _check_data_dir(settings.data_dir)
    logs.configure(settings.log_format, settings.log_level, apart=True)
    with server.listen(host, port) as listening:
        bound_to = listening.getsockname()[1]  # port 0 is whatever was free
        app = create_app(settings, host=host, port=bound_to)
        announce(app, host, bound_to)
        calls = app.state.calls
        # What is here by now stays for good: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        serving = server.serve(
            app,
            calls,
            settings,
            host,
            bound_to,
            listening=listening,
            leave=server.leave_process,
        )
        server.run(serving)


def announce(app: FastAPI, host: str, port: int) -> None:
    """What there is to say when the doors open; of those that stay closed the app itself tells."""
    log = structlog.get_logger("opusbridge")
    if app.state.access.only_pretend_twilio:
        log.warning("Twilio's own calls will be refused", reason=NO_ADDRESS)
    log.info("listening", host=host, port=port, sockets=app.state.sockets)


def _check_data_dir(folder: Path) -> None:
    """A first caller should not be the one who finds out that nothing can be kept."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        why = error.strerror
    else:
        why = None if writable else "it is not ours to write to"
    if why is not None:
        raise ConfigurationError(f"OPUSBRIDGE_DATA_DIR: no files can be kept there: {why}")
