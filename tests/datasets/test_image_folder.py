import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
image_module = pytest.importorskip("PIL.Image")

from tqhw.datasets.image_folder import FolderData  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402


def picture(path, width, height, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image_module.new("RGB", (width, height), colour)
    image.paste((0, 0, 0), (0, 0, width // 2, height))
    image.save(path)


@pytest.fixture
def root(tmp_path):
    for part in ("train", "val"):
        for number in range(4):
            picture(tmp_path / part / "apple" / f"{number}.JPEG", 60, 40, (200, 10, 10))
            picture(tmp_path / part / "pear" / "deep" / f"{number}.png", 40, 50, (10, 200, 10))
    (tmp_path / "train" / "apple" / "notes.txt").write_text("not an image")
    return tmp_path


def test_folders_become_classes(root):
    data = FolderData(root, size=32)
    assert (data.classes, data.train_size, data.input_shape) == (2, 8, (3, 32, 32))
    ((images, labels),) = data.test_batches(100)
    assert images.shape == (8, 3, 32, 32) and labels.tolist() == [0] * 4 + [1] * 4
    assert images[0, 0].max() > images[0, 1].max() and images[4, 1].max() > images[4, 0].max()
    assert images[0, 0, :, :4].max() < -1.9, "the left half is black: the test part is not mirrored"


@pytest.mark.parametrize("workers", [0, 2])
def test_augmentation_depends_on_seed_epoch_and_image_alone(root, workers):
    def epoch(number, seed=0, rank=0, ranks=1, workers=workers):
        return list(FolderData(root, size=16, workers=workers).train_batches(4, seed, number, rank, ranks))

    first = epoch(0)
    assert [len(labels) for _, labels in first] == [4, 4]
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(first, epoch(0, workers=0), strict=True))
    assert not torch.equal(first[0][0], epoch(1)[0][0])
    assert not torch.equal(first[0][0], epoch(0, seed=1)[0][0])
    halves = [epoch(0, rank=rank, ranks=2)[0][0] for rank in (0, 1)]
    assert torch.equal(first[0][0][0::2], halves[0]) and torch.equal(first[0][0][1::2], halves[1])


def test_a_corrupt_image_is_named_and_skipped_only_if_asked(root):
    bad = root / "val" / "pear" / "deep" / "2.png"
    bad.write_bytes(bad.read_bytes()[:60])
    with pytest.raises(TqhwError, match=r"2.png: cannot be read as an image: .*skip_corrupt: true"):
        list(FolderData(root, size=16).test_batches(3))
    data = FolderData(root, size=16, skip_corrupt=True)
    assert sum(len(labels) for _, labels in data.test_batches(3)) == 7
    assert data.skipped == {bad}


def test_training_batches_keep_their_size_without_corrupt_images(root):
    for number in (0, 2):
        (root / "train" / "apple" / f"{number}.JPEG").write_bytes(b"no picture")
    data = FolderData(root, size=16, skip_corrupt=True)
    for rank in (0, 1):
        assert [len(labels) for _, labels in data.train_batches(8, 0, 0, rank, 2)] == [4]
    assert [path.name for path in sorted(data.skipped)] == ["0.JPEG", "2.JPEG"]
    for path in (root / "train").rglob("*.*"):
        path.write_bytes(b"no picture")
    with pytest.raises(TqhwError, match=r"no image of a training batch can be read"):
        list(data.train_batches(8, 0, 0))


def test_a_test_part_without_a_single_image_is_refused(root):
    for path in (root / "val").rglob("*.*"):
        path.write_bytes(b"no picture")
    with pytest.raises(TqhwError, match=r"no test image can be read"):
        list(FolderData(root, size=16, skip_corrupt=True).test_batches(3))


@pytest.mark.parametrize(("ending", "order"), [("png", "<u2"), ("ppm", ">u2")])
def test_sixteen_bits_are_scaled_to_eight(root, ending, order):
    grey = np.linspace(0, 65535, 1024).reshape(32, 32).astype(np.uint16)
    if ending == "png":
        image_module.fromarray(grey).save(root / "val" / "apple" / "0.png")
    else:
        content = b"P5 32 32 65535 " + grey.astype(order).tobytes()
        (root / "val" / "apple" / "0.ppm").write_bytes(content)
    image_module.fromarray((grey >> 8).astype(np.uint8)).save(root / "val" / "apple" / "00.png")
    part = FolderData(root, size=16)
    images, _ = next(part.test_batches(100))
    names = sorted(path.name for path in (root / "val" / "apple").iterdir())
    of = [images[names.index(name)] for name in (f"0.{ending}", "00.png")]
    assert torch.equal(*of) and of[0].std() > 0.5


def test_what_has_no_range_of_its_own_is_refused(root):
    (root / "val" / "apple" / "0.ppm").write_bytes(b"Pf 4 4 -1.0\n" + np.ones(16, "<f4").tobytes())
    with pytest.raises(TqhwError, match=r"0.ppm: cannot be read as an image: its pixels are floating-point numbers"):
        list(FolderData(root, size=16).test_batches(8))


def test_only_formats_of_the_endings_are_opened(root, monkeypatch):
    """An EPS would be run by Ghostscript, whatever it is called."""
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: sys.exit("Ghostscript was run"))
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n0 0 moveto\nshowpage\n%%EOF\n"
    (root / "val" / "apple" / "0.JPEG").write_text(text)
    with pytest.raises(TqhwError, match=r"0.JPEG: cannot be read as an image: cannot identify"):
        list(FolderData(root, size=16).test_batches(8))
    (root / "val" / "apple" / "0.JPEG").write_bytes((root / "val" / "pear" / "deep" / "0.png").read_bytes())
    assert len(list(FolderData(root, size=16).test_batches(8))) == 1, "ImageNet has PNGs that are called JPEG"


def test_folders_that_are_no_data_set_are_refused(root):
    with pytest.raises(TqhwError, match=r"nowhere/train: there is no such folder .it holds a folder per class"):
        FolderData(root / "nowhere")
    (root / "train" / "empty").mkdir()
    with pytest.raises(TqhwError, match=r"train/empty: the class folder holds no images .known are .bmp, .jpeg"):
        FolderData(root)
    (root / "train" / "empty").rename(root / "train" / "zebra")
    picture(root / "train" / "zebra" / "1.png", 9, 9, (1, 1, 1))
    with pytest.raises(TqhwError, match=r"class 'zebra' is in one of train and val only"):
        FolderData(root)
    with pytest.raises(TqhwError, match=r"size 0 and workers 0 cannot be had"):
        FolderData(root, size=0)
    (root / "bare" / "train").mkdir(parents=True)
    with pytest.raises(TqhwError, match=r"bare/train: holds no class folders"):
        FolderData(root / "bare")
