"""What all values have in common: fields that are given by name, and cannot be changed."""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class ValueObject:
    """
    An immutable value with named fields, which are given by name; equal if all fields are equal.

    A subclass is a dataclass to ``dataclasses.fields``, ``replace`` and ``asdict``, but shares
    these methods: ``dataclass(frozen=True)`` would compile six for each of some hundred classes, in
    every process that imports them.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(cls) -> None:
        dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)

    def __init__(self, **values: Any) -> None:
        mine = self.__dict__
        for name, each in self.__dataclass_fields__.items():
            if name in values:
                mine[name] = values.pop(name)
            elif each.default is not MISSING:
                mine[name] = each.default
            elif each.default_factory is not MISSING:
                mine[name] = each.default_factory()
            else:
                raise TypeError(f"{type(self).__name__} needs {name}.")
        if values:
            raise TypeError(f"{type(self).__name__} has no {', '.join(values)}.")
        self.__post_init__()

    def __post_init__(self) -> None:
        """Refuse what does not fit together; by default nothing."""

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise FrozenInstanceError(f"{name} cannot be changed.")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"{name} cannot be deleted.")
