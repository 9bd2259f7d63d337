"""Plans as methods. Of a client that waits they give the result; of an asynchronous one, something to await.

A resource says once what a call asks for and what comes of it::

    class Runs(Resource[M]):
        @call
        def get(self, run_id: str) -> Plan[Run[M]]: ...

    Client().runs.get(run_id)               # Run
    await AsyncClient().runs.get(run_id)    # AsyncRun, which is Run[AsyncTransport]

``M`` is how it is asked, the transport; type checkers know of both.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, overload

from pydantic import BaseModel, ConfigDict, PrivateAttr
from typing_extensions import TypeVar

from fitwell.requests import Plan, Telling
from fitwell.transport import AsyncTransport, Transport

T = TypeVar("T")
S = TypeVar("S")
P = ParamSpec("P")
M = TypeVar("M", bound=Transport | AsyncTransport, default=Transport)
M_co = TypeVar("M_co", bound=Transport | AsyncTransport, covariant=True)


class Bound(Protocol[M_co]):
    """What belongs to a client."""

    @property
    def _transport(self) -> M_co: ...


class _Method:
    """A method that carries its plan out by the transport of its instance."""

    carried_out: str

    def __init__(self, plan: Callable[..., Any]) -> None:
        signature = inspect.signature(plan)
        shown = str(signature.return_annotation).replace("Telling[", "Iterator[")
        if shown.startswith("Plan["):
            shown = shown.removeprefix("Plan[").removesuffix("]")

        @functools.wraps(plan)
        def method(instance: Any, /, *arguments: Any, **options: Any) -> Any:
            return getattr(instance._transport, self.carried_out)(plan(instance, *arguments, **options))

        method.__signature__ = signature.replace(return_annotation=shown.replace("[M]", ""))  # type: ignore[attr-defined]
        self._method: Callable[..., Any] = method
        self.__doc__ = plan.__doc__

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self._method if instance is None else MethodType(self._method, instance)


class call(_Method, Generic[S, P, T]):  # noqa: N801 - a decorator
    """A method with a result, made of a plan."""

    carried_out = "run"

    def __init__(self, plan: Callable[Concatenate[S, P], Plan[T]]) -> None:
        super().__init__(plan)

    @overload
    def __get__(self, instance: Bound[Transport], owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: Bound[AsyncTransport], owner: Any) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return super().__get__(instance, owner)


class listing(_Method, Generic[S, P, T]):  # noqa: N801 - a decorator
    """A method that is iterated over, made of a plan that tells."""

    carried_out = "items"

    def __init__(self, plan: Callable[Concatenate[S, P], Telling[T]]) -> None:
        super().__init__(plan)

    @overload
    def __get__(self, instance: Bound[Transport], owner: Any) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, instance: Bound[AsyncTransport], owner: Any) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return super().__get__(instance, owner)


class shown(_Method, Generic[S, T]):  # noqa: N801 - a decorator
    """An attribute that is asked for when it is read, made of a plan."""

    carried_out = "run"

    def __init__(self, plan: Callable[[S], Plan[T]]) -> None:
        super().__init__(plan)

    @overload
    def __get__(self, instance: Bound[Transport], owner: Any) -> T: ...
    @overload
    def __get__(self, instance: Bound[AsyncTransport], owner: Any) -> Coroutine[Any, Any, T]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else self._method(instance)


class Resource(Generic[M]):
    """A part of what a server has."""

    def __init__(self, transport: M) -> None:
        self._transport = transport


class View(BaseModel):
    """An answer of the server. Fields that a newer server adds are kept, not refused.

    A field is an attribute, and can be read as in the JSON as well: ``run.best.epoch`` is ``run["best"]["epoch"]``.
    """

    model_config = ConfigDict(
        extra="allow",
        ignored_types=(_Method,),
        serialize_by_alias=True,
        validate_by_name=True,
        validate_by_alias=True,
        protected_namespaces=(),
    )

    def __getitem__(self, field: str) -> Any:
        name = next((n for n, one in type(self).model_fields.items() if one.alias == field), field)
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(field) from None


class Live(View, Generic[M]):
    """A view that can be asked for more, and to change."""

    _transport: M = PrivateAttr()

    @classmethod
    def of(cls, transport: Any, data: Any) -> Self:
        """The view of an answer's JSON, asked by ``transport`` from now on."""
        made = cls.model_validate(data)
        made._transport = transport
        return made
