"""The training engine: stacks of runs, trained epoch by epoch in torch."""
