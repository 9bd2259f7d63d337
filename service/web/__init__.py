"""The dashboard: pages for people above the same rules as the API, and the files that browsers load with them."""
