"""The event log as a page or as a stream of server-sent events.

- ``routes``: both, with the position at which a stream resumes; ``schemas``: events as clients see them.

The statements are in ``service.store.events``: every feature appends events.
"""
