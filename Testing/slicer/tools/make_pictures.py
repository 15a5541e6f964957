"""Make the pictures of the tutorial and of the Extensions Index anew.

    python Testing/slicer/tools/make_pictures.py CT-chest.nrrd [folder]

Runs the module as it ships in the headless Slicer: a real CT (Slicer's sample CTChest), the real
engine and the model that ships with the module. Nothing in a picture is drawn by hand. Knows what
a person does in the tutorial, step by step; docs/tutorial.md explains the same steps.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "Med2E3Slicer" / "Logic")]

from PIL import Image  # noqa: E402

from harness.session import Session  # noqa: E402
from harness.start import start  # noqa: E402

IMAGES = HERE.parents[2] / "docs" / "images"
#: of the window, in pixels; the panel takes the left part
WINDOW, PANEL = (1240, 820), 380
#: of a picture: greys, and other colours; together they make a small file that looks the same
GREYS, COLOURS = 72, 168
#: less than this between a pixel's red, green and blue is grey
_GREY = 8
#: the slice views alone, the axial one large
_LAYOUT = 501
_VIEW = '<item><view class="vtkMRMLSliceNode" singletontag="{0}"/></item>'
_LAYOUT_XML = (
    f'<layout type="horizontal" split="true">{_VIEW.format("Red")}<item>'
    f'<layout type="vertical" split="true">{_VIEW.format("Green")}{_VIEW.format("Yellow")}</layout>'
    "</item></layout>"
)


def small(image: Image.Image) -> Image.Image:
    """The picture with a palette of its own: enough greys, and the other colours as they are."""
    pixels = np.asarray(image.convert("RGB"))
    coloured = np.ptp(pixels, axis=2) >= _GREY
    flat = Image.fromarray(pixels[coloured].reshape(1, -1, 3))
    palette = flat.quantize(COLOURS, dither=Image.Dither.NONE).getpalette()[: 3 * COLOURS]
    greys = [value for grey in np.linspace(0, 255, GREYS) for value in [round(grey)] * 3]
    chosen = Image.new("P", (1, 1))
    chosen.putpalette(palette + greys)
    return image.convert("RGB").quantize(palette=chosen, dither=Image.Dither.NONE)


class Pictures:
    """One run of the tutorial.

    Args:
        ct: the file of the volume.
        folder: where the pictures go.
    """

    def __init__(self, ct: Path, folder: Path) -> None:
        self.ct = ct
        self.folder = folder
        self.session = Session(start())
        self.session.begin("tutorial")
        self.session.window.resize(*WINDOW)

    def take(self, name: str, widget: object = None) -> None:
        """Save what the window (or one widget) shows, as a small PNG."""
        self.session.wait(80)
        self._save(name, widget or self.session.window)

    def _save(self, name: str, widget: object) -> None:
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "whole.png"
            widget.grab().save(str(whole))
            with Image.open(whole) as image:
                path = self.folder / f"tutorial-{name}.png"
                small(image).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")

    def make(self) -> None:
        """All pictures, in the order of the tutorial."""
        from panel_kit import close_panel, open_panel, use_engine

        session = self.session
        panel = open_panel(session, PANEL)
        layout = session.app.layoutManager()
        layout.layoutLogic().GetLayoutNode().AddLayoutDescription(_LAYOUT, _LAYOUT_XML)
        layout.setLayout(_LAYOUT)
        self.take("open")
        self._set_up()

        use_engine(session)
        volume = session.slicer.util.loadVolume(str(self.ct))
        volume.SetName("CTChest")
        panel.ui.inputSelector.setCurrentNode(volume)
        self._show(volume)
        self.take("volume")

        session.click(panel.ui.reportButton)
        self._in_the_middle(panel, "writing")
        self._scroll(panel, panel.ui.answerSection)
        self.take("report")

        self._ask(panel, "plane")
        self._scroll(panel, panel.ui.questionEdit)
        self.take("question")
        panel.ui.questionEdit.setPlainText("Is there an abnormality?")
        panel.ui.multipleChoiceCheckBox.checked = False
        session.click(panel.ui.askButton)
        self._wait(panel)

        panel.ui.plotCheckBox.checked = True
        self._scroll(panel, panel.ui.answerSection)
        self.take("plot")
        panel.ui.plotCheckBox.checked = False

        rows = panel.ui.exchangesList
        rows.currentRow = rows.count - 1
        session.process()
        panel.ui.compareButton.checked = True
        rows.currentRow = 0
        self._scroll(panel, panel.ui.exchangesSection)
        self.take("compare")
        panel.ui.compareButton.checked = False

        self._save_and_load(panel)
        self.take("restored")
        close_panel(session)
        session.end()

    def _set_up(self) -> None:
        from med2e3_slicer.install import open_set_up, opening
        from panel_kit import widget

        page = open_set_up(widget(self.session).logic.med2e3)
        self.session.wait_until(lambda: "memory" in page.ui.checksLabel.text, 60)
        self.take("set-up", page.widget.window())
        opening.close_set_up()

    def _show(self, volume: object) -> None:
        """Show a volume in the window for soft tissue, which the model gets as well."""
        display = volume.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevel(400, 40)
        self.session.slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self.session.wait(60)

    def _in_the_middle(self, panel: object, name: str) -> None:
        """Take a picture at the third piece of the answer; the small model is soon at its end."""
        presenter, pieces = panel.presenter, []
        wrote = presenter.wrote

        def third(text: str) -> None:
            wrote(text)
            pieces.append(text)
            if len(pieces) == 3:
                # what is drawn, and nothing that comes from the engine
                for view in ("Red", "Green", "Yellow"):
                    self.session.slice_view(view).forceRender()
                for _ in range(5):
                    self.session.app.sendPostedEvents(None, self.session.qt.QEvent.LayoutRequest)
                self._save(name, self.session.window)

        presenter.wrote = third
        self._wait(panel)
        del presenter.wrote

    def _ask(self, panel: object, topic: str) -> None:
        button = panel.widget.findChild(self.session.qt.QPushButton, f"topic_{topic}")
        button.menu().actions()[-1].trigger()
        self.session.process()
        self.session.click(panel.ui.askButton)
        self._wait(panel)

    def _wait(self, panel: object) -> None:
        self.session.wait_until(lambda: not panel.presenter.state.busy, 300)

    def _scroll(self, panel: object, widget: object) -> None:
        """Bring something in the panel to the top of what is seen, as far as it scrolls."""
        self.session.wait(120)
        place = widget.mapTo(panel.ui.panelContents, self.session.qt.QPoint(0, 0))
        bar = panel.ui.panelScrollArea.verticalScrollBar()
        bar.value = min(bar.maximum, place.y() - 8)

    def _save_and_load(self, panel: object) -> None:
        from panel_kit import widget

        session = self.session
        with tempfile.TemporaryDirectory() as folder:
            scene = Path(folder) / "chest.mrb"
            assert session.slicer.util.saveScene(str(scene))
            session.scene.Clear(0)
            session.wait(50)
            widget(session).logic.use_local(python=Path(folder) / "none")
            session.slicer.util.loadScene(str(scene))
            session.wait(80)
        panel.refresh_engine()
        self._show(panel.volume)
        panel.ui.exchangesList.currentRow = panel.ui.exchangesList.count - 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    Pictures(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGES).make()
