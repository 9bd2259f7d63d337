"""Tokens: who a caller is, and the scopes that the caller has.

- ``routes``, ``schemas``, ``dependencies``, ``errors``: HTTP.
- ``service``: create, list, revoke and authenticate; ``queries``: its SQL; ``token``: tokens and their secrets.
"""
