"""Exchanges as documents for people: plain text, DOCX, PDF. The notice is in each of them."""

from med2e3_slicer.export.exporter import SUFFIXES, Exporter, plain_text, save_document

__all__ = ["SUFFIXES", "Exporter", "plain_text", "save_document"]
