"""The panel: what a person sees and presses in the module (nothing heavy is imported here).

``state`` and ``presenter`` are plain Python; the modules that end in ``_view`` hold Qt widgets and
nothing else.  What the panel needs of the other parts is written down in ``ports``.
"""
