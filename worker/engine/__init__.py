"""The training engine: trains stacks of runs, epoch by epoch, in PyTorch.

- ``process`` receives orders, ``job`` carries one out, ``worker_context`` is what jobs share.
- ``stack`` holds the parameters of K runs, ``training`` is the loop over epochs, ``progress`` the steps of an epoch,
  ``evaluation`` the metrics; ``knn`` replaces the loop for nearest neighbors.
- ``data``, ``images``, ``teacher_logits``: batches, augmentation, and the outputs of teachers.
- ``hooks``: regularizers between layers, in training and evaluation mode.
- ``rng``, ``gemm_backend``, ``thread_tuner``, ``process_registry``: reproducible random numbers and matrix products,
  and the number of threads.
- ``state``, ``checkpoints``, ``digest``: a run between epochs, on disk, and its chained digest.
- ``outcomes``, ``summary``: how a run ended, and a summary of its parameters.
"""
