"""The layers of a model as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from fitwell.run_views import Layer


def layers_table(layers: Sequence[Layer]) -> Table:
    """Return a row for each layer, and the sums."""
    table = Table("layer", "kind", "output shape", show_footer=True)
    for heading, total in (
        ("parameters", sum(layer.parameters for layer in layers)),
        ("FLOPs per row", sum(layer.flops for layer in layers)),
    ):
        table.add_column(heading, footer=f"{total:,}", justify="right")
    for layer in layers:
        shape = " × ".join(map(str, layer.output_shape))
        table.add_row(layer.name, layer.kind, shape, f"{layer.parameters:,}", f"{layer.flops:,}")
    return table
