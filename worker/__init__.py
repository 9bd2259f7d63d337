"""The worker: claims queued runs and trains them. It imports neither HTTP nor SQL, apart from ``__main__``.

- ``__main__``: the command ``python -m worker``, which connects the agent to the service's queue.
- ``agent``, ``agent_settings``, ``trainer``, ``messages``: the process that holds the leases, and its messages to the
  training process.
- ``ports``: the interface to the service; ``dispatcher``, ``ray_cluster``: workers on a Ray cluster.
- ``engine``: the training process, in PyTorch. ``spec``: specs and their parts, importable without PyTorch.
- ``storage``, ``blob_store``, ``bucket``, ``digests``: files in a directory or bucket, and their verification.
- ``lifetime``, ``logs``: child processes that end with their parent, and logging.
"""
