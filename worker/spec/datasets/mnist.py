"""MNIST: 70,000 handwritten digits, 28×28 grey; what the comparison of Srivastava et al. 2014 was made on.

Reference: LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document recognition".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.idx import IDXDataset


class MNIST(IDXDataset):
    """60,000 training and 10,000 test pictures of handwritten digits, 28×28."""

    reference: ClassVar[str] = "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to documents"
    shape: ClassVar[tuple[int, ...]] = (28, 28)
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    rows: ClassVar[tuple[int, int]] = (60_000, 10_000)
    white: ClassVar[float] = 255.0
    files: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    }
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )

    kind: Literal["mnist"] = "mnist"
    validation_size: int = Field(default=10_000, ge=0, description="Rows held out of the training part for validation.")
