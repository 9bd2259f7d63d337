"""Commands about runs: submit, browse and control them."""
