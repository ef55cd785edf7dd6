"""Where ``serve`` listens, or is to listen."""

import errno
import os

from httpx2 import AsyncClient, HTTPError, InvalidURL

from opusbridge.doctor.findings import Finding, failed, fine
from opusbridge.errors import ConfigurationError
from opusbridge.web import server


def url_of(host: str, port: int, path: str) -> str:
    """Of the serve that listens there, on this machine."""
    host = "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{path}"


async def check_address(host: str, port: int) -> Finding:
    """Whether it may listen there, or does."""
    try:
        server.listen(host, port).close()
    except ConfigurationError as error:
        taken = os.strerror(errno.EADDRINUSE) in str(error)
        if taken and await _serve_runs(host, port):
            return fine("address", f"serve runs on {host}:{port}")
        cure = "end the program that listens there, or" if taken else "give serve one of ours:"
        return failed("address", f"serve {error}", f"{cure} --host and --port")
    return fine("address", f"serve can listen on {host}:{port}")


async def _serve_runs(host: str, port: int) -> bool:
    try:
        async with AsyncClient(timeout=5.0, trust_env=False) as client:
            answer = await client.get(url_of(host, port, "/healthz"))
            return bool(answer.json() == {"status": "alive"})
    except (HTTPError, InvalidURL, ValueError):
        return False
