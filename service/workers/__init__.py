"""The server's side of workers: claims, leases, measurements."""
