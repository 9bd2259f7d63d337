"""Commands about runs: submit, browse, control and export them."""
