"""Asking a loaded model, in this process (heavy half)."""

from med2e3.session.session import Session

__all__ = ["Session"]
