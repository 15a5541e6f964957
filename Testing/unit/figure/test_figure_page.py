"""The figure: files that open, text that is never cut, pictures that are not distorted."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from med2e3.asking import Done, Question
from med2e3.errors import InputError
from med2e3.figure import check_suffix, draw, save_figure
from med2e3.figure.panel import MARGIN, TEXT_WIDTH, WIDTH, sampled_slices
from med2e3.notice import NOTICE, UNTRAINED_NOTICE
from med2e3.record import Exchange, ModelRecord, VolumeRecord, build_exchange
from med2e3.volume import SlicePlace

LONG_REPORT = (
    "The liver is enlarged, with a hypodense lesion of 3.2 \u00d7 2.9 cm in segment VI; "
    "it costs $5 and x_1^2 stays as it is. \t No free fluid.\n\n"
) * 14 + "Hepatosplenomegaly" * 30


def make_voxels() -> np.ndarray:
    """A bright ellipsoid with a brighter ball in it, (32, 256, 256)."""
    z, y, x = np.mgrid[-1:1:32j, -1:1:256j, -1:1:256j]
    body = (z / 1.2) ** 2 + (y / 0.7) ** 2 + (x / 0.9) ** 2 < 1
    ball = (z + 0.3) ** 2 + (y - 0.1) ** 2 + (x - 0.3) ** 2 < 0.04
    return (0.5 * body + 0.4 * ball).astype(np.float32)


VOXELS = make_voxels()


def make_exchange(**changes: Any) -> Exchange:
    scores = np.exp(2 * np.exp(-0.5 * ((np.arange(32) - 11) / 2.5) ** 2))
    question = changes.pop("asked", Question("Where is the lesion?"))
    done = Done(
        "In the liver.", (5, 6), (0.5, 1.0), tuple(map(float, scores / scores.sum())), "end"
    )
    exchange = build_exchange(
        question,
        done,
        slices=[
            SlicePlace(index, (0.0, 0.0, 200.0 - 6 * index), 1000 + 3 * index, 1002 + 3 * index)
            for index in range(32)
        ],
        model=ModelRecord("a-model-with-a-long-name", "0123456789abcdef" * 3, "9" * 64),
        volume=VolumeRecord("f" * 64, VOXELS.shape),
        preprocessing={
            "window": {"name": "lung", "source": "preset", "center": -600.0, "width": 1500.0},
            "plane": "axial",
            "pixel_spacing_mm": [0.8, 1.0],
        },
        generation={},
    )
    return dataclasses.replace(exchange, **changes)


CASES = {
    "short": make_exchange(),
    "long": make_exchange(answer=LONG_REPORT, task="report", finish_reason="length"),
    "empty": make_exchange(answer=""),
    "no scores": make_exchange(scores=()),
    "untrained": make_exchange(
        model=ModelRecord("m", None, "0" * 64, True, UNTRAINED_NOTICE),
        warnings=("The slices are thick. " * 9,),
    ),
    "choices": make_exchange(
        asked=Question("Which phase?", choices=("arterial " * 12, "venous", "none")),
        choice_probabilities={"A": 0.25, "B": 0.5, "C": 0.25},
    ),
    "one peak": make_exchange(scores=(1.0, *(0.0,) * 31)),
    "unlocated": make_exchange(
        slices=tuple(
            dataclasses.replace(place, position_lps_mm=None) for place in make_exchange().slices
        ),
        preprocessing={"window": None, "plane": "native"},
    ),
}


def texts_of(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    return found + [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("name", CASES)
def test_no_text_is_cut_or_overlaps_another(name: str) -> None:
    figure = draw(CASES[name], VOXELS)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that is in no font is a warning
        canvas.draw()
    renderer = canvas.get_renderer()
    page = figure.bbox
    boxes = [text.get_window_extent(renderer) for text in figure.texts if text.get_text().strip()]
    column_edge = (MARGIN + TEXT_WIDTH) * figure.dpi
    for box in boxes:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
        in_footer = box.y0 < page.y0 + 0.6 * figure.dpi
        if box.x0 < column_edge and not in_footer:
            assert box.x1 <= column_edge + 1
    for first in range(len(boxes)):
        for second in range(first):
            a, b = boxes[first], boxes[second]
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            down = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across <= 0.5 or down <= 0.5, (
                figure.texts[first].get_text(),
                figure.texts[second].get_text(),
            )


def test_the_whole_answer_is_on_the_page() -> None:
    words = "".join(texts_of(draw(CASES["long"], VOXELS)))
    squeezed = "".join(words.split())
    assert "".join(LONG_REPORT.split()) in squeezed


@pytest.mark.parametrize("name", CASES)
def test_the_notices_are_on_every_page(name: str) -> None:
    exchange = CASES[name]
    words = " ".join(texts_of(draw(exchange, VOXELS)))
    assert NOTICE in words
    assert (UNTRAINED_NOTICE in words) == exchange.model.untrained


def test_top_slices_have_place_source_and_score() -> None:
    words = texts_of(draw(CASES["short"], VOXELS))
    exchange = CASES["short"]
    assert "1   Slice 12 of 32" in words and "2   Slice 11 of 32" in words
    assert "S 134.0 mm" in words and "source slices 1034\u20131036" in words
    assert f"{exchange.relative_scores()[11]:.1f} \u00d7 uniform" in words
    assert any("revision 0123456789ab" in line and "window lung" in line for line in words)


def test_pictures_show_the_scored_slices_in_true_proportions() -> None:
    exchange = CASES["short"]
    figure = draw(exchange, VOXELS)
    figure.canvas.draw()
    pictures = [axes for axes in figure.axes if axes.images]
    shown = [axes.images[0].get_array() for axes in pictures]
    expected = [*sampled_slices(32), *exchange.top_slices(3)]
    assert len(shown) == len(expected)
    for picture, index in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(picture, VOXELS[index])
    for axes in pictures:
        box = axes.get_window_extent()
        assert box.height / box.width == pytest.approx(0.8, rel=0.01)
    letters = [[text.get_text() for text in axes.texts] for axes in pictures[-3:]]
    assert letters == [["R", "L", "A", "P"]] * 3


@pytest.mark.parametrize(
    ("plane", "letters"),
    [("coronal", ["R", "L", "S", "I"]), ("sagittal", ["A", "P", "S", "I"]), ("native", [])],
)
def test_letters_follow_the_plane(plane: str, letters: list[str]) -> None:
    figure = draw(make_exchange(preprocessing={"plane": plane, "window": None}), VOXELS)
    last = [axes for axes in figure.axes if axes.images][-1]
    assert [text.get_text() for text in last.texts] == letters


def test_without_geometry_no_letters_and_no_positions() -> None:
    figure = draw(CASES["unlocated"], VOXELS)
    assert all(not axes.texts for axes in figure.axes if axes.images)
    assert not any(" mm" in line for line in texts_of(figure))


def test_sampled_slices_are_even_and_inside() -> None:
    assert sampled_slices(32) == (2, 6, 10, 14, 18, 22, 26, 30)
    assert sampled_slices(5) == (0, 1, 2, 3, 4)


def test_a_png_of_several_questions_is_one_tall_picture(tmp_path: Path) -> None:
    one, two = tmp_path / "one.png", tmp_path / "two.PNG"
    save_figure(one, [CASES["short"]], VOXELS)
    save_figure(two, [CASES["short"], CASES["short"]], VOXELS)
    single, double = imread(one), imread(two, format="png")
    assert single.shape[1] == round(WIDTH * 150) == double.shape[1]
    assert double.shape[0] == pytest.approx(2 * single.shape[0], abs=2)
    assert single[..., :3].std() > 0.1


def test_a_pdf_has_a_page_for_each_question(tmp_path: Path) -> None:
    path = tmp_path / "answers.pdf"
    save_figure(path, [CASES["short"], CASES["long"], CASES["no scores"]], VOXELS)
    content = path.read_bytes()
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") == 3


def test_an_svg_is_wellformed_and_the_same_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    save_figure(first, [CASES["choices"]], VOXELS)
    save_figure(second, [CASES["choices"]], VOXELS)
    assert ET.parse(first).getroot().tag.endswith("svg")
    assert first.read_bytes() == second.read_bytes()


def test_other_suffixes_and_other_volumes_are_refused(tmp_path: Path) -> None:
    for name in ("figure.jpeg", "figure"):
        with pytest.raises(InputError, match="cannot be written as"):
            check_suffix(tmp_path / name)
        with pytest.raises(InputError):
            save_figure(tmp_path / name, [CASES["short"]], VOXELS)
    with pytest.raises(InputError, match="another volume"):
        draw(CASES["short"], VOXELS[:31])
    assert list(tmp_path.iterdir()) == []


def test_drawing_needs_neither_pyplot_nor_torch() -> None:
    code = (
        "import sys, med2e3.figure;"
        "print([m for m in ('torch', 'transformers', 'matplotlib.pyplot', 'tkinter')"
        " if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
