"""The sources, under the name that they had in version 0.1: see ``unrolled.sources``."""

from ..sources import ArrayFile, AudioFile, ByteFile, CharacterFile, LogMel, Source, Verified

__all__ = ["ArrayFile", "AudioFile", "ByteFile", "CharacterFile", "LogMel", "Source", "Verified"]
