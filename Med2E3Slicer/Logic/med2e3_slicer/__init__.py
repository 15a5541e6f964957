"""Med-2E3 in 3D Slicer: everything that touches slicer, qt, ctk or vtk.

Never imports torch: the model runs in a process of its own, reached through ``med2e3.client``.
"""
