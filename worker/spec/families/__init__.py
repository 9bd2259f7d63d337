"""The families of parts, one file each, and their ``hooks``: the interface between parts and the engine.

A hook is a static method on the part's class that works on a whole stack: its first argument is the part as
``Stacked``, its tensors carry the leading dimension K. The engine calls a hook only where a part defines it.
Tensors are named as in mathematics: x (K, N, D) inputs, a (K, N, H) activations, w (K, out, in) weights.
"""
