import tarfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.train.test_unpickle import python2_batch  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.train.cifar import MEAN, cifar10, crop_and_flip  # noqa: E402

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
