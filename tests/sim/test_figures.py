"""What was heard, measured against the simulated ear."""

import pytest

from opusbridge.recording.mixing import StereoTimeline
from opusbridge.sim.figures import Figures, Measure
from opusbridge.sim.seeded import seeded_call


@pytest.mark.slow
def test_the_figures_of_some_calls_are_within_what_their_wires_allow() -> None:
    total = Figures()
    # Each cuts an answer short, over ways of 120 ms; 59 only when it has paused for a while.
    for seed in (41, 59, 65, 86, 91):
        measure = Measure(StereoTimeline)
        call = seeded_call(seed, [measure])
        assert call.run(300.0)
        total.add(measure.figures(call))

    assert (total.refused, total.heard_after_clear) == (0, 0)
    assert len(total.truncations) == 6
    assert max(map(abs, total.truncations)) <= 100
    assert max(map(abs, total.length)) <= 1
    assert len(total.placed) > 10
    assert max(map(abs, total.placed)) <= 60
