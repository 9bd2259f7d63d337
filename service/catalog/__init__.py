"""The catalog: parts of a spec, presets, JSON schemas, and the server's capabilities.

- ``routes``, ``errors``: HTTP.
- ``presets``: bodies of well-known experiments, one JSON file each.
- ``editor_schemas``: JSON schemas for editors, built from the OpenAPI document.
"""
