import pytest

torch = pytest.importorskip("torch")

from tqhw.quant.files.planes import pack, unpack  # noqa: E402


def test_the_example_of_the_docstring():
    planes = pack(torch.tensor([5, 0, 7, 2], dtype=torch.uint8), 3)
    assert [f"{plane.item():08b}"[:4] for plane in planes] == ["1010", "0011", "1010"]
    assert unpack(planes[:2], 4).tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", [0, 1, 7, 8, 1001])
def test_the_first_planes_are_the_shifted_codes(bits, count):
    codes = torch.randint(0, 2**bits, (count,), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    planes = pack(codes, bits)
    assert [plane.numel() for plane in planes] == [(count + 7) // 8] * bits
    for fewer in range(1, bits + 1):
        assert torch.equal(unpack(planes[:fewer], count), codes >> (bits - fewer))
