"""Synthetic training data: phantoms, composites, real CT with lesions, and questions (no torch).

Knows how volumes with a known truth are made and how they are asked about. Knows nothing of
training.
"""
