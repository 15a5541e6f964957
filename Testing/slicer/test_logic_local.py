"""The logic with the real engine as its child: reports, answers, crashes, stopping, no orphans."""

from __future__ import annotations

import random
from pathlib import Path

import psutil
import pytest

from engine_scene import Heard, choice, kill, processes_of, settings_file, until


@pytest.fixture
def make_logic(application, tmp_path):
    """Makes logics whose engines must be gone, with all that they started, after the test."""
    from med2e3_slicer.engine import EngineSettings
    from med2e3_slicer.logic import Med2E3Logic

    made = []

    def make(**changes):
        settings = EngineSettings(settings_file(application.qt, tmp_path))
        settings.save(choice(**changes))
        made.append(Med2E3Logic(settings))
        return made[-1]

    yield make
    for logic in made:
        group = logic.engine.pid
        logic.shutdown()
        if group:
            until(application, lambda group=group: not processes_of(group), 15)


@pytest.fixture(scope="module")
def one_logic(_started, tmp_path_factory):
    """One logic, and so one warm engine, for all tests that need nothing else."""
    from med2e3_slicer.engine import EngineSettings
    from med2e3_slicer.logic import Med2E3Logic

    settings = EngineSettings(settings_file(_started.qt, tmp_path_factory.mktemp("settings")))
    settings.save(choice())
    made = Med2E3Logic(settings)
    yield made
    group = made.engine.pid
    made.shutdown()
    if group:
        until(_started, lambda: not processes_of(group), 15)


@pytest.fixture
def logic(one_logic, application):
    """The same after whatever another test did with it."""
    one_logic.use_local(**vars_of(choice()))
    yield one_logic
    one_logic.stop()
    until(application, lambda: not one_logic.is_busy)


def vars_of(values):
    return {name: getattr(values, name) for name in ("python", "model", "device", "precision")}


def ask(application, logic, volume, heard, **options):
    run = logic.ask_async(volume, "Which organ is this?", listener=heard, **options)
    until(application, lambda: run.is_over)
    return run


def test_a_report_and_an_answer_about_the_same_volume(application, logic):
    volume = application.add_volume()
    report = logic.report(volume, max_new_tokens=8)
    assert report.task == "report"
    assert report.answer
    assert len(report.scores) == 32
    assert abs(sum(report.scores) - 1) < 1e-4
    assert report.notice.startswith("AI-generated")
    assert report.timings_s["prepare"] > 0
    engine = logic.engine.pid
    assert engine

    answer = logic.ask(
        volume, "Which plane is this?", ["axial", "coronal"], history=[report], max_new_tokens=4
    )
    assert logic.engine.pid == engine, "the engine is kept warm"
    assert answer.task == "closed_vqa"
    assert answer.choice_probabilities.keys() == {"A", "B"}
    assert answer.history[0].answer == report.answer
    assert answer.volume == report.volume
    assert "prepare" not in answer.timings_s, "the volume was prepared once"
    assert logic.exchanges(volume) == [answer, report]


def test_the_order_of_what_is_told(application, logic):
    from med2e3_slicer.engine import EngineState

    logic.unload()
    heard = Heard()
    states = []
    logic.engine.observe(lambda: states.append(logic.state))
    run = ask(application, logic, application.add_volume(), heard, max_new_tokens=6)
    assert heard.stages == [
        *("starting", "loading", "preparing", "sending"),
        *("encoding", "scoring", "generating"),
    ]
    assert heard.calls.index("scored") < heard.calls.index("token")
    assert heard.calls[-1] == "answered"
    assert "".join(heard.words) == heard.exchange.answer
    assert heard.scores == heard.exchange.scores
    assert run.exchange is heard.exchange
    assert heard.stored.exchange == heard.exchange
    assert states[-1] is EngineState.READY
    in_order = list(dict.fromkeys(states))
    assert in_order == [
        EngineState.STARTING,
        EngineState.LOADING,
        EngineState.READY,
        EngineState.BUSY,
    ]


def test_many_volumes_in_a_loop(application, logic):
    volumes = [application.add_volume((40, 64, 64 + 4 * n), name=f"CT{n}") for n in range(3)]
    answers = [
        logic.ask(volume, "Is there a focal lesion?", max_new_tokens=3) for volume in volumes
    ]
    assert len({answer.volume.sha256 for answer in answers}) == 3
    for volume, answer in zip(volumes, answers, strict=True):
        assert logic.exchanges(volume) == [answer]


