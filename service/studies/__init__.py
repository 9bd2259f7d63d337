"""Studies: many runs queued at once (arms × datasets × grid × folds × seeds), their comparison, the choice of an arm.

- ``routes``, ``history_routes``, ``bodies`` (and the ``contradictions`` in them), ``parameters``, ``schemas``,
  ``comparison_schemas``, ``across_schemas``, ``sequential_schemas``, ``tuning_bodies``, ``tuning_schemas``,
  ``choice_schemas``, ``diagnosis_schemas``, ``learning_curve_schemas``, ``dependencies``, ``errors``: HTTP.
- ``service``: one transaction per operation; ``results``: those that only read; ``creation``: of a study's row and
  runs, inserted by ``queueing`` with those to train first; ``queries``: its SQL; ``study``: a study as clients see it.
- ``new_study``, ``replicates``, ``sampling`` (points of a search space), ``expansion``, ``arms``: from a study's
  description to runs that this server can train; ``preview``: their cost.
- ``schedule``, ``sequential``, ``sequencer``: sequential studies; when they look, what that decides, and the task that
  takes looks and queues the next seeds.
- ``tuning``, ``frozen_choice``, ``tuner``: tuned studies; the request for one, the choice that its search makes, and
  the task that freezes the choice and queues its confirmation. ``reason_log``: why these tasks cannot continue.
- ``looks``: when a study's verdicts are due, and the looks that it inherits from studies of the same runs.
- ``metrics``: metrics and the epochs at which they count; ``measurements``: the runs as measured values, ``crossings``:
  as first epochs at which a metric crosses a bound, and ``study_data``: in groups, for ``comparison`` (groups against
  each other, as a ``question`` asks) and ``choice`` (the arm to use, by the order
  of ``simplicity`` if several are equally good); ``diagnosis``: of every arm, from its seeds' loss curves;
  ``variance``: shares of variance of seed and split. ``datasets``: those of a study's arms; ``across``: arms over all
  of them, by ``dataset_scores``. ``learning_curves``: of groups of arms that differ in dataset.train_size. ``design``:
  the runs by arm and replicate, for other features.
"""
