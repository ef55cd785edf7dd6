"""What is put off happens in order, on time, unless called off."""

from opusbridge.sim.model.schedule import Schedule


def test_things_happen_in_the_order_of_their_times_and_then_of_asking() -> None:
    schedule, done = Schedule(0.0), list[str]()
    for at, name in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        schedule.after(at, lambda name=name: done.append(name))  # type: ignore[misc]  # a loop's own name

    assert schedule.deadline == 1.0
    schedule.run_until(1.5)
    assert done == ["first", "second"]
    assert schedule.deadline == 2.0


def test_a_late_waking_does_not_shift_what_follows() -> None:
    schedule, times = Schedule(0.0), list[float]()

    def tick() -> None:
        times.append(schedule.now)
        schedule.after(1.0, tick)

    schedule.after(1.0, tick)
    schedule.run_until(3.7)

    assert times == [1.0, 2.0, 3.0]
    assert schedule.now == 3.7


def test_what_is_called_off_does_not_happen_and_wakes_nobody() -> None:
    schedule, done = Schedule(0.0), list[str]()
    schedule.after(1.0, lambda: done.append("x")).call_off()

    assert schedule.deadline is None
    schedule.run_until(5.0)
    assert done == []


def test_time_never_goes_back() -> None:
    schedule = Schedule(10.0)
    schedule.run_until(9.0)

    assert schedule.now == 10.0
