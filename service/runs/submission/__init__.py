"""From a submitted spec to queued runs, in the order of the steps.

new_run        the spec and metadata of the run to create
dataset_refs   fill in what is stored about uploaded datasets, and lock them
token_columns  check that columns are tokens, for models that take tokens
warm_starts    name the initial weights by their SHA-256
teachers       name teachers' weights by their SHA-256, as far as the teachers have finished
review         check that the spec can be trained here, and estimate its cost
teacher_runs   create the runs of teachers that are given as specs
quota          check the owner's quota and the free disk space
creation       insert the runs, queued or with the result of an equal finished run
"""
