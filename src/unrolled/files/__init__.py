"""Files: read with one clear error, written whole or not at all, locked; JSON, TOML and ranges of bytes."""
