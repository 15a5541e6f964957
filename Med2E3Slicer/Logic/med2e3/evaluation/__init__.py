"""Measuring a model on questions whose answers are known (heavy where a model is asked)."""
