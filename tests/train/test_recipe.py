from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.options import apply_setting  # noqa: E402
from tqhw.quant import quantization_of  # noqa: E402
from tqhw.spec import yamlio  # noqa: E402
from tqhw.train.recipe import read_recipe  # noqa: E402

TINY = {"name": "tests.quant.nets:TinyNet"}


def test_a_recipe_reads_back_from_its_json():
    recipe = read_recipe(
        {
            "method": "dorefa",
            "bits": [8, 2],
            "model": TINY,
            "data": {"size": 12},
            "quantization": {"first": None, "layers": {"fc": 4}, "granularity": "channel"},
            "training": {"epochs": 3, "schedule": "step", "milestones": [0.5], "seed": 7},
        }
    )
    assert recipe.bits == (2, 8) and recipe.quantization.scheme == "dorefa"
    assert read_recipe(recipe.json) == recipe


def test_the_seed_decides_the_first_weights():
    torch.manual_seed(1)
    one = read_recipe({"model": TINY}).plain_model()
    torch.manual_seed(2)
    assert torch.equal(one.fc.weight, read_recipe({"model": TINY}).plain_model().fc.weight)
    other = read_recipe({"model": TINY, "training": {"seed": 1}}).plain_model()
    assert not torch.equal(one.fc.weight, other.fc.weight)


def test_pretrained_weights_are_the_start(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(tiny(9).state_dict(), path)
    model = read_recipe({"model": {**TINY, "weights": str(path)}}).network((2, 8))
    assert torch.equal(model.state_dict()["conv2.weight"], tiny(9).conv2.weight)
    save_file({f"model/{name}": t for name, t in tiny(8).state_dict().items()}, tmp_path / "checkpoint")
    model = read_recipe({"model": {**TINY, "weights": str(tmp_path / "checkpoint")}}).network((2, 8))
    assert torch.equal(model.state_dict()["conv2.weight"], tiny(8).conv2.weight)
    torch.save(tiny(9).state_dict(), tmp_path / "pickle")
    with pytest.raises(TqhwError, match=r"is not a whole safetensors file: .* \(pickles are not read"):
        read_recipe({"model": {**TINY, "weights": str(tmp_path / "pickle")}}).plain_model()
    with pytest.raises(TqhwError, match=r"another model: it has .*, the model has"):
        read_recipe({"model": {"weights": str(path)}}).plain_model()
    with pytest.raises(TqhwError, match=r"nowhere: there is no such file"):
        read_recipe({"model": {**TINY, "weights": "nowhere"}}).plain_model()


def test_the_network_is_quantized_as_the_method_says():
    recipe = read_recipe({"method": "dorefa", "model": TINY, "quantization": {"norms": "shared"}})
    config = quantization_of(recipe.network((2, 4)))
    assert (config.scheme, config.precisions, config.norms) == ("dorefa", (2, 4), "shared")
    assert not hasattr(read_recipe({"method": "post_training", "model": TINY}).network((8,)), "quantization")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"methd": 1}, "recipe: methd: unknown key 'methd' .did you mean 'method'"),
        ({"method": "trunq"}, "unknown method 'trunq' .did you mean 'truncquant'"),
        ({"bits": "two"}, "recipe: bits: 'two' must be a list"),
        ({"bits": []}, "bits: the list of precisions is empty"),
        ({"bits": [9]}, "9 bits cannot be had"),
        (
            {"training": {"epochs": "many"}},
            "recipe: training.epochs: 'many' must be a whole number .Passes",
        ),
        (
            {"training": {"learning_rat": 1}},
            "recipe: training.learning_rat: unknown key 'learning_rat' .did you mean 'learning_rate'",
        ),
        ({"training": {"momentum": 2}}, "recipe: training.momentum: 2 must be less than 1 "),
        ({"training": [1]}, "recipe: training: .1. must be a section with keys of its own"),
        ({"quantization": {"first": True}}, "^recipe: quantization.first: True must be a whole number "),
        (
            {"quantization": {"layers": {"fc": 4, "c*": False}}},
            "quantization.layers.c.: False must be a whole number",
        ),
        ({"training": {"epochs": True}}, "training.epochs: True must be a whole number"),
        ({"training": {"seed": 10**16}}, "seed: 10000000000000000 must be at most 4294967295"),
        ({"data": {"size": True}}, "data.size: True must be a whole number"),
        ({"bits": [True, 8]}, "recipe: bits: True must be a whole number"),
        ({"quantization": {"first": 9}}, "recipe: quantization.first: 9 must be at most 8 .Bits of the first layer"),
        ({"quantization": {"scheme": "dorefa"}}, "quantization.scheme: is set by the recipe itself .use method"),
        ({"quantization": {"precisions": [2]}}, "quantization.precisions: is set by the recipe itself .use bits"),
        ({"data": {"name": "mnist"}}, "data.name: unknown value 'mnist' .did you mean 'mnist_subset'. known: digits,"),
        (
            {"method": "any_precision", "training": {"distillation": "none"}},
            "training.distillation: 'none' contradicts method any_precision, which has 'recursive'",
        ),
        ({"method": "any_precision", "quantization": {"first": 8}}, "quantization.first: 8 contradicts"),
    ],
)
def test_bad_documents_are_refused(document, message):
    with pytest.raises(TqhwError, match=message):
        read_recipe(document)


