"""From records to a figure, and from a figure to a file.

Knows file formats and pages; does not know what a panel holds.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from numpy.typing import NDArray

from med2e3.atomic import write_bytes
from med2e3.errors import InputError
from med2e3.figure.canvas import Canvas
from med2e3.figure.panel import WIDTH, Panel
from med2e3.record import Exchange

SUFFIXES = (".png", ".svg", ".pdf")

_DPI = 150
#: a taller PNG is made with fewer dots per inch, so that it stays openable
_MOST_PIXELS = 32_000


def draw(exchange: Exchange, voxels: NDArray[np.floating]) -> Figure:
    """Draw one exchange.

    Args:
        exchange: the record.
        voxels: the model input it was asked about, (slices, rows, columns), 0 to 1.

    Returns:
        A figure without a window; its height follows the text.

    Raises:
        InputError: when the record and the voxels have different numbers of slices.
    """
    return _draw([exchange], voxels)


def _draw(exchanges: Sequence[Exchange], voxels: NDArray[np.floating]) -> Figure:
    panels = [_panel(exchange, voxels) for exchange in exchanges]
    figure = Figure(figsize=(WIDTH, sum(panel.height for panel in panels)), facecolor="white")
    FigureCanvasAgg(figure)
    top = 0.0
    for panel in panels:
        panel.draw(Canvas(figure, top))
        top += panel.height
    return figure


def _panel(exchange: Exchange, voxels: NDArray[np.floating]) -> Panel:
    if voxels.ndim != 3 or len(voxels) != len(exchange.slices):
        raise InputError(
            f"The record is about {len(exchange.slices)} slices, the pictures are another volume's."
        )
    return Panel.of(exchange, voxels)


def check_suffix(path: Path) -> None:
    """Refuse a file name whose format cannot be written.

    Raises:
        InputError: for a suffix that is not in :data:`SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"A figure cannot be written as {path.suffix or 'a file without suffix'!r}.",
            hint=f"End the file name in one of {', '.join(SUFFIXES)}.",
        )


def save_figure(path: Path, exchanges: Sequence[Exchange], voxels: NDArray[np.floating]) -> None:
    """Draw exchanges about one volume and write them, whole or not at all.

    A PDF has one page for each exchange; a PNG or SVG is one picture with the exchanges below
    each other.

    Args:
        path: ends in ``.png``, ``.svg`` or ``.pdf``.
        exchanges: at least one.
        voxels: the model input they were asked about, (slices, rows, columns), 0 to 1.

    Raises:
        InputError: for another suffix, another volume's voxels, or a file that cannot be written.
    """
    check_suffix(path)
    stream = io.BytesIO()
    # outlines in SVG and embedded TrueType in PDF look the same on every machine
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "med2e3", "pdf.fonttype": 42}):
        match path.suffix.lower():
            case ".pdf":
                with PdfPages(stream, metadata={"Creator": "med2e3", "CreationDate": None}) as pdf:
                    for exchange in exchanges:
                        _draw([exchange], voxels).savefig(pdf, format="pdf")
            case ".svg":
                _draw(exchanges, voxels).savefig(stream, format="svg", metadata={"Date": None})
            case _:
                figure = _draw(exchanges, voxels)
                dpi = min(_DPI, _MOST_PIXELS / figure.get_figheight())
                figure.savefig(stream, format="png", dpi=dpi)
    write_bytes(path, stream.getvalue())
