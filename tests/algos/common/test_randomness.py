import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algos.common.randomness import as_generator, child, index_uniforms, row_uniforms


def test_row_uniforms_are_the_words_of_a_philox_stream_in_order():
    stream = np.random.Generator(np.random.Philox(key=12345)).random(1001)
    np.testing.assert_array_equal(row_uniforms(12345, 0, 1001), stream)


@given(
    key=st.integers(0, 2**128 - 1),
    start=st.integers(0, 2**60),
    length=st.integers(0, 60),
    cut=st.integers(0, 60),
    level=st.integers(0, 2**63),
)
def test_row_uniforms_do_not_depend_on_where_blocks_are_cut(key, start, length, cut, level):
    cut = min(cut, length)
    whole = row_uniforms(key, start, start + length, level)
    parts = [row_uniforms(key, start, start + cut, level), row_uniforms(key, start + cut, start + length, level)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@given(key=st.integers(0, 2**64), row=st.integers(0, 10**12))
def test_one_row_alone_equals_the_row_in_a_range_found_by_advancing_the_counter(key, row):
    bits = np.random.Philox(key=key)
    bits.advance(row // 4)
    expected = np.random.Generator(bits).random(4)[row % 4]
    assert row_uniforms(key, row, row + 1)[0] == expected


def test_levels_and_keys_share_no_number():
    draws = [row_uniforms(key, 0, 4000, level) for key in (0, 1) for level in (0, 1, 2)]
    assert np.unique(np.concatenate(draws)).size == 6 * 4000


def test_uniforms_lie_in_the_half_open_interval_and_have_the_moments_of_the_uniform_law():
    u = row_uniforms(1, 0, 200_000)
    assert u.min() >= 0.0
    assert u.max() < 1.0
    four_errors = 4 / np.sqrt(u.size)
    assert abs(u.mean() - 1 / 2) < four_errors * np.sqrt(1 / 12)
    assert abs((u**2).mean() - 1 / 3) < four_errors * np.sqrt(4 / 45)
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < four_errors


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((-1, 0, 1), "key=-1"),
        ((2**128, 0, 1), "key="),
        ((0, 2, 1), "start=2, stop=1"),
        ((0, -1, 1), "start=-1"),
        ((0, 0, 1, -1), "level=-1"),
    ],
)
def test_bad_keys_and_ranges_are_named(arguments, part):
    with pytest.raises(ValueError, match=part):
        row_uniforms(*arguments)


def test_child_paths_are_injective_in_their_words():
    paths = [(), (0,), (0, 0), (0, 1), (2**32,), (1, 0), ("a",), ("a", 0), ("b",)]
    first = [child(7, *path).integers(2**63) for path in paths]
    assert len(set(first)) == len(paths)
    assert child(7, "a", 3).integers(2**63) == child(7, "a", 3).integers(2**63)


@pytest.mark.parametrize("identifier", [-1, 2**64])
def test_child_refuses_ids_that_would_be_cut_off(identifier):
    with pytest.raises(ValueError, match="outside"):
        child(1, identifier)


def test_child_refuses_a_negative_key():
    with pytest.raises(ValueError, match="key=-3"):
        child(-3)


def test_as_generator_accepts_what_scikit_learn_accepts_and_more():
    generator = np.random.default_rng(0)
    assert as_generator(generator) is generator
    assert as_generator(np.int64(5)).random() == as_generator(5).random() == np.random.default_rng(5).random()
    assert as_generator(np.random.SeedSequence(3)).random() == np.random.default_rng(np.random.SeedSequence(3)).random()
    assert as_generator(None).random() != as_generator(None).random()


def test_a_random_state_moves_on_so_that_two_generators_differ_but_runs_repeat():
    state = np.random.RandomState(4)
    first, second = as_generator(state).random(), as_generator(state).random()
    assert first != second
    assert as_generator(np.random.RandomState(4)).random() == first


def test_as_generator_names_what_it_refuses():
    with pytest.raises(ValueError, match="random_state=-1 is negative"):
        as_generator(-1)
    with pytest.raises(TypeError, match="type str is not understood"):
        as_generator("seed")


@given(
    key=st.integers(0, 2**128 - 1),
    level=st.integers(0, 2**64 - 1),
    base=st.integers(0, 2**62),
    rows=st.lists(st.integers(0, 300), min_size=1, max_size=40),
)
def test_scattered_rows_get_the_numbers_that_they_get_in_a_range(key, level, base, rows):
    expected = row_uniforms(key, base, base + 301, level)[rows]
    np.testing.assert_array_equal(index_uniforms(key, np.array(rows) + base, level), expected)


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ((-1, [0]), ValueError, "key=-1"),
        ((0, [0], -1), ValueError, "level=-1"),
        ((0, [-5, 3]), ValueError, "from -5 to 3"),
        ((0, np.array([2**63], dtype=np.uint64)), ValueError, "2\\*\\*63"),
        ((0, [0.5]), TypeError, "float64"),
        ((0, [[0]]), ValueError, "shape \\(1, 1\\)"),
    ],
)
def test_indices_that_are_not_row_numbers_are_refused(arguments, error, named):
    with pytest.raises(error, match=named):
        index_uniforms(*arguments)


def test_no_rows_get_no_numbers():
    assert index_uniforms(0, []).shape == (0,)
