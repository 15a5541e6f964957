"""Exported documents, opened as their readers open them."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

import pypdfium2
import slicer.util
from PIL import Image

from fixtures import slicer_scenes as scenes
from med2e3.asking import Question
from med2e3.errors import InputError
from med2e3.notice import NOTICE
from med2e3.record import ModelRecord
from med2e3_slicer.records import ExchangeStore, Motion, StoredExchange
from med2e3_slicer.volumes import PreparationOptions, copy_volume, make_model_input

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
EVERYTHING = ("Med-2E3 embedded", "lung, center -600, width 1500", "a person", NOTICE, "UTC")


@pytest.fixture(autouse=True)
def harness(application: Any) -> None:
    """Qt, and no complaint of PythonQt."""


@pytest.fixture(scope="module")
def answered() -> tuple[Any, StoredExchange]:
    scene = scenes.new_scene()
    volume = scenes.add_volume(scene, name="Mustermann^Erika")
    scenes.add_study(scene, volume)
    options = PreparationOptions(window="lung")
    model_input = make_model_input(copy_volume(volume), scenes.INPUT_SIZE, options)
    exchange = scenes.ask(model_input, Question.report())
    return scene, ExchangeStore(scene).add(volume, exchange)


@pytest.fixture
def stored(answered: tuple[Any, StoredExchange]) -> StoredExchange:
    return answered[1]


@pytest.fixture
def exporter(answered: tuple[Any, StoredExchange]) -> Any:
    from med2e3_slicer.export import Exporter

    return Exporter(answered[0])


def edited(stored: StoredExchange, text: str, reviewed: bool = True) -> StoredExchange:
    review = replace(
        stored.review, text=text, reviewed=reviewed, changed="2026-03-04T05:06:07+00:00"
    )
    return replace(stored, review=review)


def docx_text(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(archive.read(name))
        root = ElementTree.fromstring(archive.read("word/document.xml"))
    paragraphs = root.iter(f"{WORD}p")
    return "\n".join("".join(t.text or "" for t in p.iter(f"{WORD}t")) for p in paragraphs)


def pdf_pages(path: Path) -> list[str]:
    document = pypdfium2.PdfDocument(path)
    pages = []
    for page in document:
        text = page.get_textpage()
        pages.append(text.get_text_range().replace("\r\n", "\n"))
        text.close()
        page.close()
    document.close()
    return pages


def pdf_pictures(path: Path) -> int:
    document = pypdfium2.PdfDocument(path)
    count = 0
    for page in document:
        count += sum(1 for each in page.get_objects() if type(each).__name__ == "PdfImage")
        page.close()
    document.close()
    return count


def as_read(path: Path) -> str:
    if path.suffix == ".txt":
        return path.read_text(encoding="utf-8-sig")
    return docx_text(path) if path.suffix == ".docx" else "\n".join(pdf_pages(path))


def one_line(text: str) -> str:
    """Without the line breaks that a page adds."""
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("suffix", [".txt", ".docx", ".pdf", ".PDF"])
def test_all_that_must_be_said(
    exporter: Any, stored: StoredExchange, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"report{suffix}"
    exporter.save(stored, path)
    said = one_line(as_read(path.rename(path.with_suffix(suffix.lower()))))
    for part in EVERYTHING:
        assert part in said
    assert one_line(stored.exchange.answer) in said
    assert "Text as the model wrote it; not reviewed by a person." in said
    assert "Mustermann" not in said
    hottest = stored.exchange.top_slices(1)[0]
    assert f"Slice {hottest + 1} of 32" in said


@pytest.mark.parametrize("suffix", [".txt", ".docx", ".pdf"])
def test_an_edited_text_says_so(
    exporter: Any, stored: StoredExchange, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"report{suffix}"
    mine = edited(stored, 'Größe <b>12 mm</b> & "unklar"\n\nZweite Zeile ½ µ')
    exporter.save(mine, path)
    said = one_line(as_read(path))
    assert 'Größe <b>12 mm</b> & "unklar"' in said
    assert "Zweite Zeile ½ µ" in said
    assert one_line(stored.exchange.answer) not in said
    assert "edited by a person; marked as reviewed by a person" in said
    assert "2026-03-04 05:06 UTC" in said
    exporter.save(edited(stored, "x", reviewed=False), path)
    assert "edited by a person; not reviewed by a person" in one_line(as_read(path))


def test_the_clipboard_gets_the_text_file(
    exporter: Any, stored: StoredExchange, tmp_path: Path
) -> None:
    exporter.save(stored, tmp_path / "report.txt")
    assert exporter.plain_text(stored) == as_read(tmp_path / "report.txt")


def test_docx_holds_key_slices(exporter: Any, stored: StoredExchange, tmp_path: Path) -> None:
    path = tmp_path / "report.docx"
    exporter.save(stored, path)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("word/media/")]
        pictures = [Image.open(io.BytesIO(archive.read(name))) for name in sorted(names)]
        relations = archive.read("word/_rels/document.xml.rels").decode()
        document = archive.read("word/document.xml").decode()
        footer = archive.read("word/footer1.xml").decode()
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert len(pictures) == 4
    assert [picture.size for picture in pictures[1:]] == [pictures[1].size] * 3
    used = re.findall(r'r:embed="(\w+)"', document)
    assert used == re.findall(r'Id="(\w+)" Type="[^"]*/image"', relations)
    assert NOTICE in footer
    assert b"Mustermann" not in everything


def test_a_key_slice_shows_what_the_model_saw(stored: StoredExchange) -> None:
    from med2e3_slicer.export.pictures import key_slices

    voxels = np.zeros((32, 64, 64), np.float32)
    hottest = stored.exchange.top_slices(1)[0]
    voxels[hottest, :32, 32:] = 1.0  # upper right: the patient's left, in front
    picture = key_slices(stored.exchange, voxels)[0]
    grey = np.asarray(Image.open(io.BytesIO(picture.png)).convert("L"), float)
    rows, columns = grey.shape
    quarters = grey[rows // 4, columns // 4], grey[rows // 4, 3 * columns // 4]
    assert quarters == (0, 255)
    assert grey[3 * rows // 4, 3 * columns // 4] == 0
    pixel = stored.exchange.preprocessing["pixel_spacing_mm"]
    assert rows / columns == pytest.approx(pixel[0] / pixel[1], abs=0.01)
    assert picture.caption.startswith(f"Slice {hottest + 1} of 32")
    with pytest.raises(InputError, match="another volume"):
        key_slices(stored.exchange, voxels[:16])


def test_the_bar_is_as_high_as_the_score(stored: StoredExchange) -> None:
    from med2e3_slicer.export.pictures import score_bar

    scores = np.full(32, 0.5 / 31)
    scores[9] = 0.5
    exchange = replace(stored.exchange, scores=tuple(scores))
    image = np.asarray(Image.open(io.BytesIO(score_bar(exchange).png)).convert("RGB"), int)
    filled = (image.max(axis=2) - image.min(axis=2) > 40).sum(axis=0)
    step = image.shape[1] / 32
    heights = [filled[round((index + 0.3) * step)] for index in range(32)]
    assert int(np.argmax(heights)) == 9
    assert heights[9] == pytest.approx(31 * heights[3], rel=0.3)
    assert score_bar(replace(stored.exchange, scores=())) is None


def test_pdf_is_one_page_with_pictures(
    exporter: Any, stored: StoredExchange, tmp_path: Path
) -> None:
    path = tmp_path / "report.pdf"
    exporter.save(stored, path)
    (page,) = pdf_pages(path)
    assert "Page 1 of 1" in page
    assert pdf_pictures(path) == 4
    document = pypdfium2.PdfDocument(path)
    assert document.get_page_size(0) == pytest.approx((595, 842), abs=1)
    assert document.get_metadata_value("Title") == "Med-2E3 report"
    assert document.get_metadata_value("Author") == ""
    document.close()


def test_nothing_is_drawn_beside_the_page(
    exporter: Any, stored: StoredExchange, tmp_path: Path
) -> None:
    path = tmp_path / "report.pdf"
    exporter.save(edited(stored, "word " * 300), path)
    document = pypdfium2.PdfDocument(path)
    image = np.asarray(document[0].render(scale=2).to_pil().convert("L"))
    document.close()
    margin = 90  # of 18 mm at 144 dpi: 102 pixels
    assert image[:, :margin].min() == image[:, -margin:].min() == 255
    assert image[:margin].min() == 255
    assert image[margin:-margin, margin:-margin].min() < 60


def test_a_long_pdf_has_the_notice_on_each_page(
    exporter: Any, stored: StoredExchange, tmp_path: Path
) -> None:
    path = tmp_path / "report.pdf"
    lines = [f"Line {number} of a long report." for number in range(200)]
    exporter.save(edited(stored, "\n".join(lines)), path)
    pages = pdf_pages(path)
    assert len(pages) >= 3
    for number, page in enumerate(pages, start=1):
        assert NOTICE in page
        assert f"Page {number} of {len(pages)}" in page
    said = "\n".join(pages)
    assert [line for line in lines if said.count(f"{line}\n") + said.count(f"{line}\r") != 1] == []


def test_question_with_choices_and_history(exporter: Any, stored: StoredExchange) -> None:
    from med2e3.asking.question import Turn

    exchange = replace(
        stored.exchange,
        task="closed_vqa",
        question="Which organ?",
        choices=("liver", "spleen"),
        choice_probabilities={"A": 0.25, "B": 0.75},
        history=(Turn("Before?", "Yes."),),
        finish_reason="length",
        warnings=("Something to know.",),
        model=ModelRecord("m", "v1", "ab" * 32),
        notice=f"{NOTICE} Of this model too.",
    )
    said = exporter.plain_text(replace(stored, exchange=exchange, motion=Motion(None, True)))
    for part in (
        "MED-2E3 ANSWER",
        "Asked before: Before?",
        "B. spleen (75 %)",
        "cut off",
        "- Something to know.",
        "m, revision v1",
        "abababab",
        "Of this model too.",
        "was moved",
    ):
        assert part in said


def test_without_volume_or_with_another_one_there_are_no_pictures(
    exporter: Any, answered: tuple[Any, StoredExchange], tmp_path: Path
) -> None:
    scene, stored = answered
    path = tmp_path / "report.docx"

    def pictures() -> int:
        exporter.save(stored, path)
        with zipfile.ZipFile(path) as archive:
            return sum(name.startswith("word/media/") for name in archive.namelist())

    assert pictures() == 4
    array = slicer.util.arrayFromVolume(scene.GetNodeByID(stored.volume_id))
    array += 7
    assert pictures() == 1  # the scores
    array -= 7
    assert pictures() == 4
    stored = replace(stored, volume_id=None)
    assert pictures() == 1
    stored = replace(stored, exchange=replace(stored.exchange, scores=()))
    assert pictures() == 0
    assert "Highest-scored" not in docx_text(path)


def test_records_with_gaps_are_exported(
    exporter: Any, stored: StoredExchange, tmp_path: Path
) -> None:
    bare = replace(
        stored.exchange, preprocessing={}, generation={}, software={}, answer="", created="once"
    )
    for suffix in (".txt", ".docx", ".pdf"):
        path = tmp_path / f"report{suffix}"
        exporter.save(replace(stored, exchange=bare), path)
        assert "(no text)" in as_read(path)


@pytest.mark.parametrize("suffix", [".txt", ".docx", ".pdf"])
def test_any_character(exporter: Any, stored: StoredExchange, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    odd = "a\x00\x01\x0b\x1f\x7f\x85\u2028\ufffe\ud800z <&>\"' 你好 مرحبا 😀"
    exporter.save(edited(stored, odd), path)
    said = as_read(path)
    assert "<&>\"'" in said
    if suffix == ".docx":
        assert "你好 مرحبا 😀" in said


def test_what_cannot_be_written(exporter: Any, stored: StoredExchange, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written as"):
        exporter.save(stored, tmp_path / "report.doc")
    with pytest.raises(InputError, match="cannot be written"):
        exporter.save(stored, tmp_path / "missing" / "report.pdf")
    kept = tmp_path / "kept.pdf"
    kept.write_text("before")
    with pytest.raises(InputError):
        from med2e3_slicer.export import save_document

        save_document(kept, stored, np.zeros((4, 8, 8), np.float32))
    assert kept.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.pdf"]


def test_voxels_that_are_known_are_used(
    answered: tuple[Any, StoredExchange], tmp_path: Path
) -> None:
    from med2e3_slicer.export import Exporter

    scene, stored = answered
    asked = []

    def known(which: StoredExchange) -> Any:
        asked.append(which.key)
        return np.zeros((32, 64, 64), np.float32)

    Exporter(scene, known).save(replace(stored, volume_id=None), tmp_path / "report.pdf")
    assert asked == [stored.key]
    assert pdf_pictures(tmp_path / "report.pdf") == 4
