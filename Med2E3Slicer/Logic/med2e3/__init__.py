"""Med-2E3 on a CT volume: read it, ask about it, see which slices the model attended to.

The package has two halves.  The *light* half (``volume``, ``asking``, ``record``, and the
modules that lie directly in this package) needs numpy and SimpleITK only, so that it runs in
Slicer's own Python.  The *heavy* half (``model``, ``checkpoint``, ``session``) needs torch and
transformers.  Importing
``med2e3`` or anything of the light half never imports torch.
"""

__version__ = "0.1.0"
