import warnings

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
import numpy as np  # noqa: E402

from tests.quant.nets import images as batch  # noqa: E402
from tests.quant.nets import tiny  # noqa: E402
from tqhw.datasets import digits  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, convert, integer_codes, keep_precisions, running_on_codes, save_onnx  # noqa: E402
from tqhw.train import TrainConfig, train  # noqa: E402

PRECISIONS = (1, 2, 4, 8)


def trained(**options):
    config = QuantConfig(**{"precisions": PRECISIONS, "first": None, "last": None, **options})
    return train(convert(tiny(), config), digits(), TrainConfig(2, 64, threads=1)).model.eval()


def session(path):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("options", [{}, {"norms": "shared"}, {"granularity": "channel", "first": 4, "last": "full"}])
def test_one_file_serves_every_precision_at_run_time(tmp_path, options):
    model = trained(**options)
    size = save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    assert (tmp_path / "m.onnx").stat().st_size == size
    running = session(tmp_path / "m.onnx")
    ((images, _),) = digits().test_batches(1000)
    codes = integer_codes(model)
    for bits in PRECISIONS:
        (got,) = running.run(None, {"images": images.numpy(), "bits": np.array(bits, np.int64)})
        with running_on_codes(model, codes, bits), torch.no_grad():
            expected = model(images).numpy()
        assert np.array_equal(got.argmax(1), expected.argmax(1))
        assert np.abs(got - expected).max() < 1e-4


def test_the_codes_are_stored_once_as_bytes(tmp_path):
    save_onnx(trained(), tmp_path / "m.onnx", (1, 8, 8))
    graph = onnx.load(tmp_path / "m.onnx").graph
    kinds = {entry.name: entry.data_type for entry in graph.initializer}
    assert kinds["conv2.weight/codes"] == onnx.TensorProto.UINT8 and "conv2.weight" not in kinds
    assert sum(node.op_type == "BitShift" for node in graph.node) == 4


@pytest.mark.parametrize(
    ("options", "unserved"),
    [({}, (-(2**62), -5, -1, 0, 3, 5, 8, 2**62)), ({"norms": "shared"}, (-5, -4, -1, 0, 5, 300))],
)
def test_a_precision_that_is_not_there_is_refused_at_run_time(tmp_path, options, unserved):
    save_onnx(trained(**options), tmp_path / "m.onnx", (1, 8, 8), stored=4)
    refuses(session(tmp_path / "m.onnx"), np.zeros((1, 1, 8, 8), np.float32), unserved)


def test_a_model_without_norms_refuses_them_too(tmp_path):
    model = convert(torch.nn.Linear(4, 3), QuantConfig(precisions=(2, 8), first=None, last=None))
    save_onnx(model, tmp_path / "m.onnx", (4,))
    refuses(session(tmp_path / "m.onnx"), np.zeros((1, 4), np.float32), (-1, 0, 3, 9))


def refuses(running, images, unserved):
    for bits in unserved:
        with pytest.raises(Exception, match=r"out of|indices element"):
            running.run(None, {"images": images, "bits": np.array(bits, np.int64)})


def test_layers_that_share_a_weight(tmp_path):
    first, last = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    last.weight = first.weight
    model = torch.nn.Sequential(first, torch.nn.ReLU(), last).eval()
    convert(model, QuantConfig(precisions=(2, 8), first=None, last=4))
    save_onnx(model, tmp_path / "m.onnx", (4,))
    assert model[0].parametrizations.weight.original is model[2].parametrizations.weight.original
    running, codes, x = session(tmp_path / "m.onnx"), integer_codes(model), torch.randn(5, 4)
    for bits in (2, 8):
        (got,) = running.run(None, {"images": x.numpy(), "bits": np.array(bits, np.int64)})
        with running_on_codes(model, codes, bits), torch.no_grad():
            assert np.abs(got - model(x).numpy()).max() < 1e-5


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(TqhwError, match=r"conv2: the range of its quantized input waits for a first batch .train the"):
        save_onnx(convert(tiny(), QuantConfig(activations="pact")), tmp_path / "m", (1, 8, 8))
    with pytest.raises(TqhwError, match=r"torch cannot export the model to ONNX"):
        save_onnx(convert(tiny(), QuantConfig()), tmp_path / "m", (3, 8, 8))
    with pytest.raises(TqhwError, match=r"stored: none of the precisions .2, 8. can be had from 1 bits"):
        save_onnx(convert(tiny(), QuantConfig(precisions=(2, 8))), tmp_path / "m", (1, 8, 8), stored=1)
    untracked = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2, track_running_stats=False))
    with pytest.raises(TqhwError, match=r"1: a batch norm without running statistics cannot be exported .* .train it"):
        save_onnx(convert(untracked, QuantConfig(first=None, last=None)), tmp_path / "m", (1, 8, 8))
    assert not (tmp_path / "m").exists()


