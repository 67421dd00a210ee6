import io
import pickle
import tarfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.datasets.test_unpickle import python2_batch  # noqa: E402
from tqhw.datasets.cifar10 import MEAN, cifar10, crop_and_flip  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402

NAMES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
COUNT = 4


def batch(number):
    pixels = np.random.default_rng(number).integers(0, 256, (COUNT, 3072), dtype=np.uint8)
    return pixels, [(number + i) % 10 for i in range(COUNT)]


def python_folder(root):
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(python2_batch(*batch(number)))
    return folder


def binary_folder(root):
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        pixels, labels = batch(number)
        records = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def packed(folder):
    archive = folder.parent / "small.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, folder.name)
    return archive


@pytest.mark.parametrize("make", [python_folder, binary_folder])
@pytest.mark.parametrize("form", ["folder", "parent", "archive"])
def test_every_form_of_the_archive_is_read(tmp_path, make, form):
    folder = make(tmp_path)
    path = {"folder": folder, "parent": tmp_path, "archive": packed(folder)}[form]
    data = cifar10(path, check=False)
    assert (data.train_size, data.input_shape, data.classes) == (20, (3, 32, 32), 10)
    assert torch.equal(data.train_images[4:8].flatten(1), torch.as_tensor(batch(1)[0]))
    assert data.test_labels.tolist() == batch(5)[1]


def test_images_are_scaled_by_mean_and_deviation(tmp_path):
    data = cifar10(python_folder(tmp_path), check=False)
    ((images, _),) = data.test_batches(100)
    red = data.test_images[0, 0].float() / 255
    torch.testing.assert_close(images[0, 0], (red - MEAN[0]) / 0.2470)


def test_augmentation_crops_out_of_a_padded_image_and_mirrors():
    images = torch.arange(1, 65).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1)
    cropped = crop_and_flip(images, torch.Generator().manual_seed(0))
    assert cropped.shape == images.shape
    padded = torch.nn.functional.pad(images[0, 0], (4, 4, 4, 4))
    windows = {
        tuple((window.flip(1) if mirrored else window).flatten().tolist()): mirrored
        for top in range(9)
        for left in range(9)
        for window in [padded[top : top + 8, left : left + 8]]
        for mirrored in (False, True)
    }
    kinds = [windows[tuple(image.flatten().tolist())] for image in cropped]
    assert 60 < sum(kinds) < 140
    assert len({tuple(image.flatten().tolist()) for image in cropped}) > 80


def test_a_path_without_the_data_is_refused(tmp_path):
    with pytest.raises(TqhwError, match=r"nowhere: there is no such file or folder .name cifar-10-python.tar.gz"):
        cifar10(tmp_path / "nowhere")
    with pytest.raises(TqhwError, match=r"there is no CIFAR-10"):
        cifar10(tmp_path)
    folder = python_folder(tmp_path)
    (folder / "data_batch_3").unlink()
    with pytest.raises(TqhwError, match=r"data_batch_3: is missing"):
        cifar10(folder, check=False)


def test_wrong_checksums_and_counts_are_refused(tmp_path):
    with pytest.raises(TqhwError, match=r"data_batch_1: has the checksum [0-9a-f]{32}, the published file has c99ca"):
        cifar10(python_folder(tmp_path))
    with pytest.raises(TqhwError, match=r"data_batch_1.bin: holds 4 images, not 10000"):
        cifar10(binary_folder(tmp_path))
    archive = packed(binary_folder(tmp_path / "again"))
    published = archive.rename(archive.with_name("cifar-10-binary.tar.gz"))
    with pytest.raises(TqhwError, match=r"cifar-10-binary.tar.gz: has the checksum"):
        cifar10(published)


