"""The catalog: parts of a spec, presets, JSON schemas, and the server's capabilities."""