def onnx_agrees(path, model, images, bits_list=(2, 8)):
    running, codes = session(path), integer_codes(model)
    names = [entry.name for entry in running.get_inputs()]
    for bits in bits_list:
        (got, *_) = running.run(None, {"images": images.numpy(), "bits": np.array(bits, np.int64)})
        with running_on_codes(model, codes, bits), torch.no_grad():
            assert np.abs(got - model(images).numpy()).max() < 1e-4
    return names


class Text(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(20, 8)
        self.mid = torch.nn.Linear(8, 8)
        self.head, self.other = (torch.nn.Linear(8, 20, bias=False) for _ in range(2))
        self.head.weight = self.other.weight = self.embed.weight

    def forward(self, ids):
        x = self.mid(self.embed(ids)).relu()
        return (self.head(x) + self.other(x)).mean(1)


EVERY = QuantConfig(precisions=(2, 8), first=None, last=None)


def test_ties_are_kept_and_token_ids_taken(tmp_path):
    model, ids = convert(Text(), EVERY).eval(), torch.arange(12).reshape(4, 3)
    save_onnx(model, tmp_path / "m.onnx", ids)
    onnx_agrees(tmp_path / "m.onnx", model, torch.arange(15).reshape(5, 3))
    kinds = [(entry.data_type, tuple(entry.dims)) for entry in onnx.load(tmp_path / "m.onnx").graph.initializer]
    assert kinds.count((onnx.TensorProto.UINT8, (20, 8))) == 1 == kinds.count((onnx.TensorProto.FLOAT, (20, 8)))
    one = tmp_path / "one.onnx"
    save_onnx(model, one, ids[:1])
    onnx_agrees(one, model, ids)


class Parts(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.base = torch.nn.ModuleDict({"conv": torch.nn.Conv2d(1, 4, 3), "norm": torch.nn.BatchNorm2d(4)})
        self.stages = torch.nn.Sequential(self.base["conv"], self.base["norm"])
        self.head = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.stages(x).mean((2, 3)))


def test_a_module_with_two_names(tmp_path):
    model = convert(Parts(), EVERY).eval()
    model.base["norm"].at["2"].running_mean.fill_(0.5)
    save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    onnx_agrees(tmp_path / "m.onnx", model, torch.randn(5, 1, 8, 8))


class NormReLU(torch.nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).relu()


class Auxiliary(torch.nn.Module):
    """Heads for training alone, one with a norm."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.head = torch.nn.Conv2d(1, 4, 3), NormReLU(4), torch.nn.Linear(4, 3)
        self.aux = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.BatchNorm2d(4))

    def forward(self, x):
        x = self.norm(self.stem(x))
        y = self.head(x.mean((2, 3)))
        return (y, self.aux(x)) if self.training else y


def test_what_does_not_run_in_evaluation_is_not_in_the_file(tmp_path):
    model = convert(Auxiliary(), EVERY).eval()
    save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    onnx_agrees(tmp_path / "m.onnx", model, torch.randn(5, 1, 8, 8))
    assert not any("aux" in entry.name for entry in onnx.load(tmp_path / "m.onnx").graph.initializer)


def test_shared_norms_are_in_the_file_once(tmp_path):
    model = convert(tiny(), QuantConfig(precisions=(2, 4, 8), norms="shared", first=None, last=None)).eval()
    keep_precisions(model, (2, 8))
    save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    assert not any(entry.name.endswith("/all") for entry in onnx.load(tmp_path / "m.onnx").graph.initializer)
    onnx_agrees(tmp_path / "m.onnx", model, torch.randn(5, 1, 8, 8))


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x):
        return self.encoder(x).mean(1)


def test_the_projections_of_an_attention(tmp_path):
    model = convert(Attention(), EVERY).eval()
    save_onnx(model, tmp_path / "m.onnx", (5, 8))
    assert sum(node.op_type == "BitShift" for node in onnx.load(tmp_path / "m.onnx").graph.node) == 5
    onnx_agrees(tmp_path / "m.onnx", model, torch.randn(3, 5, 8))


class Pooled(torch.nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.first, self.last, self.pool = torch.nn.Linear(4, 4), torch.nn.Linear(4, 3), pool

    def forward(self, x):
        return self.last(self.pool(self.first(x)))


def rows(x):
    return torch.stack([x[i] * 2 for i in range(x.shape[0])])


def learned(x):
    return x * torch.ones(int(x.shape[0]), 4)


def choice(x):
    return x.relu() if float(x.detach()[0, 0]) > 0 else x.abs()


@pytest.mark.parametrize("pool", [rows, learned])
def test_a_graph_that_is_bound_to_its_batch_is_told(tmp_path, pool):
    model = convert(Pooled(pool), EVERY).eval()
    with pytest.warns(UserWarning, match=r"m.onnx: .* batch of 2 that it was made with, and not on another of 3"):
        save_onnx(model, tmp_path / "m.onnx", (4,))
    assert (tmp_path / "m.onnx").exists()


def test_a_choice_by_the_values_of_the_input_is_told(tmp_path):
    model = convert(Pooled(choice), EVERY).eval()
    with torch.no_grad():  # the choice goes one way for the first batch, and the other way for the second
        model.first.bias.copy_(torch.tensor([0.0, 0, 0, 0]))
        model.first.parametrizations.weight.original.copy_(torch.eye(4))
    with pytest.warns(UserWarning, match=r"not on another of 3: logits are .* apart at \d bits"):
        save_onnx(model, tmp_path / "m.onnx", torch.tensor([[3.0, -1, 2, 1], [-3, -1, -2, 1]]))


def test_types_and_operators_that_the_file_cannot_have_are_refused_in_a_line(tmp_path, capfd):
    with pytest.raises(TqhwError, match=r"export: 'conv1.bias' is bfloat16, and the file's graph computes in float32"):
        save_onnx(convert(tiny().bfloat16(), EVERY), tmp_path / "m", (1, 8, 8))
    with pytest.raises(TqhwError, match=r"torch cannot export .*UnsupportedOperatorError: .*fft"):
        save_onnx(convert(Pooled(lambda x: torch.fft.fft(x).real), EVERY), tmp_path / "m", (4,))

    def broken(x):
        raise AssertionError("by itself")

    with pytest.raises(TqhwError, match=r"it refuses an input of shape \[2, 4\]: AssertionError: by itself"):
        save_onnx(convert(Pooled(broken), EVERY), tmp_path / "m", (4,))
    assert capfd.readouterr().out == "" and not (tmp_path / "m").exists()


def test_answers_of_several_tensors(tmp_path):
    class Two(Pooled):
        def forward(self, x):
            y = super().forward(x)
            return {"logits": y, "again": y + 1}

    save_onnx(convert(Two(torch.tanh), EVERY).eval(), tmp_path / "m.onnx", (4,))
    assert session(tmp_path / "m.onnx").get_outputs()[0].name == "logits"


def test_a_shape_of_one_axis_may_be_that_of_token_ids(tmp_path):
    model = convert(Text(), EVERY).eval()
    save_onnx(model, tmp_path / "m.onnx", (3,))
    assert onnx_agrees(tmp_path / "m.onnx", model, torch.arange(15).reshape(5, 3)) == ["images", "bits"]
    with pytest.raises(TqhwError, match=r"it refuses an input of shape \[2, 3, 4\]: RuntimeError"):
        save_onnx(model, tmp_path / "m.onnx", (3, 4))


@pytest.mark.parametrize(
    "options",
    [
        {"activations": "pact"},
        {"activations": "dorefa"},
        {"activations": "pact", "activation_bits": None},
        {"activations": "pact", "activation_bits": None, "scheme": "dorefa"},
        {"activations": "pact", "activation_bits": 3, "norms": "shared", "granularity": "channel"},
        {"activations": "pact", "activation_bits": None, "layers": {"fc": 3}},
    ],
    ids=["pact", "dorefa", "follows", "follows, rounded", "3 bits", "follows, a layer fixed"],
)
@pytest.mark.parametrize("source", ["memory", "file"])
def test_quantized_activations_are_in_the_file(tmp_path, options, source):
    from tqhw.quant import load, save, set_bits

    model = convert(tiny(), QuantConfig(precisions=(2, 4, 8), first=None, last=None, **options)).train()
    with torch.no_grad():
        for bits in (8, 4, 2):
            set_bits(model, bits)
            for _ in range(5):
                model(batch())
    codes, expected = integer_codes(model.eval()), {}
    for bits in (2, 4, 8):
        with running_on_codes(model, codes, bits), torch.no_grad():
            expected[bits] = model(batch())
    if source == "file":
        save(model, tmp_path / "m")
        model = load(tmp_path / "m", 8).into(tiny())
        for bits in (2, 4):
            set_bits(model, bits)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        save_onnx(model, tmp_path / "m.onnx", (1, 8, 8))
    running = session(tmp_path / "m.onnx")
    for bits in (2, 4, 8):
        (got,) = running.run(None, {"images": batch().numpy(), "bits": np.array(bits, np.int64)})
        apart = np.abs(got - expected[bits].numpy()).max(axis=1)
        assert np.median(apart) < 1e-5 and apart.max() < 0.1
        plain = tiny().eval()
        assert np.abs(got - plain(batch()).detach().numpy()).max() > 1e-3


class Read(torch.nn.Module):
    """A transformer's reading: ids, a mask that may be left out, and what it has no use for."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(20, 8)
        self.query, self.value, self.head = (torch.nn.Linear(8, 8) for _ in range(3))

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, *, scores=None, whole=False):
        x = self.embed(input_ids)
        weights = self.query(x) @ x.transpose(1, 2)
        if attention_mask is not None:
            weights = weights.masked_fill(attention_mask[:, None] == 0, -1e4)
        x = self.value(weights.softmax(-1) @ x)
        if scores is not None:
            x = x * scores[..., None]
        return {"logits": self.head(x if whole else x.mean(dim=1))}


