import copy
import re

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    QuantConfig,
    convert,
    integer_codes,
    is_quantized,
    quantization_of,
    quantized_by,
    quantized_layers,
    revert,
    set_bits,
)

EVERY_LAYER = QuantConfig(first=None, last=None)


def names(model):
    return [layer.name for layer in quantized_layers(model)]


def kinds(model):
    return [type(module) for module in model.modules()]


def test_state_dict_keeps_its_names_and_weights():
    plain = tiny()
    before = {key: value.clone() for key, value in plain.state_dict().items()}
    after = convert(plain, EVERY_LAYER).state_dict()
    assert set(before) < set(after)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert all(".at." in key for key in set(after) - set(before))


def test_pretrained_weights_load_into_a_converted_model():
    model = convert(tiny(seed=0), EVERY_LAYER)
    model.load_state_dict(tiny(seed=1).state_dict())
    for layer in quantized_layers(model):
        assert torch.equal(layer.real_weight, tiny(seed=1).get_submodule(layer.name).weight)


def test_state_dict_loads_back():
    model = convert(tiny(seed=0), EVERY_LAYER)
    other = convert(tiny(seed=1), EVERY_LAYER)
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.eval()(images()), other.eval()(images()))


def test_revert_gives_the_model_back():
    expected = tiny().eval()(images())
    model = revert(convert(tiny(), EVERY_LAYER))
    assert not is_quantized(model)
    assert kinds(model) == kinds(tiny())
    assert set(model.state_dict()) == set(tiny().state_dict())
    assert torch.equal(model.eval()(images()), expected)


def test_revert_keeps_the_norms_of_the_precision_in_use():
    model = convert(tiny(), EVERY_LAYER)
    model.bn1.at["2"].weight.data.fill_(7)
    set_bits(model, 2)
    assert revert(model).bn1.weight[0] == 7


def test_a_converted_model_can_be_converted_again_after_revert_only():
    model = convert(tiny(), EVERY_LAYER)
    with pytest.raises(TqhwError, match=r"quantized already \(revert it first\)"):
        convert(model, EVERY_LAYER)
    assert quantization_of(convert(revert(model), QuantConfig("dorefa"))).scheme == "dorefa"


def test_copies_are_independent():
    model = convert(tiny(), EVERY_LAYER)
    twin = copy.deepcopy(model)
    set_bits(twin, 2)
    assert quantized_layers(model)[0].quantizer.bits == 8
    twin.load_state_dict(tiny(seed=1).state_dict())
    assert torch.equal(model.state_dict()["conv1.weight"], tiny().conv1.weight)


def test_reverting_a_copy_leaves_the_original_quantized():
    model = convert(tiny(), EVERY_LAYER).eval()
    expected = model(images())
    twin = revert(copy.deepcopy(model))
    assert torch.equal(model(images()), expected)
    assert torch.equal(twin.eval()(images()), tiny().eval()(images()))


def test_first_and_last_layer_stay_full_unless_told_otherwise():
    assert names(convert(tiny(), QuantConfig())) == ["conv2"]
    assert names(convert(tiny(), EVERY_LAYER)) == ["conv1", "conv2", "fc"]


def test_layers_can_be_fixed_or_full_by_pattern():
    model = convert(tiny(), QuantConfig(first=8, last=None, layers={"conv2": "full", "f*": 4}))
    assert {layer.name: layer.quantizer.bits for layer in quantized_layers(model)} == {"conv1": 8, "fc": 4}


def test_a_scale_per_channel_lies_along_the_output_channels():
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ConvTranspose2d(3, 5, 2), nn.Linear(6, 7))
    convert(model, QuantConfig(first=None, last=None, granularity="channel", precisions=(2,)))
    for layer, channels in zip(quantized_layers(model), (4, 5, 7), strict=True):
        axis = layer.quantizer.channel_axis
        assert layer.real_weight.shape[axis] == channels
        for part in layer.module.weight.unbind(axis):
            assert len(part.unique()) <= 4
        assert len(layer.module.weight.unique()) > 4


