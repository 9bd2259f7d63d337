"""The dashboard: pages for people on top of the services that the API uses, and the static files of these pages."""
