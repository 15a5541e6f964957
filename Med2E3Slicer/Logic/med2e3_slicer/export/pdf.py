"""A document as PDF, laid out and written by Qt.

Knows Qt's rich text and pages. Does not know records.
"""

from __future__ import annotations

import base64
import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3.palette import INK, QUIET, RULE, WARNING_CARD, WARNING_INK
from med2e3_slicer.export.clean import markup
from med2e3_slicer.export.content import Content
from med2e3_slicer.export.pictures import Picture

#: of the file; pictures keep their own pixels
_DPI = 300
#: A4, and what is left free of it, in mm
_PAGE_MM = (210.0, 297.0)
_MARGIN_MM = 18.0
_FOOTER_MM = 10.0
#: the text is laid out in units of its own, the same on every screen, and enlarged when it is drawn
_UNITS = 4.0  # in a mm
_WIDTH = (_PAGE_MM[0] - 2 * _MARGIN_MM) * _UNITS
_HEIGHT = (_PAGE_MM[1] - 2 * _MARGIN_MM - _FOOTER_MM) * _UNITS
_FOOTER_LETTERS = 11


def as_pdf(content: Content, bar: Picture | None, keys: Sequence[Picture]) -> bytes:
    """The document's file, A4; must run in Qt's main thread.

    Args:
        content: what it says.
        bar: the scores, or ``None``.
        keys: the highest-scored slices, at most three beside each other.

    Raises:
        InputError: when the file cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix="med2e3-") as folder:
        path = Path(folder) / "document.pdf"
        _write(path, content, bar, keys)
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(_("The PDF could not be made."), detail=repr(error)) from error


def _write(path: Path, content: Content, bar: Picture | None, keys: Sequence[Picture]) -> None:
    writer = qt.QPdfWriter(str(path))
    writer.setResolution(_DPI)
    writer.setPageSize(qt.QPageSize(qt.QPageSize.A4))
    writer.setPageMargins(qt.QMarginsF(0, 0, 0, 0))
    writer.setTitle(content.title)
    writer.setCreator("Med2E3Slicer")

    document = qt.QTextDocument()
    document.setUseDesignMetrics(True)
    document.setDocumentMargin(0)
    document.setPageSize(qt.QSizeF(_WIDTH, _HEIGHT))
    document.setHtml("".join(_html(content, bar, keys)))

    painter = qt.QPainter(writer)
    if not painter.isActive():
        raise InputError(_("The PDF could not be made."))
    try:
        enlarged = writer.width() / (_PAGE_MM[0] * _UNITS)
        painter.scale(enlarged, enlarged)
        margin = _MARGIN_MM * _UNITS
        pages = document.pageCount()
        for page in range(pages):
            if page:
                writer.newPage()
            top = page * _HEIGHT
            with _moved(painter, margin, margin - top):
                document.drawContents(painter, qt.QRectF(0, top, _WIDTH, _HEIGHT))
            with _moved(painter, margin, margin + _HEIGHT):
                said = _("Page {page} of {pages}").format(page=page + 1, pages=pages)
                _draw_footer(painter, f"{content.notice}  {said}")
    finally:
        painter.end()


def _draw_footer(painter: Any, text: str) -> None:
    font = qt.QFont("Sans Serif")
    font.setPixelSize(_FOOTER_LETTERS)
    painter.setFont(font)
    painter.setPen(qt.QColor(QUIET))
    room = qt.QRectF(0, 2 * _UNITS, _WIDTH, _FOOTER_MM * _UNITS)
    painter.drawText(room, qt.Qt.TextWordWrap, text)


@contextlib.contextmanager
def _moved(painter: Any, x: float, y: float) -> Iterator[None]:
    painter.save()
    painter.translate(x, y)
    try:
        yield
    finally:
        painter.restore()


def _html(content: Content, bar: Picture | None, keys: Sequence[Picture]) -> Iterator[str]:
    yield (
        f'<body style="font-family:Sans Serif; font-size:14px; color:{INK}">'
        f'<h1 style="font-size:26px; margin:0 0 10px 0">{markup(content.title)}</h1>'
        f'<table width="100%" bgcolor="{WARNING_CARD}" cellpadding="8"><tr><td>'
        f'<b style="color:{WARNING_INK}">{markup(content.notice)}</b></td></tr></table>'
    )
    yield _quiet(content.state)
    for line in content.question:
        yield _quiet(line)
    for line in content.text:
        yield f'<p style="margin:7px 0 0 0; white-space:pre-wrap">{markup(line)}</p>'
    if content.slices:
        yield _heading(_("Highest-scored slices"))
        if bar:
            yield _image(bar, _WIDTH) + _quiet(bar.caption)
        if keys:
            cells = (
                f'<td valign="top">{_image(picture, _WIDTH * 0.32)}'
                f"{_quiet(f'{number}. {picture.caption}')}</td>"
                for number, picture in enumerate(keys, start=1)
            )
            yield f'<table width="100%" cellpadding="2"><tr>{"".join(cells)}</tr></table>'
        else:
            yield "".join(
                _line(f"{number}. {line}") for number, line in enumerate(content.slices, start=1)
            )
        yield _quiet(content.scores_note)
    if content.remarks:
        yield _heading(_("Remarks"))
        yield "".join(_line(f"• {remark}") for remark in content.remarks)
    yield _heading(_("Details"))
    rows = (
        f'<tr><td width="28%">{_quiet(name)}</td><td>{_quiet(value)}</td></tr>'
        for name, value in content.details
    )
    yield f'<table width="100%" style="border-color:{RULE}">{"".join(rows)}</table></body>'


def _heading(text: str) -> str:
    return f'<h2 style="font-size:17px; margin:18px 0 4px 0">{markup(text)}</h2>'


def _line(text: str) -> str:
    return f'<p style="margin:3px 0 0 0">{markup(text)}</p>'


def _quiet(text: str) -> str:
    style = f"margin:5px 0 0 0; color:{QUIET}; font-size:12px; white-space:pre-wrap"
    return f'<p style="{style}">{markup(text)}</p>'


def _image(picture: Picture, width: float) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    height = width * picture.height / picture.width
    return f'<img src="data:image/png;base64,{data}" width="{width:.0f}" height="{height:.0f}">'
