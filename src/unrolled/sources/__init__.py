"""Sequences that never have to fit in memory: a source says how long it is and hands out any piece on demand.

>>> source = LogMel(AudioFile("recording.flac"))
>>> source.length, source.read(1_000_000, 1_000_500).shape
(30000000, torch.Size([500, 40]))

Any object with ``length`` and ``read(start, stop)`` is one. These read from files:

AudioFile       the samples of a recording, block by block
LogMel          log-mel features of such samples, computed as they are read
ArrayFile       a .npy array of vectors or tokens
ByteFile        any file as bytes
CharacterFile   a text (UTF-8) as characters

``Verified`` wraps any of them and notices one that gives other values the second time.
"""

from .array import ArrayFile
from .audio import AudioFile
from .characters import ByteFile, CharacterFile
from .mel import LogMel
from .source import Source
from .verified import Verified

__all__ = ["ArrayFile", "AudioFile", "ByteFile", "CharacterFile", "LogMel", "Source", "Verified"]
