"""Networks made of layers.

- ``chain``: layers in a row, as models and layers that contain layers have them.
- ``model``: models that are chains, with everything that follows from their layers.
- ``network``: the computation of a stack of such models; ``all_runs``: its body on a GPU.
"""