IDS = torch.arange(12).reshape(3, 4)
MASK = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
SCORES = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        ((IDS, MASK), ["input_ids", "attention_mask"]),
        ((IDS, None, MASK), ["input_ids", "token_type_ids"]),
        ({"attention_mask": MASK, "input_ids": IDS}, ["attention_mask", "input_ids"]),
        ({"scores": SCORES, "input_ids": IDS, "attention_mask": None}, ["scores", "input_ids"]),
        ({"input_ids": IDS, "whole": True, "scores": SCORES}, ["input_ids", "scores"]),
        ({"input_ids": IDS[:1], "attention_mask": MASK[:1]}, ["input_ids", "attention_mask"]),
    ],
    ids=str,
)
def test_networks_of_several_inputs(tmp_path, inputs, names):
    from tqhw.quant.calls import called, each
    from tqhw.quant.onnx.run import answer

    torch.manual_seed(0)
    model = convert(Read(), EVERY).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_onnx(model, tmp_path / "m.onnx", inputs)
    running, codes = session(tmp_path / "m.onnx"), integer_codes(model)
    assert [entry.name for entry in running.get_inputs()] == [*names, "bits"]
    for rows in (slice(None), slice(0, 1)):
        given = each(inputs, lambda value: value[rows].flip(0))  # noqa: B023 - used at once
        for bits in EVERY.precisions:
            with running_on_codes(model, codes, bits), torch.no_grad():
                expected = called(model, given)["logits"]
            assert (answer(running, given, bits) - expected).abs().max() < 1e-5
    assert "forward" not in vars(model)


