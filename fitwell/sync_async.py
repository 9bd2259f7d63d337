"""Methods from flows: a synchronous client returns the result, an asynchronous client an awaitable.

A resource describes each call once::

    class Runs(Resource[TransportT]):
        @call
        def get(self, run_id: str) -> Flow[Run[TransportT]]: ...

    Client().runs.get(run_id)               # Run
    await AsyncClient().runs.get(run_id)    # AsyncRun, which is Run[AsyncTransport]

``TransportT`` is the client's transport; type checkers understand both variants.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import MethodType
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, overload

from pydantic import BaseModel, ConfigDict, PrivateAttr
from typing_extensions import TypeVar

from fitwell.listed import Listed
from fitwell.requests import Flow, ItemFlow
from fitwell.transport import AsyncTransport, Transport

T = TypeVar("T")
S = TypeVar("S")
P = ParamSpec("P")
TransportT = TypeVar("TransportT", bound=Transport | AsyncTransport, default=Transport)
TransportT_co = TypeVar("TransportT_co", bound=Transport | AsyncTransport, covariant=True)


class HasTransport(Protocol[TransportT_co]):
    """An object with a transport."""

    @property
    def _transport(self) -> TransportT_co: ...


class RemoteMethod:
    """A method whose flow is executed by the transport of its instance."""

    runner: str
    """The transport's method that executes the flow."""

    def __init__(self, flow: Callable[..., Any]) -> None:
        signature = inspect.signature(flow)
        kind = "Listed" if self.runner == "listed" else "Iterator"
        result = str(signature.return_annotation).replace("ItemFlow[", f"{kind}[")
        if result.startswith("Flow["):
            result = result.removeprefix("Flow[").removesuffix("]")

        @functools.wraps(flow)
        def method(instance: Any, /, *arguments: Any, **options: Any) -> Any:
            return getattr(instance._transport, self.runner)(flow(instance, *arguments, **options))

        method.__signature__ = signature.replace(return_annotation=result.replace("[TransportT]", ""))  # type: ignore[attr-defined]
        self._method: Callable[..., Any] = method
        self.__doc__ = flow.__doc__

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self._method if instance is None else MethodType(self._method, instance)


class call(RemoteMethod, Generic[S, P, T]):  # noqa: N801 - a decorator
    """A method that returns a result."""

    runner = "run"

    def __init__(self, flow: Callable[Concatenate[S, P], Flow[T]]) -> None:
        super().__init__(flow)

    @overload
    def __get__(self, instance: HasTransport[Transport], owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: HasTransport[AsyncTransport], owner: Any) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return super().__get__(instance, owner)


class iterator(RemoteMethod, Generic[S, P, T]):  # noqa: N801 - a decorator
    """A method that returns an iterator."""

    runner = "items"

    def __init__(self, flow: Callable[Concatenate[S, P], ItemFlow[T]]) -> None:
        super().__init__(flow)

    @overload
    def __get__(self, instance: HasTransport[Transport], owner: Any) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, instance: HasTransport[AsyncTransport], owner: Any) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return super().__get__(instance, owner)


class listing(RemoteMethod, Generic[S, P, T]):  # noqa: N801 - a decorator
    """A method that returns a list, which is fetched page by page."""

    runner = "listed"

    def __init__(self, flow: Callable[Concatenate[S, P], ItemFlow[T]]) -> None:
        super().__init__(flow)

    @overload
    def __get__(self, instance: HasTransport[Transport], owner: Any) -> Callable[P, Listed[T]]: ...
    @overload
    def __get__(self, instance: HasTransport[AsyncTransport], owner: Any) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return super().__get__(instance, owner)


class remote_property(RemoteMethod, Generic[S, T]):  # noqa: N801 - a decorator
    """An attribute that is fetched when it is read."""

    runner = "run"

    def __init__(self, flow: Callable[[S], Flow[T]]) -> None:
        super().__init__(flow)

    @overload
    def __get__(self, instance: HasTransport[Transport], owner: Any) -> T: ...
    @overload
    def __get__(self, instance: HasTransport[AsyncTransport], owner: Any) -> Coroutine[Any, Any, T]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else self._method(instance)


class Resource(Generic[TransportT]):
    """A collection on a server, such as its runs."""

    def __init__(self, transport: TransportT) -> None:
        self._transport = transport


class View(BaseModel):
    """A JSON object from the server. Fields added by newer servers are kept.

    A field is an attribute and can also be read by its JSON name: ``run.best.epoch`` is ``run["best"]["epoch"]``.
    """

    model_config = ConfigDict(
        extra="allow",
        ignored_types=(RemoteMethod,),
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


class LiveView(View, Generic[TransportT]):
    """A view with methods that send requests."""

    summary_fields: ClassVar[tuple[str, ...]] = ("id", "name", "status")
    """The fields in its ``repr``, which is one line."""
    _transport: TransportT = PrivateAttr()

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Yield name and value of the fields in ``repr``."""
        yield from ((name, getattr(self, name)) for name in self.summary_fields if hasattr(self, name))

    @classmethod
    def of(cls, transport: Any, data: Any) -> Self:
        """Return the view of ``data``; its methods use ``transport``."""
        view = cls.model_validate(data)
        view._transport = transport
        return view
