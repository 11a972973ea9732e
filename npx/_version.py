"""The version, written here and nowhere else; `pyproject.toml` reads it without importing npx."""

__version__ = "0.1.0.dev0"
