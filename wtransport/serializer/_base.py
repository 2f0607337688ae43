"""What the serializers of self-describing formats share: typed objects in, typed objects out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..exceptions import ConfigurationError, SerializationError
from ..types import Serializer
from ._scalars import MismatchError
from ._typed import to_type

__all__ = ["_BaseDataclassSerializer", "missing_library"]


class _BaseDataclassSerializer(Serializer):
    """Rebuilds dataclasses and other typed objects from the dicts and lists that a format has."""

    _FORMAT: str
    _bytes_of_text: Callable[[str], bytes] | None = None

    def _typed(self, decoded: Any, obj_type: Any) -> Any:
        """Return what was decoded as an `obj_type`; None takes it as it is.

        Raises:
            SerializationError: it does not fit.
        """
        if obj_type is None:
            return decoded
        try:
            return to_type(decoded, obj_type, bytes_of_text=self._bytes_of_text)
        except (MismatchError, TypeError, ValueError, OverflowError, RecursionError) as error:
            name = obj_type.__name__ if isinstance(obj_type, type) else str(obj_type)
            raise SerializationError(
                f"{self._FORMAT} data does not fit {name}: {error}", original_exception=error
            ) from error


def missing_library(name: str, *, user: str, error: ImportError) -> ConfigurationError:
    """Return the error for an optional dependency that is not installed."""
    return ConfigurationError(
        f"{user} needs the library {name!r}: pip install 'wtransport[{name}]'",
        config_key=f"dependency.{name}",
        details={"installation_guide": f"pip install 'wtransport[{name}]'", "cause": str(error)},
    )
