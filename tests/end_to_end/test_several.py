"""Two processes behind one public URL: whatever belongs to a call comes to the one that has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random

import pytest

from opusbridge.sim.account import Account
from opusbridge.sim.callers import HangUp, Person, SimulatedTwilio, TwilioHabits, WaitForAgent
from opusbridge.sim.switchboard import Switchboard
from opusbridge.sim.telephone import Telephone
from tests.end_to_end.service import TWILIO_TOKEN, Service, heard_by, reply, service, share_of

pytestmark = pytest.mark.slow


class Balancer:
    """Gives everybody to each process in turn; who asks for ``/0/…``, to the first, which is
    asked for the rest of that, and for ``/1/…`` to the second."""

    def __init__(self) -> None:
        self.url = ""
        self.addresses: list[str] = []
        self.asked: list[str] = []
        self._turns = count()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, rest = (await reader.readuntil(b"\r\n")).decode().split(" ", 2)
        self.asked.append(path)
        own, _, further = path.removeprefix("/").partition("/")
        number = int(own) if own.isdecimal() else next(self._turns) % len(self.addresses)
        host, _, port = self.addresses[number].rpartition(":")
        there, into = await asyncio.open_connection(host, int(port))
        into.write(f"{method} {f'/{further}' if own.isdecimal() else path} {rest}".encode())
        await asyncio.gather(_carry(reader, into), _carry(there, writer))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(65_536):
        writer.write(some)
    writer.close()


async def _transferred_in_vain(at: Service) -> None:
    """The one call of that process, once its agent has greeted."""
    await at.responses_done(1)
    (call,) = [one for one in await at.live() if one["state"] == "answered"]
    assert await at.act(call["call_id"], "transfer", destination="billing") == 202


async def test_each_of_two_processes_gets_what_belongs_to_its_own_calls(tmp_path: Path) -> None:
    account, balancer = Account(), Balancer()
    board = Switchboard(Random(1), on_update=account.update)
    scripts = [[reply(440.0), reply(hz)] for hz in (700.0, 900.0)]
    async with balancer.open(), board.open() as rest:
        common = {"public_url": balancer.url, "twilio_api_url": rest}
        first = service(tmp_path / "0", scripts[0], own_url=f"{balancer.url}/0", **common)
        second = service(tmp_path / "1", scripts[1], own_url=f"{balancer.url}/1", **common)
        async with first as one, second as other, asyncio.TaskGroup() as tasks:
            balancer.addresses = [one.address, other.address]
            telephone = Telephone(
                f"{balancer.url}/twilio/voice",
                TWILIO_TOKEN,
                habits=TwilioHabits(ring_seconds=0.2, transfer_outcome="busy"),
                account=account,
            )
            calls: list[asyncio.Task[SimulatedTwilio]] = []
            for number, at in enumerate((one, other)):
                person = Person([WaitForAgent(silence_ms=2000), HangUp()], patience_seconds=8.0)
                calls.append(tasks.create_task(telephone.call(person, Random(number))))
                await at.models.opened(1)
            for at in (one, other):
                tasks.create_task(_transferred_in_vain(at))
            callers = [await call for call in calls]
            for at in (one, other):
                await at.over()
                assert at.models.verdict() == []
                assert [k["ending"]["reason"] for k in at.kept().values()] == ["caller-hung-up"]

    assert [caller.verdict() for caller in callers] == [[], []]
    assert share_of(700.0, heard_by(callers[0])) > 0.2
    assert share_of(900.0, heard_by(callers[1])) > 0.2
    asked = [f"/{number}/twilio/{what}" for number in (0, 1) for what in ("media", "after")]
    assert sorted(balancer.asked) == sorted(
        [*asked, *("/0/twilio/media", "/1/twilio/media"), *["/twilio/voice"] * 2]
    )
