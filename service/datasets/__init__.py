"""Datasets: built in, or uploaded, parsed in a sandbox and stored under the hash of their content.

- ``routes``, ``upload_bodies``, ``bodies``, ``parameters``, ``options``, ``schemas``, ``dependencies``, ``errors``:
  HTTP.
- ``service``: add, change, list, preview and delete uploads; ``queries``: its SQL; ``dataset``: a dataset as clients
  see it; ``bundled``: the columns of built-in tables.
- ``incoming``: the directories in which uploads are received and parsed; ``files``: those in which they are stored.
"""
