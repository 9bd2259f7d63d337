"""The event log as a page or as a stream of server-sent events."""