def test_several_questions_at_once(application, logic):
    volume = application.add_volume()
    done = []
    runs = [
        logic.ask_async(volume, text, on_done=done.append, store=False, max_new_tokens=4)
        for text in ("Which organ is this?", "Which plane is this?", "Is there a focal lesion?")
    ]
    until(application, lambda: all(run.is_over for run in runs))
    assert {exchange.question for exchange in done} == {run.asked.question.text for run in runs}
    assert logic.exchanges() == []


def test_without_an_engine_nothing_hangs(application, make_logic, tmp_path):
    logic = make_logic(python=None)
    heard = Heard()
    run = logic.report_async(application.add_volume(), listener=heard)
    assert run.is_over
    assert "not installed" in str(heard.error)
    logic.use_local(python=tmp_path / "no-python")
    with pytest.raises(Exception, match="not installed"):
        logic.report(application.add_volume())
    not_executable = tmp_path / "python"
    not_executable.write_text("no program", encoding="utf-8")
    logic.use_local(python=not_executable)
    with pytest.raises(Exception, match="could not be started"):
        logic.report(application.add_volume())


def test_a_model_that_does_not_exist_is_told_in_the_engines_words(application, make_logic):
    logic = make_logic(model="no-such-model")
    with pytest.raises(Exception, match="no-such-model") as caught:
        logic.report(application.add_volume())
    assert caught.value.code == "bad-input"
    logic.use_local(model="embedded")
    assert logic.ask(application.add_volume(), "Is there a focal lesion?", max_new_tokens=2).answer


def test_a_volume_that_cannot_be_used_is_refused_before_it_is_sent(application, logic):
    label_map = application.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    heard = Heard()
    ask(application, logic, label_map, heard)
    assert heard.error.code == "bad-volume"
    assert "sending" not in heard.stages
    assert logic.exchanges() == []


@pytest.mark.parametrize("moment", ["encoding", "scored", "token"])
def test_the_engine_is_killed_while_it_answers(application, logic, moment):
    """The question is asked again by itself, and answered as if nothing had happened."""
    # the engine has not seen it, so it has something to encode
    volume = application.add_volume((44, 70, 66))
    heard = Heard()
    killed = []

    def react(name):
        if not killed and moment in (name, heard.stages[-1]):
            killed.append(logic.engine.pid)
            kill(killed[0])

    heard.react = react
    # words at random, so that the answer is long and the engine is killed in its middle
    ask(application, logic, volume, heard, max_new_tokens=150, temperature=4.0, seed=1)
    assert heard.calls.count("restarted") == 1
    assert "".join(heard.words) == heard.exchange.answer
    assert len(logic.exchanges(volume)) == 1
    assert logic.engine.pid not in (0, killed[0])
    until(application, lambda: not processes_of(killed[0]), 15)


def test_the_engine_is_killed_again_and_again(application, logic):
    from med2e3_slicer.engine import EngineState

    heard = Heard()
    heard.react = lambda name: name == "token" and logic.engine.pid and kill(logic.engine.pid)
    options = {"max_new_tokens": 150, "temperature": 4.0, "seed": 1}
    run = ask(application, logic, application.add_volume(), heard, **options)
    assert heard.calls.count("restarted") == 1, "asked again once and no more"
    assert heard.error.code == "engine"
    assert "crashed" in str(heard.error)
    assert logic.state is EngineState.CRASHED
    assert run.asked.question.text == "Which organ is this?", "the question is still there"
    # the person asks again
    again = Heard()
    ask(application, logic, run.asked.volume, again, max_new_tokens=3)
    assert again.exchange.answer


def test_only_the_process_with_the_model_is_killed(application, logic):
    volume = application.add_volume()
    logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    engine = logic.engine.pid
    heard = Heard()
    killed = []

    def react(name):
        if name == "token" and not killed:
            killed.extend(psutil.Process(engine).children())
            for child in killed:
                child.kill()

    heard.react = react
    ask(application, logic, volume, heard, max_new_tokens=150, temperature=4.0, seed=1)
    assert heard.calls.count("restarted") == 1
    assert killed, "the engine keeps the model in a process of its own"
    assert heard.exchange.answer
    assert logic.engine.pid == engine


