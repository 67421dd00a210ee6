import pytest

pytest.importorskip("torch")

from tqhw.train.interval import interval, paired, simultaneous, wilson


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


def test_a_paired_interval_is_walds_with_an_image_more_on_each_side():
    # (12 + 1 - (3 + 1)) / 52 = 0.1731, and 1.96 * sqrt((17 / 52 - 0.1731 ** 2) / 52) = 0.1482
    assert paired(12, 3, 50) == pytest.approx((0.1731 - 0.1482, 0.1731 + 0.1482), abs=2e-4)
    assert paired(3, 12, 50) == pytest.approx(tuple(-end for end in reversed(paired(12, 3, 50))))
    assert paired(0, 10, 10)[0] == -1.0


def test_a_few_images_for_one_network_show_nothing():
    """As McNemar's exact test has it: 5 of 5 by chance is 2 in 32, 6 of 6 is 2 in 64."""
    assert paired(5, 0, 450)[0] < 0 < paired(6, 0, 450)[0]
    assert paired(0, 0, 450)[0] < 0 < paired(0, 0, 450)[1] < 0.01


def test_the_words_say_what_holds_together() -> None:
    assert simultaneous(3) == (
        "the intervals of the 3 differences hold all together with 95 %: each has 98.33 % (Bonferroni's)"
    )
