from pathlib import Path

from tqhw.system.packaged import packaged


def test_an_installed_package_looks_into_its_own_data(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "tqhw"
    (package / "data" / "arch").mkdir(parents=True)
    assert packaged("arch", package) == package / "data" / "arch"


def test_a_checkout_looks_beside_the_package(tmp_path: Path) -> None:
    assert packaged("arch", tmp_path / "checkout" / "tqhw") == tmp_path / "checkout" / "arch"
    assert (packaged("experiments") / "quickstart.yaml").is_file()
