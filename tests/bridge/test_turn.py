"""What is sent in one turn of the loop leaves at its end."""

import asyncio

from opusbridge.bridge.turn import MOST_BYTES, Turn, turn_of


class Wire:
    """Notes what leaves on it, and when by whose turn."""

    def __init__(self, name: bytes, left: list[bytes]) -> None:
        self._name, self._left = name, left

    def leave(self, data: bytes) -> None:
        self._left.append(self._name + data)


async def test_all_sockets_texts_leave_together_and_in_order_when_the_turn_is_over() -> None:
    left: list[bytes] = []
    one, other, turn = Wire(b"1", left), Wire(b"2", left), turn_of(asyncio.get_running_loop())

    for socket, data in ((one, b"a"), (other, b"b"), (one, b"c")):
        turn.send(socket, data)
    assert left == []
    await asyncio.sleep(0)

    assert left == [b"1a", b"2b", b"1c"]
    turn.send(one, b"d")
    await asyncio.sleep(0)
    assert left[3:] == [b"1d"]


async def test_what_must_not_wait_finds_everything_before_it_gone() -> None:
    left: list[bytes] = []
    wire, turn = Wire(b"", left), turn_of(asyncio.get_running_loop())

    turn.send(wire, b"before")
    turn.over()
    left.append(b"close")
    turn.send(wire, b"behind")
    await asyncio.sleep(0)

    assert left == [b"before", b"close", b"behind"]


async def test_what_is_sent_because_of_what_leaves_leaves_in_the_next_turn() -> None:
    left: list[bytes] = []
    turn = turn_of(asyncio.get_running_loop())

    class Answering(Wire):
        def leave(self, data: bytes) -> None:
            super().leave(data)
            if len(left) == 1:
                turn.send(self, b"answer")

    wire = Answering(b"", left)
    turn.send(wire, b"first")
    turn.send(wire, b"second")
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert left == [b"first", b"second", b"answer"]


async def test_who_sends_without_end_finds_his_socket_full() -> None:
    left: list[bytes] = []
    wire, turn = Wire(b"", left), turn_of(asyncio.get_running_loop())

    for _ in range(10):
        turn.send(wire, bytes(MOST_BYTES // 4))

    assert len(left) >= 9 - 4


def test_each_loop_has_its_own() -> None:
    async def found() -> Turn:
        loop = asyncio.get_running_loop()
        assert turn_of(loop) is turn_of(loop)
        return turn_of(loop)

    assert asyncio.run(found()) is not asyncio.run(found())
