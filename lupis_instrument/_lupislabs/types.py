"""The module `lupislabs.types` of lupislabs 1.0."""

from lupis_instrument import _lupislabs


def __getattr__(name: str) -> object:
    return getattr(_lupislabs, name)
