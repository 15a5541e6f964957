"""Slicer's views: a Qt widget around a VTK render window that draws offscreen."""
