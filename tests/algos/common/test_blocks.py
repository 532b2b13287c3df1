from itertools import pairwise

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from algos.common.blocks import BLOCK_ROWS, RowSource, row_blocks, tree_sum

ROWS, COLUMNS = 53, 3
X = np.random.default_rng(0).standard_normal((ROWS, COLUMNS))


class Restarting:
    """A stream that begins again each time it is iterated, like a reader of files."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        return iter(self.pieces)


def pieces_of(table, cuts):
    bounds = [0, *sorted(cuts), table.shape[0]]
    return [table[a:b] for a, b in pairwise(bounds)]


def dense(block):
    return block.toarray() if sp.issparse(block) else block


def test_every_kind_of_table_gives_the_same_blocks(tmp_path):
    stored = np.memmap(tmp_path / "x.bin", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    csr = sp.csr_array(X)
    sources = [
        X,
        X.tolist(),
        np.asfortranarray(X),
        stored,
        csr,
        sp.csc_array(X),
        da.from_array(X, chunks=(10, 2)),
        da.from_array(X, chunks=(1, 3)),
        [X[:1], X[1:]],
        (X[:20], X[20:]),
        [csr[:20], csr[20:]],
        Restarting([X[:20], X[20:20], X[20:]]),
        lambda: (X[i : i + 7] for i in range(0, ROWS, 7)),
    ]
    for source in sources:
        blocks = list(row_blocks(source, rows=8))
        assert [start for start, _ in blocks] == list(range(0, ROWS, 8))
        assert [block.shape[0] for _, block in blocks] == [8] * 6 + [5]
        np.testing.assert_array_equal(np.concatenate([dense(block) for _, block in blocks]), X)
        source = RowSource(source)
        assert (source.n_rows, source.n_features) == X.shape


@given(cuts=st.lists(st.integers(0, ROWS), max_size=6), rows=st.integers(1, 60), sparse=st.booleans())
def test_blocks_do_not_depend_on_the_pieces_that_come_in(cuts, rows, sparse):
    table = sp.csr_array(X * (X > 0)) if sparse else X
    whole = list(row_blocks(table, rows))
    cut = list(row_blocks(pieces_of(table, cuts), rows))
    assert len(whole) == len(cut)
    for (start, a), (other, b) in zip(whole, cut, strict=True):
        assert start == other
        np.testing.assert_array_equal(dense(a), dense(b))


def test_iterating_a_source_cuts_at_multiples_of_the_fixed_block():
    table = np.zeros((BLOCK_ROWS + 5, 1))
    assert [(block.start, block.stop) for block in RowSource([table[:7], table[7:]])] == [(0, BLOCK_ROWS), (BLOCK_ROWS, BLOCK_ROWS + 5)]


def test_blocks_of_an_array_and_of_a_memory_map_are_views(tmp_path):
    stored = np.memmap(tmp_path / "x.bin", dtype=np.float32, mode="w+", shape=(9, 2))
    for table in (X, stored):
        for _, block in row_blocks(table, 4):
            assert np.shares_memory(block, table)
            assert type(block) is np.ndarray


def test_other_types_are_converted_block_by_block():
    wide = np.arange(12, dtype=np.int16).reshape(6, 2)
    source = RowSource(wide)
    assert source.dtype == np.float64
    assert [block.dtype for _, block in row_blocks(wide, 4)] == [np.float64, np.float64]
    assert RowSource(wide.astype(np.float32)).dtype == np.float32


def test_sparse_blocks_keep_wide_indices():
    for _, block in row_blocks(sp.random_array((40, 5), density=0.3, format="csr", rng=0), 16):
        assert block.indices.dtype == block.indptr.dtype == np.int64


def test_targets_and_weights_follow_their_rows():
    y, weights = np.arange(ROWS), np.arange(ROWS) * 0.5
    for block in RowSource([X[:5], X[5:]], y, weights).blocks(8):
        np.testing.assert_array_equal(block.y, y[block.start : block.stop])
        np.testing.assert_array_equal(block.weights, weights[block.start : block.stop])


def test_a_finished_pass_is_enough_to_know_the_number_of_rows():
    stream = Restarting([X])
    source = RowSource(stream)
    before = stream.passes
    assert sum(block.X.shape[0] for block in source) == ROWS
    assert source.n_rows == ROWS
    assert stream.passes == before + 1


def test_a_dask_array_is_computed_once_for_each_pass():
    computed = []

    def chunk(block_info=None):
        computed.append(block_info[None]["chunk-location"])
        return np.ones((10, 2))

    source = RowSource(da.map_blocks(chunk, chunks=((10, 10), (2,)), dtype=np.float64, meta=np.ones((0, 0))))
    assert (source.n_features, source.is_sparse, source.dtype) == (2, False, np.float64)
    assert computed == []
    assert sum(block.X.shape[0] for block in source) == 20
    assert len(computed) == 2


def test_a_dask_array_of_sparse_chunks_is_read_as_sparse():
    stacked = da.from_array(X, chunks=(20, 3)).map_blocks(sp.csr_array)
    source = RowSource(stacked)
    assert source.is_sparse
    np.testing.assert_array_equal(np.concatenate([block.X.toarray() for block in source]), X)


def test_a_source_is_not_wrapped_twice():
    source = RowSource(X)
    assert RowSource.of(source) is source


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (iter([X]), TypeError, "only once.*list of blocks"),
        ([], ValueError, "dimension"),
        (lambda: iter(()), ValueError, "no blocks"),
        ([X, X[:, :2]], ValueError, "block 1 of X"),
        ([X, sp.csr_array(X)], ValueError, "block 1 of X"),
        ([X, X.astype(np.float32)], ValueError, "block 1 of X"),
        (np.zeros((0, 2)), ValueError, r"shape \(0, 2\)"),
        (X[:, 0], ValueError, "1 dimension"),
        (da.zeros(3), ValueError, "1 dimension"),
        ([["a"]], TypeError, "dtype"),
    ],
)
def test_unusable_sources_are_refused_with_a_remedy(source, error, message):
    with pytest.raises(error, match=message):
        list(RowSource(source))


def test_a_stream_that_changes_between_passes_is_noticed():
    lengths = iter([10, 10, 10, 9])
    source = RowSource(lambda: iter([X[: next(lengths)]]))
    assert source.n_rows == 10
    list(source)
    with pytest.raises(ValueError, match="10 rows in one pass and 9 in another"):
        list(source)


@pytest.mark.parametrize("name", ["y", "weights"])
def test_targets_of_another_length_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} has shape"):
        RowSource(X, **{name: np.ones(ROWS - 1)})


def test_blocks_without_rows_are_refused():
    with pytest.raises(ValueError, match="rows=0"):
        list(row_blocks(X, 0))


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=70))
def test_tree_sum_adds_and_keeps_the_order_of_items(values):
    assert tree_sum(values) == sum(values)
    assert tree_sum([[value] for value in values]) == values  # lists are joined: only the order given is right


def test_tree_sum_rounds_less_than_a_running_sum():
    values = np.full(2**14, 0.1)
    running = 0.0
    for value in values:
        running += value
    exact = 2**14 * 0.1
    assert abs(tree_sum(values) - exact) == 0.0  # doubling is exact
    assert abs(running - exact) > 1e-10


def test_tree_sum_leaves_its_items_alone_and_accepts_another_merge():
    items = [np.ones(2) for _ in range(5)]
    tree_sum(items)
    assert all((item == 1.0).all() for item in items)
    assert tree_sum([3, 9, 4], max) == 9
    with pytest.raises(ValueError, match="empty"):
        tree_sum([])
