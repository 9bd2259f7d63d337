"""Webhooks: signed messages about events, delivered at least once to registered URLs.

- ``routes``, ``bodies``, ``schemas``, ``dependencies``, ``errors``: HTTP; ``messages``: the messages in the OpenAPI
  document.
- ``service``: operations on endpoints; ``queries``: its SQL; ``endpoint``: endpoints, deliveries and attempts.
- ``event_types``: the events that can be subscribed to; ``payloads``: the bodies of messages.
- ``outbox``: from events to leased deliveries; ``delivery_queries``: its SQL.
- ``sender``: the task that sends due deliveries; ``http_post``: one attempt.
- ``targets``, ``addresses``: the URLs and IP addresses that messages may be sent to.
- ``webhooks``: all of these on one database.
"""
