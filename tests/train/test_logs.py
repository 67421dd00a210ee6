import csv
import struct

import pytest

pytest.importorskip("torch")

from tqhw.train.checkpoint import EpochRecord
from tqhw.train.logs import write_logs

HISTORY = [
    EpochRecord(0, 0.1, {8: 1.5, 2: 2.5}, {8: 60.0, 2: 50.0}),
    EpochRecord(300, 0.05, {8: 0.5, 2: 1.0}, {8: 90.0, 2: 80.0}),
]


def test_csv_has_a_row_per_epoch(tmp_path):
    write_logs(tmp_path, HISTORY)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "300"]
    assert rows[1] == {
        "epoch": "300",
        "learning_rate": "0.05",
        "loss_8": "0.5",
        "train_top1_8": "90.0",
        "loss_2": "1.0",
        "train_top1_2": "80.0",
    }


def test_events_are_framed_as_tensorboard_reads_them(tmp_path):
    write_logs(tmp_path, HISTORY)
    data = (tmp_path / "events.out.tfevents.0.tqhw").read_bytes()
    messages = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        messages.append(data[12 : 12 + length])
        data = data[16 + length :]
    assert len(messages) == 3
    assert messages[0].endswith(b"brain.Event:2")
    assert b"\x10\xac\x02" in messages[2], "step 300 as a varint in field 2"
    assert b"\x0a\x06loss_8\x15" + struct.pack("<f", 0.5) in messages[2]


def test_checksums_are_those_of_the_format():
    """CRC-32C of 32 zero bytes is 0x8A9136AA (RFC 3720, B.4), here rotated by 15 and offset."""
    from tqhw.train.logs import _masked_crc

    crc = 0x8A9136AA
    expected = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert _masked_crc(bytes(32)) == struct.pack("<I", expected)
