import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import algos
from algos.common.kernels import MAX_SIGNATURES, kernel, registered_kernels, warmup
from algos.common.row_products import csr_gram, row_squares
from algos.lp_embeddings.leverage_scores import leverage_scores

NOBODY = 65534  # the user that owns nothing

# Runs in a process of its own: nothing may be compiled by importing, and the compiled loop must give 25.
PROGRAM = """
import sys, warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from algos.common.kernels import registered_kernels
    from algos.common.row_products import csr_gram, row_squares
    kernels = registered_kernels()
    assert kernels and not any(k.signatures for k in kernels.values()), "something compiled at import"
    out = np.empty(1)
    row_squares(np.array([[3.0, 4.0]]), out)
print(out[0], sum("NUMBA_CACHE_DIR" in str(w.message) for w in caught), sys.modules["algos"].__file__)
"""


def run(environment, **options):
    command = [sys.executable, "-B", "-c", PROGRAM]
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=120, check=False, **options)


def copied_package(folder):
    shutil.copytree(Path(algos.__file__).parent, folder / "algos", ignore=shutil.ignore_patterns("__pycache__"))
    return {"PATH": os.defpath, "PYTHONPATH": str(folder)}


def check_uncached(result, folder):
    assert result.returncode == 0, result.stderr
    value, warned, origin = result.stdout.split()
    assert (value, warned) == ("25.0", "1")
    assert origin.startswith(str(folder))


def can_run_python(**rights):
    try:
        return subprocess.run([sys.executable, "-c", ""], cwd="/", capture_output=True, check=False, **rights).returncode == 0
    except PermissionError:  # the interpreter itself cannot be reached
        return False


def test_where_no_folder_can_be_made_kernels_work_uncached_with_one_warning(tmp_path):
    environment = copied_package(tmp_path)
    for folder in ("common", "lp_embeddings"):
        (tmp_path / "algos" / folder / "__pycache__").write_text("a file where the cache folder would be")
    check_uncached(run({**environment, "HOME": "/dev/null"}), tmp_path)


def test_a_read_only_installation_without_a_home_works_uncached_with_one_warning():
    rights = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}  # root can write anywhere
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = copied_package(folder)
        if rights and not can_run_python(**rights):  # this Python lies in a folder that only root can enter: block the folders instead
            rights = {}
            for parent in ("common", "lp_embeddings"):
                (folder / "algos" / parent / "__pycache__").write_text("")
            environment["HOME"] = "/dev/null"
        elif not rights:
            environment["HOME"] = "/nonexistent"  # else the password file would name a home that can be written
        paths = [folder, *folder.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            result = run(environment, **rights)
        finally:
            for path in paths:
                path.chmod(0o755)
        check_uncached(result, folder)


def test_four_cold_processes_share_one_empty_cache_folder(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0] * 4, answers
    assert [out.split()[:2] for out, _ in answers] == [["25.0", "0"]] * 4
    assert list(tmp_path.rglob("*.nbi")), "nothing was cached"


def test_more_signatures_than_two_are_refused():
    with pytest.raises(ValueError, match="signatures: 3 given, at most 2"):
        kernel(signatures=("(f8,)", "(f4,)", "(i8,)"))


def test_warmup_compiles_what_was_declared():
    spent = dict(warmup(["algos.common.row_products"]))
    assert set(spent) == {"algos.common.row_products.row_squares", "algos.common.row_products.csr_gram"}
    assert all(seconds >= 0 for seconds in spent.values())
    assert len(row_squares.signatures) == 1
    assert warmup(["algos.common.blocks"]) == []


def test_no_kernel_meets_more_than_two_signatures_whatever_the_input(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    stored = np.memmap(tmp_path / "x.bin", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flags.writeable = False
    csr = sp.csr_array(X)
    frozen = sp.csr_array(X)
    frozen.data.flags.writeable = False
    for table in (X, X.astype(np.float32), np.asfortranarray(X), X[::2], stored, csr, csr.astype(np.float32), frozen, X.astype(int)):
        for method in ("auto", "svd"):
            leverage_scores(table, method=method)
    for name, compiled in registered_kernels().items():
        assert len(compiled.signatures) <= MAX_SIGNATURES, name
    assert len(row_squares.signatures) == len(csr_gram.signatures) == 1


def test_row_squares_equals_its_numpy_twin_and_passes_nan_on():
    Y = np.random.default_rng(1).standard_normal((50, 7)) * 10.0 ** np.arange(-3, 4)
    out = np.empty(50)
    row_squares(Y, out)
    rounding = 7 * 2.0**-53  # terms are non-negative: any order of summation stays within one rounding for each
    np.testing.assert_allclose(out, np.einsum("ij,ij->i", Y, Y), rtol=2 * rounding)
    Y[3, 2], Y[4, 0] = np.nan, np.inf
    row_squares(Y, out)
    assert np.isnan(out[3])
    assert np.isinf(out[4])


def test_csr_gram_equals_the_dense_product():
    X = sp.random_array((200, 6), density=0.3, format="csr", rng=2)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    for part in (X.data, X.indices, X.indptr):
        part.flags.writeable = False
    upper = np.zeros((6, 6))
    csr_gram(X.data, X.indices, X.indptr, upper)
    dense = X.toarray()
    np.testing.assert_allclose(upper, np.triu(dense.T @ dense), rtol=1e-13)
