"""A proxy of the environment is used, or refused in a line; before our own machine none stands."""

import sys

import pytest

from opusbridge.errors import ConfigurationError
from opusbridge.outgoing import http_client, socket_proxy

SOCKS = "socks5://user:never-to-be-printed@127.0.0.1:1"
OUT_THERE = ("https://api.example.com", "wss://api.example.com/v1")
HERE = ("http://127.0.0.1:1", "ws://localhost:1")


@pytest.fixture(autouse=True)
def _a_fresh_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no", "ws", "wss", "socks"):
        for variable in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def without_socks(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("socksio", "python_socks"):
        monkeypatch.setitem(sys.modules, package, None)


async def ask(http: str, socket: str) -> str | None:
    """Both ways; the proxy of the socket."""
    await http_client(http, timeout=1.0).aclose()
    return socket_proxy(socket)


async def test_without_a_proxy_everybody_is_reached_directly() -> None:
    assert await ask(*OUT_THERE) is None


async def test_a_proxy_stands_before_what_is_out_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    assert await ask(*OUT_THERE) == "http://127.0.0.1:1"
    assert await ask(*HERE) is None


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.usefixtures("without_socks")
async def test_a_socks_proxy_says_what_it_needs(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, SOCKS)

    with pytest.raises(ConfigurationError, match=r"pip install .*socks") as refused:
        http_client(OUT_THERE[0])
    assert variable in str(refused.value)
    assert "never" not in str(refused.value)
    assert await ask(*HERE) is None


@pytest.mark.usefixtures("without_socks")
def test_a_socks_proxy_before_the_model_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", SOCKS)

    with pytest.raises(ConfigurationError, match="python-socks"):
        socket_proxy(OUT_THERE[1])


@pytest.mark.parametrize(
    "proxy",
    [
        "ftp://user:never-to-be-printed@127.0.0.1",
        "http://user:pass/never@proxy:3128",
        "http://proxy:never",
        "http://[::1",
    ],
)
def test_a_proxy_that_is_none_is_refused_without_its_text(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)

    for asked in (lambda: http_client(OUT_THERE[0]), lambda: socket_proxy(OUT_THERE[1])):
        with pytest.raises(ConfigurationError, match="http://HOST:PORT") as refused:
            asked()
        assert "never" not in str(refused.value)


def test_nor_is_a_port_that_is_none_asked_for_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:99999")

    with pytest.raises(ConfigurationError, match="http://HOST:PORT"):
        socket_proxy(OUT_THERE[1])
