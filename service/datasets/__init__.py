"""Datasets: built in, or uploaded, parsed in a sandbox and stored under the hash of their content.

- ``routes``, ``upload_bodies``, ``parameters``, ``schemas``, ``dependencies``, ``errors``: HTTP.
- ``service``: add, list, preview and delete uploads; ``queries``: its SQL; ``dataset``: a dataset as clients see it.
- ``incoming``: the directories in which uploads are received and parsed.
"""
