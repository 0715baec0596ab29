from . import cache, sources

__all__ = ["cache", "sources"]
