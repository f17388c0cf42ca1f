"""A BLAS from pip that takes the place of that of MLX on Linux, without root."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jarvisd.host import openblas

FROM_PIP = importlib.util.find_spec("scipy_openblas32")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or FROM_PIP is None or FROM_PIP.origin is None, reason="Linux with scipy-openblas32 alone"
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert FROM_PIP is not None and FROM_PIP.origin is not None
    library = Path(FROM_PIP.origin).with_name("lib") / "libscipy_openblas.so"
    target = tmp_path_factory.mktemp("blas") / "libblas.so"
    target.write_bytes(openblas.without_prefix(library.read_bytes()))
    return target


#: What MLX calls.
CALLED = ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm", "sgetrf_", "sgesdd_", "ssyevd_", "spotrf_", "strtri_", "dgeev_")


def test_every_function_that_mlx_calls_has_its_plain_name(copy: Path) -> None:
    library = ctypes.CDLL(str(copy))
    assert all(hasattr(library, name) for name in CALLED)
    assert not hasattr(library, "scipy_cblas_sgemm")


def test_it_multiplies(copy: Path) -> None:
    """[[1, 2], [3, 4]] times itself, by rows."""
    library = ctypes.CDLL(str(copy))
    matrix = (ctypes.c_double * 4)(1, 2, 3, 4)
    product = (ctypes.c_double * 4)()
    one, zero = ctypes.c_double(1), ctypes.c_double(0)
    library.cblas_dgemm(101, 111, 111, 2, 2, 2, one, matrix, 2, matrix, 2, zero, product, 2)
    assert list(product) == [7, 10, 15, 22]


def test_mlx_takes_it_when_it_is_preloaded(copy: Path) -> None:
    """Its BLAS is the first one of the process, and MLX multiplies and inverts rightly with it."""
    code = (
        "import mlx.core as mx, os\n"
        "a = mx.random.normal((64, 64)); b = mx.linalg.inv(a, stream=mx.cpu) @ a\n"
        "print(float(mx.abs(b - mx.eye(64)).max()) < 0.05)\n"
        "import ctypes; same = ctypes.cast(ctypes.CDLL(None).cblas_sgemm, ctypes.c_void_p).value\n"
        f"own = ctypes.cast(ctypes.CDLL({str(copy)!r}).cblas_sgemm, ctypes.c_void_p).value\n"
        "print(same == own)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"LD_PRELOAD": str(copy)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_what_is_no_such_library_is_refused() -> None:
    for wrong in (b"", b"\x7fELF\x01\x01" + bytes(100), b"not a library"):
        with pytest.raises(openblas.NotUsable):
            openblas.without_prefix(wrong)


def test_the_copy_lies_beside_the_package_and_is_made_once() -> None:
    first = openblas.from_pip()
    assert first is not None and first.name == "libblas-of-jarvisd.so"
    made = first.stat().st_mtime_ns
    assert openblas.from_pip() == first and first.stat().st_mtime_ns == made
    assert first.stat().st_mode & 0o777 == 0o644
