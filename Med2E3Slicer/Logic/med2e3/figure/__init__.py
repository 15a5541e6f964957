"""An answered question as a picture for a talk or a paper (matplotlib, no torch)."""

from med2e3.figure.save import SUFFIXES, check_suffix, draw, save_figure

__all__ = ["SUFFIXES", "check_suffix", "draw", "save_figure"]
