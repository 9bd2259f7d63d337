"""Errors of datasets.

NotFound        404  DatasetNotFound
Conflict        409  DatasetInUse, SourceMissing
WrongMediaType  415  WrongFileType
TooMany         429  TooManyUploads
"""

from __future__ import annotations

from service.errors import Conflict, NotFound, TooMany, WrongMediaType


class DatasetNotFound(NotFound):
    """No dataset has this id."""

    code = "dataset_not_found"
    title = "Dataset not found"


class DatasetInUse(Conflict):
    """Unfinished runs need the dataset, or the dataset is built in."""

    code = "dataset_in_use"
    title = "Dataset in use"


class SourceMissing(Conflict):
    """The file that the dataset was read from is not stored, so its options cannot be changed."""

    code = "source_missing"
    title = "Original file missing"


class WrongFileType(WrongMediaType):
    """The Content-Type is not one of a data file."""


class TooManyUploads(TooMany):
    """The server is receiving as many uploads as it accepts at once."""

    code = "too_many_uploads"
    title = "Too many uploads"
