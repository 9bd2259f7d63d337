"""The reader of uploads: a process of its own with limits, the only place where a stranger's bytes are interpreted.

It is told of a directory that holds the file ``body``, and leaves ``data.safetensors`` and ``report.json`` there.
It imports neither the rest of the service nor torch.
"""
