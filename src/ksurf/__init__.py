"""ksurf maps the dependency surface of the Linux kernels that distributions really ship."""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    # Looked up only when asked for: reading the installed packages costs every start of the process else.
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ksurf")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0+unknown"