def test_a_file_of_several_inputs_is_called_by_name_or_by_position(tmp_path):
    from tqhw.quant import OnnxModel

    model = convert(Read(), EVERY).eval()
    save_onnx(model, tmp_path / "m.onnx", (IDS, MASK))
    running = OnnxModel(tmp_path / "m.onnx", EVERY.precisions[0])
    ids, mask = IDS.numpy(), MASK.numpy()
    assert np.array_equal(running(ids, mask), running(attention_mask=mask, input_ids=ids))
    assert np.array_equal(running(ids, mask), running(ids, attention_mask=mask))
    for given, named in (((ids,), {}), ((ids, mask), {"attention_mask": mask}), ((ids,), {"mask": mask})):
        with pytest.raises(TqhwError, match=r"\d inputs for 2 .give .'input_ids', 'attention_mask'..$"):
            running(*given, **named)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((IDS, MASK[:2]), r"input: tensors of \[3, 2\] samples are no batch .give one sample or more"),
        ({"input_ids": IDS[:0]}, r"input: tensors of \[0\] samples are no batch"),
        ({"input_ids": None}, r"input: tensors of \[\] samples are no batch"),
        ({"bits": IDS}, r"input: the graph has another tensor called 'bits' .rename the input"),
        ({"mask": IDS}, r"it refuses an input of shape \[3, 4\]: TypeError: .*mask"),
    ],
)
def test_inputs_that_are_none_for_a_file_are_refused(tmp_path, inputs, message):
    class Odd(Read):
        def forward(self, bits=None, input_ids=None, attention_mask=None):
            return super().forward(input_ids if bits is None else bits, attention_mask)

    with pytest.raises(TqhwError, match=message):
        save_onnx(convert(Odd(), EVERY).eval(), tmp_path / "m.onnx", inputs)
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("given", [[3], torch.zeros(2, 3, dtype=torch.int64), {"input_ids": IDS[:, :3]}], ids=str)
def test_the_function_of_the_package_takes_shapes_and_whole_inputs(tmp_path, given):
    import tqhw

    model = convert(Read() if isinstance(given, dict) else Text(), EVERY).eval()
    assert tqhw.export(model, tmp_path / "m.onnx", input=given) == (tmp_path / "m.onnx").stat().st_size
