"""MIDI files as piano rolls, and back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from ..files.write import write_bytes

SUFFIXES = (".mid", ".midi")
LOWEST, KEYS = 21, 88  # of a piano: A0 is the first of its keys
DRUMS = 9  # the channel whose notes are not pitches
TEMPO = 100.0  # quarter notes per minute
LONGEST = 1_000_000  # frames of a piece


def read_midi(path: Path, content: bytes, step: float) -> Tensor:
    """Which of a piano's 88 keys sound in each frame: (frames, 88), zeros and ones.

    >>> read_midi(Path("a.mid"), content, step=0.5).shape  # 4 bars of 4 quarters, in eighths
    torch.Size([32, 88])

    A key sounds from the border of frames that is nearest to the beginning of its note to the one nearest to its end,
    and for one frame at least. Drums, and notes outside of the piano, are left out.

    Args:
        path: for messages.
        content: of the file.
        step: the length of a frame, in quarter notes.

    Raises:
        DataError: it is not a MIDI file, it is damaged, has no note, or counts time in seconds.
    """
    mido = _mido()
    try:
        file = mido.MidiFile(file=io.BytesIO(content))
        messages = list(mido.merge_tracks(file.tracks))
    except Exception as problem:  # mido raises many kinds of errors for damaged files
        raise DataError(f"'{path}' is not a MIDI file, or is damaged ({problem})") from None
    if file.ticks_per_beat <= 0 or file.ticks_per_beat >= 0x8000:
        raise DataError(f"'{path}' counts time in seconds, not in beats, so its notes cannot be put into frames")
    frame = file.ticks_per_beat * step
    notes = _notes(messages)
    if not notes:
        raise DataError(f"'{path}' has no notes of a piano's keys")
    frames = max(max(round(end / frame), int(begin / frame + 0.5) + 1) for _, begin, end in notes)
    if frames > LONGEST:
        raise DataError(f"'{path}' has {frames:,} frames of {step:g} quarter notes; at most {LONGEST:,} can be read")
    roll = torch.zeros(frames, KEYS)
    for key, begin, end in notes:
        first = int(begin / frame + 0.5)
        roll[first : max(round(end / frame), first + 1), key] = 1
    return roll


def _notes(messages: list[Any]) -> list[tuple[int, int, int]]:
    """(key, begin, end) of every note, in ticks. A note without an end lasts to the end of the piece."""
    now, open_, notes = 0, dict[tuple[int, int], int](), []
    for message in messages:
        now += message.time
        if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
            continue
        key = message.note - LOWEST
        if not 0 <= key < KEYS:
            continue
        begin = open_.pop((message.channel, key), None)
        if begin is not None:
            notes.append((key, begin, now))
        if message.type == "note_on" and message.velocity > 0:
            open_[message.channel, key] = now
    return notes + [(key, begin, now) for (_, key), begin in open_.items()]


def save_midi(path: Path, roll: Tensor, step: float, tempo: float = TEMPO) -> None:
    """Write a piano roll (frames, keys) as a MIDI file. A key that sounds in frames in a row is one note.

    Args:
        path: of the file.
        roll: zeros and ones. With 88 keys, the first one is A0 (MIDI note 21).
        step: the length of a frame, in quarter notes.
        tempo: quarter notes per minute.

    Raises:
        DataError: the file cannot be written.
    """
    mido = _mido()
    file = mido.MidiFile(type=0, ticks_per_beat=480)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
    silence = roll.new_zeros(1, roll.shape[1])
    change = torch.diff(torch.cat([silence, roll, silence]), dim=0)
    last = 0
    for frame, row in enumerate(change):
        now = round(frame * step * file.ticks_per_beat)
        for kind, sign in (("note_off", -1), ("note_on", 1)):
            for key in (row == sign).nonzero().flatten().tolist():
                track.append(mido.Message(kind, note=LOWEST + key, velocity=64, time=now - last))
                last = now
    buffer = io.BytesIO()
    file.save(file=buffer)
    write_bytes(path, buffer.getvalue())


def _mido() -> Any:
    try:
        import mido
    except ImportError:
        raise DataError("MIDI files need mido: pip install 'unrolled[music]'") from None
    return mido
