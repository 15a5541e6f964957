"""What the module offers to its panel and to scripts: reports and answers about volume nodes."""

from med2e3_slicer.logic.listener import AskListener
from med2e3_slicer.logic.logic import Med2E3Logic
from med2e3_slicer.logic.question import QuestionRun

__all__ = ["AskListener", "Med2E3Logic", "QuestionRun"]
