import pytest

torch = pytest.importorskip("torch")

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.train.reproducible import reproducible, usable  # noqa: E402


def test_seed_and_threads_hold_inside_and_are_given_back():
    torch.manual_seed(3)
    expected, before = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(3)
    with reproducible(7, 1):
        assert torch.get_num_threads() == 1
        first = torch.rand(1)
    with pytest.raises(KeyError), reproducible(7, 1):
        assert torch.equal(torch.rand(1), first)
        raise KeyError
    assert torch.equal(torch.rand(1), expected) and torch.get_num_threads() == before


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    assert usable("cpu").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TqhwError, match=r"device: torch finds no CUDA device here .use device: cpu"):
        usable("cuda")
