"""The distribution of the scores over the model slices, as bars.

Knows scores and uniform; knows nothing of pictures or text columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from med2e3 import palette
from med2e3.figure.text import font

#: at least this many times uniform is shown, so that a flat distribution looks flat
_LEAST_TOP = 2.0


def draw_bars(
    axes: Axes,
    relative: Sequence[float],
    *,
    top: Sequence[int],
    sampled: Sequence[int],
) -> None:
    """Draw one bar for each slice, a dashed line at uniform, and marks.

    Args:
        axes: where.
        relative: scores as multiples of uniform, in the model's slice order.
        top: indices of the slices shown large, highest first; each gets its rank above its bar.
        sampled: indices of the slices shown below the axis; each gets a tick with its number.
    """
    count = len(relative)
    axes.bar(
        range(count),
        relative,
        width=0.84,
        color=[palette.relative_color(value) for value in relative],
        zorder=2,
    )
    height = max(_LEAST_TOP, *relative) * 1.2
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(0, height)
    axes.axhline(1.0, color=palette.INK, linewidth=1.0, linestyle=(0, (5, 3)), zorder=3)
    for rank, index in enumerate(top, start=1):
        axes.annotate(
            str(rank),
            (index, relative[index]),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            va="center",
            fontproperties=font(7.5, bold=True),
            color="white",
            bbox={
                "boxstyle": "circle,pad=0.28",
                "facecolor": palette.INK,
                "edgecolor": "none",
            },
            zorder=4,
        )
    axes.set_xticks(list(sampled), [str(index + 1) for index in sampled])
    axes.set_ylabel("score / uniform", fontproperties=font(8), color=palette.QUIET)

    def score(times_uniform: Any) -> Any:
        return times_uniform / count

    def times_uniform(score: Any) -> Any:
        return score * count

    second = axes.secondary_yaxis("right", functions=(score, times_uniform))
    second.set_ylabel("score", fontproperties=font(8), color=palette.QUIET)
    for part in (axes, second):
        part.tick_params(labelsize=7.5, colors=palette.QUIET, length=2.5)
        for label in (*part.get_xticklabels(), *part.get_yticklabels()):
            label.set_fontproperties(font(7.5))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    second.spines["right"].set_color(palette.RULE)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(palette.RULE)
