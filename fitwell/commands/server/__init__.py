"""Commands about the server: run it, back it up and check the machine."""
