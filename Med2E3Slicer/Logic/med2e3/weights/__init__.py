"""Downloading, checking, finding and naming models (no torch at import)."""

from med2e3.weights.catalogue import CatalogueEntry, find_entry, load_catalogue
from med2e3.weights.identity import ModelIdentity, model_identity
from med2e3.weights.resolve import EMBEDDED_NAME, embedded_model_dir, resolve_model
from med2e3.weights.store import Store, store_dir

__all__ = [
    "EMBEDDED_NAME",
    "CatalogueEntry",
    "ModelIdentity",
    "Store",
    "embedded_model_dir",
    "find_entry",
    "load_catalogue",
    "model_identity",
    "resolve_model",
    "store_dir",
]
