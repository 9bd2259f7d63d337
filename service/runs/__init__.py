"""The rules of a run: states, submission, the queue, history."""
