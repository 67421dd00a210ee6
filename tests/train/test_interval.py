import pytest

pytest.importorskip("torch")

from tqhw.train.interval import interval, wilson


def test_wilsons_interval_is_the_published_one():
    """Newcombe (Statistics in Medicine 17, 1998, 857-872), table I, method 3: score without continuity correction."""
    for right, samples, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        assert wilson(right / samples, samples) == pytest.approx((low, high), abs=5e-5)


def test_of_one_run_it_is_wilsons_and_of_several_students():
    assert interval([90.0], 1000) == pytest.approx([100 * end for end in wilson(0.9, 1000)])
    # Student's t for 2 degrees of freedom is 4.303: 4.303 * 10 / sqrt(3)
    assert interval([40.0, 50.0, 60.0], 100000) == pytest.approx((50 - 24.84, 50 + 24.84), abs=0.01)


def test_runs_that_agree_are_not_trusted_beyond_their_images():
    assert interval([90.0, 90.0, 90.0], 1000) == interval([90.0], 1000)
    low, high = interval([99.9, 100.0, 95.0], 1000)
    assert 0 < low < 95 and high == 100