def test_stopping_at_random_moments(application, logic):
    volume = application.add_volume()
    logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    engine = logic.engine.pid
    chance = random.Random(5)
    for _ in range(12):
        heard = Heard()
        run = logic.ask_async(volume, "Describe it.", listener=heard, max_new_tokens=40)
        calls = chance.randrange(20)
        until(application, lambda h=heard, n=calls: len(h.calls) >= n or h.is_over)
        run.stop()
        run.stop()
        until(application, lambda r=run: r.is_over, 30)
        assert heard.calls[-1] in ("stopped", "answered")
        if heard.calls[-1] == "answered":
            assert heard.exchange.answer.startswith("".join(heard.words))
        assert heard.calls.count("answered") + heard.calls.count("stopped") == 1
    assert logic.engine.pid == engine
    assert logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2).answer
    until(application, lambda: not logic.is_busy)


def test_stopping_while_the_engine_starts(application, logic):
    logic.unload()
    heard = Heard()
    run = logic.report_async(application.add_volume(), listener=heard)
    until(application, lambda: logic.engine.pid)
    run.stop()
    assert heard.calls[-1] == "stopped"
    assert logic.ask(application.add_volume(), "Is there a focal lesion?", max_new_tokens=2).answer


def test_the_scene_is_closed_while_it_answers(application, logic):
    volume = application.add_volume()
    heard = Heard()
    heard.react = lambda name: name == "token" and application.slicer.mrmlScene.Clear(0)
    ask(application, logic, volume, heard)
    assert heard.calls[-1] == "stopped"
    assert logic.exchanges() == []
    application.wait(500)
    assert logic.exchanges() == [], "nothing comes into the new scene later"
    assert logic.ask(application.add_volume(), "Is there a focal lesion?", max_new_tokens=2).answer


def test_the_volume_is_deleted_while_it_answers(application, logic):
    volume = application.add_volume()
    heard = Heard()
    scene = application.slicer.mrmlScene
    heard.react = lambda name: name == "scored" and scene.RemoveNode(volume)
    ask(application, logic, volume, heard, max_new_tokens=4)
    assert heard.exchange.answer
    assert heard.stored.volume_id is None
    assert logic.exchanges() == [heard.exchange], "no answer is lost"


def test_the_volume_is_changed_between_two_questions(application, logic):
    volume = application.add_volume()
    first = logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    voxels = application.slicer.util.arrayFromVolume(volume)
    voxels[:5] = 200
    application.slicer.util.arrayFromVolumeModified(volume)
    second = logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    assert first.volume.sha256 != second.volume.sha256


def test_it_is_unloaded_when_idle_and_on_request(application, make_logic):
    from med2e3_slicer.engine import EngineState

    logic = make_logic(idle_minutes=0.01)
    volume = application.add_volume()
    logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    group = logic.engine.pid
    until(application, lambda: logic.state is EngineState.STOPPED, 30)
    until(application, lambda: not processes_of(group), 15)
    assert logic.engine.problem is None
    logic.use_local(idle_minutes=0)
    logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    group = logic.engine.pid
    logic.unload()
    assert logic.state is EngineState.STOPPED
    until(application, lambda: not processes_of(group), 15)
    assert len(logic.exchanges(volume)) == 2, "answers stay"


def test_another_model_or_precision_starts_another_engine(application, logic):
    volume = application.add_volume()
    logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    before = logic.engine.pid
    logic.use_local(precision="bfloat16")
    answer = logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    assert logic.engine.pid != before
    assert answer.generation["dtype"] == "bfloat16"
    until(application, lambda: not processes_of(before), 15)


def test_options_are_checked_before_anything_starts(application, make_logic):
    logic = make_logic()
    volume = application.add_volume()
    for options, message in (
        ({"plane": "askew"}, "askew"),
        ({"max_new_tokens": 0}, "length"),
        ({"no_such": 1}, "no_such"),
        ({"window": "bones?"}, "bones"),
    ):
        with pytest.raises(Exception, match=message):
            logic.report(volume, **options)
    with pytest.raises(Exception, match="empty"):
        logic.ask(volume, " ")
    with pytest.raises(TypeError):
        logic.ask(volume, "Which?", "ab")
    assert logic.engine.pid == 0


def test_settings_are_kept_only_when_asked(application, make_logic):
    logic = make_logic()
    logic.use_local(model="other")
    assert logic.settings.load().model == "embedded"
    logic.use_local(model="other", idle_minutes=5, keep=True)
    assert logic.settings.load().model == "other"
    assert logic.settings.load().idle_minutes == 5
    assert logic.settings.load().python == Path(choice().python)
