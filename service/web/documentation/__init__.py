"""The documentation as pages of the server, without access to the internet.

- ``files``: the Markdown files and pictures; ``markdown``: their HTML; ``navigation``: their order, from the index.
- ``concepts``: explanations of terms; ``search``: the index of all sections.
"""
