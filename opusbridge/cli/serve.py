"""``opusbridge serve``: the bridge, for AudioCodes and Twilio to connect to."""

from typing import Annotated

import structlog
import typer

from opusbridge import logs
from opusbridge.config import Settings
from opusbridge.web import server
from opusbridge.web.service import create_app


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    agent: Annotated[
        str | None, typer.Option(help="FILE.py[:NAME] or FILE.toml; OPUSBRIDGE_AGENT otherwise.")
    ] = None,
) -> None:
    """Serve calls until SIGTERM (they may finish) or Ctrl-C (a goodbye; twice: at once)."""
    given = {} if agent is None else {"agent": agent}
    settings = Settings.load(**given)
    settings.check_ready(host, port)
    logs.configure(settings.log_format, settings.log_level)
    with server.listen(host, port) as listening:
        bound_to = listening.getsockname()[1]  # port 0 is whatever was free
        app = create_app(settings, host=host, port=bound_to)
        structlog.get_logger("opusbridge").info(
            "listening", host=host, port=bound_to, sockets=app.state.sockets
        )
        calls = app.state.calls
        server.run(server.serve(app, calls, settings, host, bound_to, listening=listening))
