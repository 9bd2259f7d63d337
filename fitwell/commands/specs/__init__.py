"""Commands about specs: start one, and look up what it may contain."""
