"""The lint finds each thing that PythonQt or Slicer refuses, and nothing in the module."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the lint reads Qt's names from PySide6")

from harness.lint import RULES, check, own_names

MODULE = Path(__file__).resolve().parents[2] / "Med2E3Slicer"

#: what stands in the module on purpose
EXCUSED = {
    # its timer hands Python's lock over, see its first lines
    ("Logic/med2e3_slicer/engine/background.py", "thread"),
}

BAD = [
    ("keywords", "qt.QLabel(text='a')"),
    ("keywords", "self.ui.tree.setSortingEnabled(enable=True)"),
    ("keywords", "settings.value('a', type=bool)"),
    ("called-property", "box.currentText()"),
    ("called-property", "self.edit.placeholderText()"),
    ("exec", "dialog.exec()"),
    ("image-of-bytes", "qt.QImage(data, 2, 2, 6, qt.QImage.Format_RGB888)"),
    ("path", "qt.QIcon(Path('a.png'))"),
    ("path", "qt.QPixmap(folder / 'a.png')"),
    ("list", "widget.children() + [other]"),
    ("list", "process.arguments().append('a')"),
    ("qt6-only", "qt.QKeyCombination()"),
    ("qt6-only", "box.checkStateChanged.connect(f)"),
    ("qt5-only", "qt.QRegExp('a')"),
    ("qt5-only", "layout.margin = 3"),
    ("old-vtk", "renderer.AddActor2D(actor)"),
    ("lazy-vtk", "vtk.util.numpy_support.vtk_to_numpy(array)"),
    ("signal", "class A:\n    changed = qt.Signal(int)"),
    ("thread", "import threading"),
    ("thread", "from concurrent.futures import ThreadPoolExecutor"),
    ("import", "import pandas"),
    ("import", "def f():\n    import torch"),
    ("install", "slicer.util.pip_install('torch')"),
    ("signature", "button.connect('clicked', f)"),
    ("signature", "box.connect('currentIndexChanged(QString)', f)"),
    ("signature", "edit.connect('textChanged(str)', f)"),
    ("bound-slot", "button.connect('clicked()', window.hide)"),
    ("translation", "_(f'Volume {name}')"),
    ("translation", "_(text)"),
    ("translation", "_('Slice {}').format(3)"),
    ("encoding", "textNode.SetText('Größe')"),
]

GOOD = """
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy
import qt

def f(self, own):
    label = qt.QLabel(_("Slice {number}").format(number=3))
    label.connect("linkActivated(QString)", self.opened)
    self.button.clicked.connect(self.opened)
    slicer.util.errorDisplay("a", detailedText="b")
    own.setSortingEnabled2(enable=True)
    kept = [*widget.children(), other]
    dialog.exec_()
    qt.QIcon(str(folder / "a.png"))
    textNode.SetText("a", vtk.VTK_ENCODING_UTF_8)
    size.width(); item.text(); combo.currentText
    import pandas
"""


@pytest.mark.parametrize(("rule", "source"), BAD)
def test_a_bad_example_is_found(rule, source):
    assert rule in {finding.rule for finding in check(source)}


def test_every_rule_has_a_bad_example():
    assert {rule for rule, _ in BAD} == set(RULES)


def test_good_code_passes():
    assert check(GOOD) == []


def test_a_line_can_be_excused():
    assert check("qt.QRegExp('a')  # pythonqt: qt5-only") == []


def test_what_the_project_defines_may_take_keywords():
    source = "thing.setCurrentIndex(row=3)"
    assert check(source)
    assert check(source, own_names=frozenset({"setCurrentIndex"})) == []


def test_the_module_passes():
    files = [MODULE / "Med2E3Slicer.py", *sorted((MODULE / "Logic/med2e3_slicer").rglob("*.py"))]
    sources = {file: file.read_text(encoding="utf-8") for file in files}
    light = [each.read_text(encoding="utf-8") for each in (MODULE / "Logic/med2e3").rglob("*.py")]
    names = own_names([*sources.values(), *light])
    found = [
        str(finding)
        for file, source in sources.items()
        for finding in check(source, file.relative_to(MODULE).as_posix(), names)
        if (finding.path, finding.rule) not in EXCUSED
    ]
    assert not found, "\n".join(found)
