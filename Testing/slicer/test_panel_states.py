"""The panel's states follow from each other, whatever comes late or twice."""

from __future__ import annotations

import pytest

from med2e3_slicer.panel.state import Activity, EnginePlace, Failure, Look, PanelState

READY = PanelState(has_volume=True)


def test_the_looks_of_a_panel_at_rest():
    assert PanelState().look is Look.NO_VOLUME
    assert READY.look is Look.IDLE
    assert PanelState(EnginePlace.REMOTE, has_volume=True).look is Look.REMOTE
    assert PanelState(EnginePlace.MISSING).look is Look.NOT_INSTALLED
    assert PanelState(EnginePlace.MISSING, has_exchanges=True).look is Look.RESTORED
    assert READY.ended(Failure("No.")).look is Look.FAILED


def test_a_question_goes_through_its_stages():
    state = READY.asked()
    looks = [state.look]
    for stage in ("starting", "loading", "preparing", "sending", "encoding", "generating"):
        state = state.reached(stage)
        looks.append(state.look)
    assert list(dict.fromkeys(looks)) == [
        Look.PREPARING, Look.LOADING, Look.ENCODING, Look.GENERATING,
    ]  # fmt: skip
    assert state.ended().look is Look.IDLE


def test_progress_belongs_to_its_stage():
    state = READY.asked().reached("encoding").progressed(8, 32)
    assert (state.done, state.total) == (8, 32)
    assert state.reached("scoring").total == 0


def test_nothing_late_undoes_stopping():
    state = READY.asked().reached("encoding").stopping()
    late = state.reached("generating").progressed(9, 32).wrote(4).stopping()
    assert late.activity is Activity.CANCELLING
    assert not late.can_stop
    assert late.ended().look is Look.IDLE


@pytest.mark.parametrize(
    "state",
    [
        PanelState(),
        PanelState(EnginePlace.MISSING, has_volume=True),
        PanelState(has_volume=True, volume_problem="All voxels have the same value."),
        READY.asked(),
    ],
)
def test_no_question_where_none_can_be_asked(state):
    assert not state.can_ask
    with pytest.raises(ValueError, match="no question can be asked"):
        state.asked()


def test_a_failure_stays_until_it_is_read_or_asked_again():
    failed = READY.ended(Failure("It failed."))
    assert failed.reached("encoding") == failed  # nothing is under way
    assert failed.dismissed().look is Look.IDLE
    assert failed.asked().failure is None
