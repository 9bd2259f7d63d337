"""Statistics of paired comparisons: pure functions of numbers, without a database or HTTP.

- ``comparison``: arms compared pair by pair, with verdicts. Built on ``summaries`` (of each arm over its seeds),
  ``pairing`` (which seeds form pairs), ``sign_flip`` (the test and its confidence interval), ``correction`` (of
  p-values for their number: step-down ``max_t``, or Holm) and ``family`` (Holm's correction, the sign test).
- ``sequential``: comparisons that are decided look by look while seeds are added. Built on ``design`` (when to look,
  and how much α to spend), ``boundary`` (critical values of a family at each look) and ``repeated_interval``.
- ``resampling``: shares of variance of seed and split, and a test that knows that splits overlap.
- ``learning_curve``: the law by which a metric depends on the number of training rows, and whether more would help;
  ``power_law``: its fit, and intervals of what it predicts; ``misfit``: evidence against it.
- ``power``: the number of seeds that a comparison needs.
- ``across``: aggregates of scores over several datasets, with bootstrap intervals; ``normalization``: of the scores;
  ``ranks``: over datasets, with a test of every pair.
- ``choice``: the best arm, or the simplest within one standard error of it.
- ``calibration``: reliability of a classifier's confidences.
- ``bias_variance``: the parts of the mean loss of models that differ in what is random.
- ``importance``: means and intervals of the importance of columns over runs.
- ``curves``: mean and band of a series over seeds.
- ``diagnosis``: whether a run's loss curves fit, underfit, overfit or diverge, from ``noise`` and ``thresholds``;
  ``arm_diagnosis``: the same for an arm, from the curves of all its seeds.
"""
