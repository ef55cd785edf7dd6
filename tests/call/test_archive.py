import pytest

from opusbridge.call import archive as module
from opusbridge.call.archive import Archive, Row, id_of


def stored(*pieces: list[Row]) -> Archive:
    archive = Archive()
    for rows in pieces:
        archive.put_away(rows, sum(isinstance(row, list) for row in rows))
    return archive


def test_rows_are_found_by_their_ids_and_are_as_they_were() -> None:
    archive = stored(["place", ["a", "Grüße", 1.5, None, [True]]], [["b", "\udce9", float("inf")]])

    assert [archive.find(one) for one in ("place", "a", "b", "c")] == [0, 0, 1, None]
    assert archive.row("a") == (["a", "Grüße", 1.5, None, [True]], archive.pieces[0])
    assert archive.row("b") == (["b", "\udce9", float("inf")], archive.pieces[1])
    assert archive.row("place") == ("place", archive.pieces[0])
    assert archive.row("c") is None
    assert (len(archive), archive.shown) == (3, 2)


def test_ids_that_look_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_hashed", lambda an_id: 7)
    archive = stored([["a"]], [["b"]], [["c"]])

    assert [archive.find(one) for one in "abcd"] == [0, 1, 2, None]


def test_all_from_a_piece_on_can_be_taken_back() -> None:
    archive = stored([["a"]], [["b"], "place"], [["c"]])
    archive.pieces[1].settled = True

    taken = [(id_of(row), piece.settled) for row, piece in archive.take_back(1)]

    assert taken == [("b", True), ("place", True), ("c", False)]
    assert [archive.find(one) for one in "abc"] == [0, None, None]
    archive.put_away(["c"], 0)
    assert archive.find("c") == 1


def test_what_was_said_takes_a_tenth_of_its_memory() -> None:
    """And an id takes eight bytes, and not the hundred of a set."""
    archive = Archive()
    for nth in range(20):
        ids = [f"item_{nth}_{number}" for number in range(50)]
        archive.put_away([[one, "caller", "some words", 100 * nth] for one in ids], 50)

    assert sum(len(piece.packed) for piece in archive.pieces) < 20 * len(archive)
    assert archive._keys.itemsize == 8