def test_attention_runs_on_quantized_projections():
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    convert(block, QuantConfig(first=None, last=None))
    x = torch.randn(2, 5, 8)
    eight = block(x)
    set_bits(block, 2)
    assert not torch.equal(block(x), eight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": {"convv2": 4}}, "unknown layer 'convv2' .did you mean 'conv2'"),
        ({"layers": {"*": "full"}}, "quantization: all 3 layers are kept at full precision"),
        ({"layers": {"fc": 9}}, "layers.fc: 9 must be at most 8"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_leave_the_model_alone(options, message):
    model = tiny()
    with pytest.raises(TqhwError, match=message):
        convert(model, QuantConfig(**options))
    assert not is_quantized(model)
    assert kinds(model) == kinds(tiny())


def test_a_model_without_a_quantizable_layer_is_told_what_it_has_instead():
    with pytest.raises(TqhwError, match=r"no convolution and no linear layer to quantize \(quantizable are"):
        convert(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)), QuantConfig())
    with pytest.raises(TqhwError, match=r"to quantize; what has weights is the model \(Bilinear\) \(quantizable are"):
        convert(nn.Bilinear(4, 5, 6), QuantConfig())
    with pytest.raises(TqhwError, match=r"what has weights is 0 \(Embedding\), 1 \(Bilinear\)"):
        convert(nn.Sequential(nn.Embedding(9, 4), nn.Bilinear(4, 5, 6)), QuantConfig())


def test_weights_and_norms_that_are_no_plain_parameters_are_refused():
    computed = nn.Sequential(nn.Conv2d(1, 2, 3), nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)))
    with pytest.raises(TqhwError, match=r"1\.weight: the weight is computed by another parametrization or hook"):
        convert(computed, EVERY_LAYER)
    assert names(convert(computed, QuantConfig(first=None, layers={"1": "full"}))) == ["0"]
    with pytest.raises(TqhwError, match=r"0\.weight: the weight has no shape yet \(run the model on one input"):
        convert(nn.Sequential(nn.LazyLinear(5)), EVERY_LAYER)
    with pytest.raises(TqhwError, match=r"1: the batch norm has no shape yet"):
        convert(nn.Sequential(nn.Linear(4, 5), nn.LazyBatchNorm1d()), EVERY_LAYER)
    with pytest.raises(TqhwError, match=r"1: a SyncBatchNorm cannot be switched by precision \(use the plain"):
        convert(nn.Sequential(nn.Linear(4, 5), nn.SyncBatchNorm(5)), EVERY_LAYER)


COMPUTED = {
    "WeightNorm, parametrized": (nn.utils.parametrizations.weight_norm, "WeightNorm", "remove_parametrizations"),
    "SpectralNorm, parametrized": (nn.utils.parametrizations.spectral_norm, "SpectralNorm", "remove_parametrizations"),
    "Orthogonal": (nn.utils.parametrizations.orthogonal, "Orthogonal", "remove_parametrizations"),
    "WeightNorm, a hook": (nn.utils.weight_norm, "WeightNorm", "remove_weight_norm"),
    "SpectralNorm, a hook": (nn.utils.spectral_norm, "SpectralNorm", "remove_spectral_norm"),
    "pruned": (lambda layer: prune.l1_unstructured(layer, "weight", 0.5), "L1Unstructured", "prune.remove"),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("which", COMPUTED)
def test_of_a_computed_weight_the_message_says_who_does_and_how_to_take_it_out(which):
    """The call that it gives leaves a plain model that computes the same, and can be converted."""
    computed, who, call = COMPUTED[which]
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Conv2d(1, 2, 3), computed(nn.Linear(4, 4))).eval(), torch.randn(2, 4)
    before = model[1](x).detach()
    with pytest.raises(TqhwError) as caught:
        convert(model, EVERY_LAYER)
    assert f"1.weight: the weight is computed by another parametrization or hook, {who} (" in str(caught.value)
    (told,) = re.findall(r"by (torch\.nn\.utils\.\S+ 'weight'\));", str(caught.value))
    assert call in told
    eval(told, {"torch": torch, "model": model})  # noqa: S307
    assert torch.allclose(model[1](x), before, atol=1e-6)
    assert names(convert(model, EVERY_LAYER)) == ["0", "1"]


def test_a_single_layer_is_a_model_too():
    model = convert(nn.Linear(4, 5), EVERY_LAYER)
    assert names(model) == [""] and set(model.state_dict()) == {"weight", "bias"}
    set_bits(model, 1)
    assert len(model.weight.unique()) == 2


def test_what_stands_in_two_places_stays_one():
    layer, norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
    model = convert(nn.Sequential(nn.Sequential(layer, norm), nn.Sequential(layer, norm)), EVERY_LAYER)
    assert model[0][1] is model[1][1] and len(quantized_layers(model)) == 1
    revert(model)
    assert model[0][1] is model[1][1] and model[0][0] is model[1][0]
    tied = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9))
    tied[1].weight = tied[0].weight
    convert(tied, EVERY_LAYER)
    assert quantized_layers(tied)[0].real_weight is tied[0].weight


