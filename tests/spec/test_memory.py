"""What Timeloop reads of a memory's attributes: the SPECS that timeloop-model 4cf6d4c printed for each of these."""

import pytest

from tests.spec.documents import message
from tqhw.spec import Level, flatten, parse_architecture, yamlio
from tqhw.spec.memory import is_attribute, passed_over

ARCHITECTURE = """\
architecture:
  version: 0.4
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}
  - !Component {name: buffer, class: SRAM, attributes: {depth: 64}}
  - !Component {name: mac, class: compute}
"""


def buffer(attributes: str) -> Level:
    text = ARCHITECTURE.replace("depth: 64", attributes)
    return flatten(parse_architecture(yamlio.parse(text, "a.yaml"), "a.yaml")).levels[0]


@pytest.mark.parametrize(
    ("attributes", "size", "word_bits", "block_size"),
    [
        ("depth: 64", 64, 16, 1),
        ("datawidth: 8, depth: 64", 64, 8, 1),
        ("datawidth: 8, word_bits: 16, depth: 64, width: 64", 256, 16, 4),
        ("datawidth: 8, word-bits: 16, depth: 64, width: 64", 256, 16, 4),
        ("datawidth: 8, word_width: 4, word_bits: 16, depth: 64, width: 64", 256, 16, 4),
        ("datawidth: 8, word_width: 4, depth: 64, width: 64", 1024, 4, 16),
        ("datawidth: 8, memory_width: 32, data_storage_width: 64, data_storage_depth: 7, memory_depth: 9", 36, 8, 4),
        ("datawidth: 8, data_storage_width: 64, data_storage_depth: 7", 56, 8, 8),
        ("datawidth: 8, width: 16, memory_width: 32, depth: 5, memory_depth: 9", 10, 8, 2),
        ("datawidth: 8, width: null, memory_width: 32, depth: 5", 20, 8, 4),
        ("datawidth: 8, memory-width: 32, depth: 5", 5, 8, 1),
        ("datawidth: 8, n_words: 4, depth: 5", 20, 8, 4),
        ("datawidth: 8, block-size: 4, n_words: 2, depth: 5", 20, 8, 4),
        ("datawidth: 8, num-ports: 1, num-banks: 4, depth: 4", 4, 8, 1),
        ("datawidth: 8, entries: 10, memory_depth: 5", 10, 8, 1),
    ],
)
def test_names_and_which_of_them_counts(attributes: str, size: int, word_bits: int, block_size: int) -> None:
    found = buffer(attributes)
    assert (found.size, found.word_bits, found.block_size, found.cluster_size) == (size, word_bits, block_size, 1)


@pytest.mark.parametrize(
    ("attributes", "read", "write"),
    [
        ("bandwidth: 4", 2.0, 2.0),
        ("bandwidth: 4, read_bandwidth: 3", 3.0, 2.0),
        ("read-bandwidth: 3", None, None),
    ],
)
def test_a_bandwidth_of_old_is_half_for_reading(attributes: str, read: float | None, write: float | None) -> None:
    found = buffer(attributes)
    assert (found.read_bandwidth, found.write_bandwidth, found.shared_bandwidth) == (read, write, None)


def test_hyphens_where_timeloop_takes_them() -> None:
    found = buffer("datawidth: 8, depth: 8, multiple-buffering: 2")
    assert (found.size, found.effective_size) == (8, 4)
    assert is_attribute("word-bits")
    assert not is_attribute("read-bandwidth")
    assert "'min_utilization: 0.01' is not modelled" in message(buffer, "depth: 4, min-utilization: 0.01", "", "")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("datawidth: 8, num-ports: 3", "buffer: num_ports '3' must be 1 or 2"),
        ("datawidth: 8, memory_depth: 10, sizeKB: 5", "buffer: memory_depth and sizeKB are both given (keep one)"),
        ("datawidth: 8, memory_width: 60", "buffer: memory_width 60 is no multiple of cluster_size * datawidth = 8"),
        ("word_bits: 0, depth: 4", "buffer: word_bits '0' must be a whole number of at least 1"),
        ("word-bits: 4, word_bits: 8", "buffer: 'word-bits' and 'word_bits' are both given (keep one)"),
        ("n_words: 3, memory_width: 64, datawidth: 8", "buffer: n_words 3 is not memory_width / (cluster_size * data"),
    ],
)
def test_refused_by_the_name_that_is_given(attributes: str, expected: str) -> None:
    assert expected in message(buffer, attributes, "", "")


def test_what_is_passed_over() -> None:
    given = {"datawidth": 8, "word-bits": 16, "width": 64, "memory_width": 64, "depth": 4, "memory_depth": None}
    assert list(passed_over(given)) == [("datawidth", "word_bits")]