def test_half_downloads_are_refused(tmp_path):
    folder = binary_folder(tmp_path)
    archive = packed(folder)
    archive.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(TqhwError, match=r"small.tar.gz: is not a whole archive: .*download it again"):
        cifar10(archive, check=False)
    half = folder / "data_batch_2.bin"
    half.write_bytes(half.read_bytes()[:5000])
    with pytest.raises(TqhwError, match=r"data_batch_2.bin: has 5000 bytes, not a multiple of 3073"):
        cifar10(folder, check=False)
    with tarfile.open(tmp_path / "other.tar", "w") as file:
        file.add(folder / "test_batch.bin", "test_batch.bin")
    with pytest.raises(TqhwError, match=r"holds no 'data_batch_1'"):
        cifar10(tmp_path / "other.tar", check=False)


def test_labels_out_of_range_are_refused(tmp_path):
    folder = binary_folder(tmp_path)
    content = bytearray((folder / "test_batch.bin").read_bytes())
    content[0] = 10
    (folder / "test_batch.bin").write_bytes(content)
    with pytest.raises(TqhwError, match=r"test_batch.bin: holds the label 10, but the classes are 0 to 9"):
        cifar10(folder, check=False)


PIXELS = np.zeros((4, 3072), np.uint8)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 4, "holds a label as str, not a number from 0 to 9"),
        ([1, None, 1, 1], "holds a label as NoneType"),
        ([True] * 4, "holds a label as bool"),
        ([[1], [1, 2], [1], [1]], "holds a label as list"),
        ([2**70] * 4, f"holds the label {2**70}, but the classes are 0 to 9"),
        ([-1] * 4, "holds the label -1,"),
        (None, "holds labels as NoneType, not a list of numbers"),
        (np.ones((4, 1), np.uint8), "holds labels as ndarray"),
        ([1] * 3, r"holds \(4, 3072\) pixels for 3 labels"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path, labels, message):
    refuse(tmp_path, {b"data": PIXELS, b"labels": labels}, message)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (PIXELS[:0], "holds no images"),
        ([[0] * 3072] * 4, "holds pixels as list, not an array of bytes"),
        (None, "holds pixels as NoneType"),
        (PIXELS.astype(np.float32), "holds an array of type 'f4', not of bytes"),
        (PIXELS[:, :1000], r"holds \(4, 1000\) pixels for 4 labels"),
    ],
)
def test_pixels_that_are_none_are_refused(tmp_path, pixels, message):
    refuse(tmp_path, {b"data": pixels, b"labels": [1] * (4 if pixels is None else len(pixels))}, message)


def refuse(folder, batch, message):
    for name in NAMES:
        (folder / name).write_bytes(pickle.dumps(batch, 4))
    with pytest.raises(TqhwError, match=f"data_batch_1: {message}"):
        cifar10(folder, check=False)


def test_labels_may_be_an_array(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(pickle.dumps({b"data": PIXELS, b"labels": np.full(4, 7, np.uint8)}, 4))
    assert cifar10(tmp_path, check=False).test_labels.tolist() == [7] * 4


def test_a_renamed_archive_is_checked_too(tmp_path):
    archive = packed(python_folder(tmp_path))
    with pytest.raises(TqhwError, match=r"small.tar.gz: has the checksum [0-9a-f]{32}, the published .* c58f.* c32a"):
        cifar10(archive)


def test_links_in_an_archive_are_no_files(tmp_path):
    with tarfile.open(tmp_path / "links.tar.gz", "w:gz") as archive:
        for name, target in (("data_batch_1", "nowhere"), ("data_batch_2", "data_batch_2")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    with pytest.raises(TqhwError, match=r"links.tar.gz: holds no 'data_batch_1'"):
        cifar10(tmp_path / "links.tar.gz", check=False)


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_damaged_archives_are_refused(tmp_path, packing):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{packing}") as archive:
        archive.add(python_folder(tmp_path), "cifar-10-batches-py")
    content = stream.getvalue()
    for place in range(len(content) // 8, len(content) - 100, len(content) // 8):
        damaged = bytearray(content)
        damaged[place : place + 60] = b"\xff" * 60
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(TqhwError, match=r"(?s)damaged: .*download it again"):
            cifar10(tmp_path / "damaged", check=False)
