"""The examples of docs/scripting.md, run one after the other as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from engine_scene import choice, settings_file, until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scripting.md"


def examples() -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    text = re.sub(r"<!-- not run.*?-->\n```python.*?```", "", text, flags=re.DOTALL)
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_every_example_runs(application, tmp_path, monkeypatch, capsys):
    from med2e3_slicer.engine import EngineSettings
    from med2e3_slicer.logic import Med2E3Logic

    settings = EngineSettings(settings_file(application.qt, tmp_path))
    settings.save(choice())
    logic = Med2E3Logic(settings)
    monkeypatch.setattr(
        application.slicer.util, "getModuleLogic", lambda name: logic, raising=False
    )
    # short answers: the embedded model has more to say than is needed here
    original = logic.ask_async
    logic.ask_async = lambda *values, **options: original(
        *values, **{"max_new_tokens": 4} | options
    )
    names: dict[str, Any] = {"slicer": application.slicer, "volume": application.add_volume()}
    application.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    found = examples()
    assert len(found) == 8
    for example in found:
        exec(compile(example, str(PAGE), "exec"), names)
        until(application, lambda: not logic.is_busy)
        printed = capsys.readouterr().out
        assert "Error" not in printed
    assert names["answer"].history[0].answer == names["report"].answer
    assert list(names["reports"]) == ["CT"]
    assert len(logic.exchanges(names["volume"])) >= 4
    assert (Path(application.slicer.app.temporaryPath) / "scores.csv").exists()
    logic.shutdown()
