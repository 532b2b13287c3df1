"""Supports are numbered as itertools lists them."""

import itertools

import numpy as np
import pytest

from algos.misspecified_bandits._supports import count_supports, rank_of_support, support_at, support_block, support_blocks


@pytest.mark.parametrize(("d", "s"), [(1, 1), (5, 1), (6, 2), (7, 3), (6, 6), (8, 5)])
def test_numbers_follow_the_lexicographic_order(d, s):
    listed = list(itertools.combinations(range(d), s))
    assert count_supports(d, s) == len(listed)
    assert [tuple(support_at(rank, d, s).tolist()) for rank in range(len(listed))] == listed
    assert [rank_of_support(support, d) for support in listed] == list(range(len(listed)))
    for size in (1, 3, 1000):
        rows = [row for _, block in support_blocks(d, s, size) for row in block.tolist()]
        assert [tuple(row) for row in rows] == listed


def test_numbers_beyond_64_bits_of_a_list_are_no_trouble():
    rank = count_supports(200, 6) - 2
    assert support_at(rank, 200, 6).tolist() == [193, 195, 196, 197, 198, 199]
    assert rank_of_support([193, 195, 196, 197, 198, 199], 200) == rank
    assert support_block(rank, rank + 2, 200, 6).tolist()[1] == [194, 195, 196, 197, 198, 199]
    assert support_block(3, 3, 5, 2).shape == (0, 2)
    assert support_block(0, 1, 5, 2).dtype == np.int64


def test_numbers_outside_the_range_are_refused():
    with pytest.raises(ValueError, match="rank=10 is outside"):
        support_at(10, 5, 2)
    with pytest.raises(ValueError, match="of which there are 10"):
        support_block(9, 11, 5, 2)
