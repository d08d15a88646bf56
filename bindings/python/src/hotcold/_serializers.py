"""Serializers: how MixedStorage turns values into bytes and back."""

from __future__ import annotations

import json
import pickle
from typing import Any, Dict, Protocol, Union


class Serializer(Protocol):
    """What MixedStorage asks of a serializer: modules like `marshal` and `msgpack` fit."""

    def dumps(self, value: Any) -> bytes: ...

    def loads(self, data: bytes) -> Any: ...


class JsonSerializer:
    """JSON, and bytes as they are.

    What JSON does not know comes back as JSON has it (a tuple as a list, a number as a key of a
    dict as text) or is refused (a set, an object of a class). It is the default because reading
    it runs no code, whoever wrote the file.
    """

    # No JSON text begins with it.
    _BYTES = b"\0"

    def __init__(self) -> None:
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        self._decode = json.JSONDecoder().decode

    def dumps(self, value: Any) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._BYTES + value
        return self._encode(value).encode("utf-8", "surrogatepass")

    def loads(self, data: bytes) -> Any:
        if data.startswith(self._BYTES):
            return data[1:]
        return self._decode(data.decode("utf-8", "surrogatepass"))


class BytesSerializer:
    """Bytes only, as they are: no byte is added."""

    def dumps(self, value: bytes) -> bytes:
        return value

    def loads(self, data: bytes) -> bytes:
        return data


class PickleSerializer:
    """Any Python object. Only when asked for: reading a pickle runs the code that it names, so that
    whoever can write to the directory can run code in the program."""

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


_BY_NAME: Dict[str, Any] = {
    "json": JsonSerializer,
    "bytes": BytesSerializer,
    "pickle": PickleSerializer,
}


def serializer_from(given: Union[str, Serializer]) -> Serializer:
    """The serializer of a name, or the object itself if it has `dumps` and `loads`."""
    if isinstance(given, str):
        if given not in _BY_NAME:
            raise ValueError(f"serializer must be one of {', '.join(_BY_NAME)}, or have dumps and "
                             f"loads; not {given!r}")
        chosen: Serializer = _BY_NAME[given]()
        return chosen
    if callable(getattr(given, "dumps", None)) and callable(getattr(given, "loads", None)):
        return given
    raise TypeError("serializer must have dumps and loads")
