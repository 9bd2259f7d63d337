"""HTTP code that all features share.

- ``routing``: the route class, which checks scope, parameters and body in this order; ``scopes``, ``parameters``,
  ``bodies``, ``body_stream``: these checks.
- ``auth``, ``cookies``, ``throttle``: who sends a request, from where, and how often.
- ``dependencies``: the caller, services limited to the caller, settings.
- ``validation``, ``patterns``, ``problems``: errors explained, and their responses.
- ``idempotency``, ``conditional``, ``negotiation``, ``downloads``: responses that are replayed, unchanged, in the
  preferred format, or files.
- ``tailer``: the reader of the event log for long polls and streams; ``threads``: calls that end before a shutdown.
- ``names``, ``timestamps``: types on the wire; ``openapi``: the document.
- ``protocol``, ``access_log``: limits and logs of the server, below the application.
"""