def test_models_that_cannot_be_quantized_are_refused():
    broken = tiny()
    broken.fc.weight.data[0, 0] = float("nan")
    with pytest.raises(TqhwError, match=r"fc\.weight: 1 of 160 weights are NaN"):
        convert(broken, QuantConfig())
    with pytest.raises(TqhwError, match=r"the model is not quantized \(convert it first\)"):
        set_bits(tiny(), 2)


def test_a_scale_per_output_channel_of_transposed_convolutions():
    def net(groups):
        return nn.Sequential(nn.Conv2d(3, 8, 1), nn.ConvTranspose2d(8, 4, 3, groups=groups))

    config = QuantConfig(granularity="channel", first=None, last=None)
    assert integer_codes(convert(net(1), config))["1"].scale.numel() == 4
    model = net(4)
    with pytest.raises(TqhwError, match=r"1.weight: a transposed convolution of 4 groups cannot .*layers: .1: full"):
        convert(model, config)
    assert not is_quantized(model) and type(model[0]) is nn.Conv2d
    convert(model, QuantConfig(granularity="channel", first=None, layers={"1": "full"}))
    assert integer_codes(convert(net(4), QuantConfig(first=None, last=None)))["1"].scale.numel() == 1


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_revert_can_keep_the_function_of_the_present_bits(bits, granularity):
    model = convert(tiny(), QuantConfig(first=None, last=4, granularity=granularity)).eval()
    set_bits(model, bits)
    expected = model(images())
    reverted = revert(model, weights="quantized")
    assert not is_quantized(reverted) and kinds(reverted) == kinds(tiny())
    assert torch.equal(reverted(images()), expected)
    assert len(reverted.fc.weight[0].unique()) <= 16 and reverted.fc.weight.requires_grad


def test_reverting_to_quantized_weights_leaves_what_is_tied_to_them():
    table, head, twin = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False), nn.Linear(4, 9, bias=False)
    head.weight = twin.weight = table.weight
    before = table.weight.detach().clone()
    model = convert(nn.ModuleList([table, head, twin]), EVERY_LAYER)
    set_bits(model, 2)
    revert(model, weights="quantized")
    assert torch.equal(table.weight, before) and len(head.weight.unique()) == 4
    assert head.weight is twin.weight and head.weight is not table.weight


def test_what_revert_cannot_keep_is_refused():
    with pytest.raises(TqhwError, match=r"revert: the inputs of its layers are quantized .pact.* .weights='real'"):
        revert(convert(tiny(), QuantConfig(activations="pact")), weights="quantized")
    with pytest.raises(TqhwError, match=r"weights: unknown kind of weights 'quantised' .did you mean 'quantized'"):
        revert(convert(tiny(), QuantConfig()), weights="quantised")


def test_converting_and_reverting_leaves_nothing_behind():
    model = tiny()
    tables = [len(m._state_dict_hooks) + len(m._load_state_dict_pre_hooks) for m in model.modules()]
    for _ in range(2):
        revert(convert(model, EVERY_LAYER))
    assert [len(m._state_dict_hooks) + len(m._load_state_dict_pre_hooks) for m in model.modules()] == tables


def test_the_projections_of_an_attention_are_quantized():
    def encoder():
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()

    plain = encoder()
    model = convert(encoder(), EVERY_LAYER)
    assert names(model)[:2] == ["layers.0.self_attn.in_proj_weight", "layers.0.self_attn.out_proj"]
    assert set(model.state_dict()) == set(plain.state_dict())
    set_bits(model, 2)
    assert len(model.layers[0].self_attn.in_proj_weight.unique()) == 4
    y = model(torch.ones(1, 3, 8))
    assert torch.equal(revert(model, "quantized")(torch.ones(1, 3, 8)), y)
    other = convert(nn.MultiheadAttention(8, 2, kdim=4, vdim=4), EVERY_LAYER)
    assert names(other) == ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj"]
    assert integer_codes(other)["k_proj_weight"].codes.shape == (8, 4)
    fixed = convert(nn.MultiheadAttention(8, 2), QuantConfig(first=None, layers={"in_proj_weight": 3}))
    assert integer_codes(fixed)["in_proj_weight"].bits == 3


