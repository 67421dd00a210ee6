"""The record of a run for people and their tools: a CSV, and an event file that TensorBoard reads.

Both are written anew after every epoch, from the history that the checkpoint holds, so that a resumed run
leaves the same files as one that never stopped. torch's own SummaryWriter would need the tensorboard package, and
writes the time and the machine's name into file and name.
"""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tqhw.system.files import write_bytes, write_text
from tqhw.train.checkpoint import EpochRecord
from tqhw.train.metrics import ACCURACY

CSV_NAME: Final = "log.csv"
TOP1: Final = "top1"
EVENTS_NAME: Final = "events.out.tfevents.0.tqhw"


def write_logs(folder: Path, history: Sequence[EpochRecord]) -> None:
    """Writes ``log.csv`` and TensorBoard's event file into ``folder``."""
    text = io.StringIO()
    rows = [dict(_values(record)) for record in history]
    heads = dict.fromkeys(key for row in rows for key in row)  # not every epoch is validated
    writer = csv.DictWriter(text, ["epoch", *heads], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"epoch": record.epoch, **row} for record, row in zip(history, rows, strict=True))
    write_text(folder / CSV_NAME, text.getvalue())
    write_bytes(folder / EVENTS_NAME, b"".join(_events(history)))


def _values(record: EpochRecord) -> Iterator[tuple[str, float]]:
    yield "learning_rate", record.learning_rate
    for bits in record.losses:
        yield f"loss_{bits}", record.losses[bits]
        yield f"train_{TOP1 if record.metric == ACCURACY else record.metric}_{bits}", record.scores[bits]
    for bits, value in record.validation.items():
        yield f"validation_{TOP1 if record.metric == ACCURACY else record.metric}_{bits}", value


def _events(history: Sequence[EpochRecord]) -> Iterator[bytes]:
    """TFRecords of Event messages (tensorflow/core/util/event.proto). Their wall time is the epoch."""
    yield _record(_double(1, 0.0) + _text(3, "brain.Event:2"))
    for record in history:
        summary = b"".join(_bytes(1, _text(1, name) + _float(2, value)) for name, value in _values(record))
        yield _record(_double(1, float(record.epoch)) + _varint(2, record.epoch) + _bytes(5, summary))


def _record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + _masked_crc(length) + message + _masked_crc(message)


def _tag(field: int, wire: int) -> bytes:
    return bytes([field << 3 | wire])


def _number(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _varint(field: int, value: int) -> bytes:
    return _tag(field, 0) + _number(value)


def _double(field: int, value: float) -> bytes:
    return _tag(field, 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _tag(field, 5) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _tag(field, 2) + _number(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _masked_crc(data: bytes) -> bytes:
    """CRC-32C (Castagnoli), rotated and offset as the TFRecord format asks for."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _crc_table() -> Iterator[int]:
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        yield crc


_CRC_TABLE: Final = tuple(_crc_table())
