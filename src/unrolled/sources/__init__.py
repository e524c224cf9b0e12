"""Sequences that do not have to fit in memory: a source knows its length, and any part of it can be read.

>>> source = LogMel(AudioFile("recording.flac"))
>>> source.length, source.read(1_000_000, 1_000_500).shape
(30000000, torch.Size([500, 40]))

Any object with ``length`` and ``read(start, stop)`` is a source. These read files:

AudioFile       the samples of a recording, block by block
LogMel          log-mel features of samples, computed as they are read
ArrayFile       a .npy array of vectors or tokens
ByteFile        any file as bytes
CharacterFile   a text (UTF-8) as characters

``Verified`` wraps a source and refuses it if a second reading differs from the first.
"""

from .array import ArrayFile
from .audio import AudioFile
from .characters import ByteFile, CharacterFile
from .mel import LogMel
from .source import Source
from .verified import Verified

__all__ = ["ArrayFile", "AudioFile", "ByteFile", "CharacterFile", "LogMel", "Source", "Verified"]