def test_an_empty_section_says_nothing():
    assert read_recipe({"training": None, "quantization": None, "bits": [2]}) == read_recipe({"bits": [2]})


def test_a_file_and_a_setting_are_named_with_their_place():
    document = yamlio.parse("bits: [2]\ntraining:\n  epochs: 0\n", "r.yaml")
    with pytest.raises(TqhwError, match=r"^r\.yaml:3: training\.epochs: 0 must be at least 1 "):
        read_recipe(document, "r.yaml")
    apply_setting(document, "training.epochs=-1")
    with pytest.raises(TqhwError, match=r"^--set training\.epochs: -1 must be at least 1 "):
        read_recipe(document, "r.yaml", ["training.epochs=-1"])


def test_true_is_read_where_it_is_meant():
    found = read_recipe({"data": {"check": False, "path": "x"}, "model": {"options": {"residual": True}}})
    assert found.data.check is False and found.model.options == {"residual": True}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "cifar10"}, "data.path: cifar10 needs a path .nothing is downloaded"),
        ({"name": "cifar10", "path": "nowhere"}, "nowhere: there is no such file or folder"),
        ({"name": "imagefolder", "path": "nowhere"}, "nowhere/train: there is no such folder"),
        ({"name": "digits", "path": "x"}, "data.path: digits has no option 'path'"),
        ({"name": "cifar10", "path": "x", "size": 3}, "cifar10 has no option 'size'"),
    ],
)
def test_data_that_cannot_be_opened_are_refused(data, message):
    with pytest.raises(TqhwError, match=message):
        read_recipe({"data": data}).data.open()


def test_the_example_recipes_are_read():
    folder = Path(__file__).parents[2] / "experiments" / "training"
    found = {path.stem: read_recipe(yamlio.load(path), path.name) for path in folder.glob("*.yaml")}
    assert {"digits", "cifar10", "imagenet"} <= set(found)
    assert found["cifar10"].bits == (1, 2, 4, 8, 32) and found["digits"].quantization.first is None


def test_any_precision_quantizes_activations_as_its_published_code_does():
    found = read_recipe({"method": "any_precision"})
    assert (found.quantization.activations, found.quantization.activation_bits) == ("dorefa", None)
    assert read_recipe(found.json) == found
    own = read_recipe({"method": "any_precision", "quantization": {"activations": "full"}})
    assert own.quantization.activations == "full"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "experiments" / "training").glob("*.yaml")), ids=str
)
def test_the_packaged_recipes_can_be_read(path):
    assert read_recipe(yamlio.as_map(yamlio.load(path), str(path), "a recipe")).training.epochs > 1
