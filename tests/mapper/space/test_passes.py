"""By hand: 5 padded to 8, whose last pass begins at 4, 100 in binary; and 13 padded to 18, three passes of six."""

from __future__ import annotations

import numpy as np

from tqhw.mapper.space.passes import missing_loops, run_share, walked_share


def test_loops_of_which_the_last_pass_has_one_iteration_are_missing() -> None:
    assert list(missing_loops(8, 5)) == [(1, 2), (1, 4), (2, 4)]
    assert list(missing_loops(8, 7)) == [(1, 2)]
    assert list(missing_loops(8, 8)) == []
    assert (3, 6) in list(missing_loops(18, 13))


def test_visits_of_last_passes_are_left_out_where_a_loop_that_moves_the_tile_is_missing() -> None:
    tile = np.array([[1, 1], [2, 1], [4, 1], [8, 1]])
    share = run_share(tile, np.array([8, 3]), np.array([5, 3]), np.array([[True, False], [False, True]]))
    assert share[0].tolist() == [1 - 1 / 5, 1 - 1 / 3, 1.0, 1.0]
    assert share[1].tolist() == [1.0] * 4


def test_units_of_one_short_element_are_counted_for_less() -> None:
    """Three elements of two columns: 3 + 3 + 1 of the first, times 5/3 columns in the mean, are less than 13."""
    tile = np.array([[1], [3], [6], [18]])
    share = walked_share(tile, np.array([18]), np.array([13]), (2,))
    assert share.tolist() == [13 / 18, 13 / 18, 1.0, 1.0]
    assert share[0] * 13 <= (3 + 3 + 1) * 5 / 3 < 13
    assert walked_share(tile, np.array([18]), np.array([13]), (1,)).tolist() == [1.0] * 4