class Conv1D(nn.Module):
    """As transformers has it: the weight is [inputs, outputs]."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


Conv1D.__module__ = "transformers.pytorch_utils"


def test_the_turned_linear_layer_of_transformers_is_quantized():
    model = convert(nn.Sequential(Conv1D(3, 5), nn.Linear(5, 2)), QuantConfig(first=None, granularity="channel"))
    assert names(model) == ["0"] and integer_codes(model)["0"].scale.shape == (1, 5)
    set_bits(model, 1)
    assert all(len(column.unique()) == 2 for column in model[0].weight.T)


class GraphLinear(nn.Module):
    """As torch_geometric has it: a linear layer that is none of torch's."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, x):
        return nn.functional.linear(x, self.weight)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination[prefix + "weight"] = self.weight if keep_vars else self.weight.detach()


GraphLinear.__name__ = "Linear"
GraphLinear.__module__ = "torch_geometric.nn.dense.linear"


def test_the_linear_layer_of_torch_geometric_is_quantized():
    model = nn.Sequential(GraphLinear(3, 5), nn.Linear(5, 2))
    before = model[0].weight.detach().clone()
    convert(model, QuantConfig(first=None, granularity="channel"))
    assert names(model) == ["0"] and integer_codes(model)["0"].scale.shape == (5, 1)
    assert torch.equal(model.state_dict()["0.weight"], before), "the real one, whatever it saves itself"


def foreign(kind, module):
    made = type(kind.__name__, (kind,), {"__module__": module})
    return made(4, 4)


@pytest.mark.parametrize(
    ("module", "library"),
    [
        ("brevitas.nn.quant_linear", "Brevitas"),
        ("torchao.quantization.qat.linear", "torchao"),
        ("bitsandbytes.nn", "b"),
    ],
)
def test_what_another_library_quantized_is_not_quantized_again(module, library):
    model = nn.Sequential(nn.Linear(4, 4), foreign(nn.Linear, module), nn.Linear(4, 4), nn.Linear(4, 4))
    with pytest.raises(TqhwError, match=rf"1: a Linear of {library}.*quantized already, .* .convert the plain network"):
        convert(model, QuantConfig())
    assert not is_quantized(model)
    assert names(convert(model, QuantConfig(layers={"1": "full"}))) == ["2"]
    beside = nn.Sequential(nn.Linear(4, 4), foreign(nn.Identity, module))
    with pytest.raises(TqhwError, match=r"1: a Identity of .* .convert the plain network that it was made from.$"):
        convert(beside, EVERY_LAYER)
    with pytest.raises(TqhwError, match="the model is quantized already"):
        convert(nn.Sequential(foreign(nn.Identity, "brevitas.nn")), QuantConfig())


class Gridded(nn.Linear):
    def forward(self, x):
        weight = torch.fake_quantize_per_tensor_affine(self.weight, 0.1, 0, -8, 7)
        return nn.functional.linear(x, weight, self.bias)


def test_a_forward_pass_that_quantizes_is_not_quantized_again():
    model = nn.Sequential(Gridded(4, 4), nn.Linear(4, 4))
    with pytest.raises(TqhwError, match=r"^0: a Gridded that quantizes by itself: .* twice .*layers: .0: full"):
        convert(model, EVERY_LAYER)
    assert not is_quantized(model)


class Decoded(nn.Linear):
    def forward(self, x):
        codes = torch.quantize_per_tensor(self.weight, 0.1, 0, torch.qint8)
        return nn.functional.linear(x, codes.dequantize(), self.bias)


def test_a_program_that_quantizes_is_quantized_already():
    """What torch.fx and torch.export write stands in a module of torch's own."""
    traced = torch.fx.Tracer()
    traced.is_leaf_module = lambda module, name: isinstance(module, nn.ReLU)
    model = nn.Sequential(Decoded(4, 4), nn.ReLU())
    program = torch.fx.GraphModule(model, traced.trace(model))
    assert quantized_by(program) == "itself"
    assert quantized_by(torch.fx.symbolic_trace(tiny())) is None


def test_a_compiled_model_is_converted_inside():
    model = tiny()
    compiled = torch.compile(model, backend="eager")
    assert convert(compiled, QuantConfig()) is model and is_quantized(compiled)
    set_bits(compiled, 2)
    assert names(compiled) == ["conv2"] and quantized_layers(model)[0].quantizer.bits == 2
    assert revert(compiled) is model
