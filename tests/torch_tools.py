"""Apply PyTorch's tools to a model, tool by tool: each gives something to call, the same network.

Each function takes a model, in evaluation or training, and images, and leaves the model as it is.
"""

from __future__ import annotations

import copy
import io
import pickle
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from published import imported
from torch import Tensor, nn

Made = Callable[[Tensor], Any]

#: The first axis, of any length.
ANY_BATCH = ({0: torch.export.Dim.DYNAMIC},)


def copied(model: nn.Module, x: Tensor) -> Made:
    """Return a copy that was pickled."""
    made: Made = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    return made


def fx_traced(model: nn.Module, x: Tensor) -> Made:
    """Trace it symbolically."""
    return torch.fx.symbolic_trace(copy.deepcopy(model))


def jit_traced(model: nn.Module, x: Tensor) -> Made:
    """Trace it by running it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stock layers ask for sizes
        # The check runs it again, where dropout draws other numbers.
        made: Made = torch.jit.trace(copy.deepcopy(model), x, check_trace=False)
        return made


def scripted(model: nn.Module, x: Tensor) -> Made:
    """Script it, save that and load it."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(copy.deepcopy(model)), file)
    file.seek(0)
    made: Made = torch.jit.load(file)
    return made


def exported(model: nn.Module, x: Tensor) -> Made:
    """Export it for any number of images."""
    made: Made = _program(model, x).module()
    return made


def exported_file(model: nn.Module, x: Tensor) -> Made:
    """Export it for any number of images, save that and load it."""
    file = io.BytesIO()
    torch.export.save(_program(model, x), file)
    file.seek(0)
    made: Made = torch.export.load(file).module()
    return made


def _program(model: nn.Module, x: Tensor) -> torch.export.ExportedProgram:
    return torch.export.export(copy.deepcopy(model), (x,), dynamic_shapes=ANY_BATCH)


def compiled(model: nn.Module, x: Tensor) -> Made:
    """Compile it as one graph; what a graph computes is the same with every backend."""
    torch.compiler.reset()
    made: Made = torch.compile(copy.deepcopy(model), fullgraph=True, backend="eager")
    return made


def extracted(model: nn.Module, labels: Sequence[str]) -> Made:
    """Extract the values of some labels."""
    extract = imported("torchvision.models.feature_extraction").create_feature_extractor
    made: Made = extract(copy.deepcopy(model), list(labels), suppress_diff_warning=True)
    return made


def hooked(model: nn.Module, labels: Sequence[str], x: Tensor) -> dict[str, Tensor]:
    """Return the values of some labels as forward hooks see them."""
    seen: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(label).register_forward_hook(
            lambda module, given, value, label=label: seen.update({label: value})
        )
        for label in labels
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return seen


def synced(model: nn.Module, x: Tensor) -> Made:
    """Make its normalisations those of several processes, here of one."""
    made: Made = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    return made


def averaged(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return the running statistics that are those of the images alone."""
    made = copy.deepcopy(model)
    torch.manual_seed(0)  # of dropout
    torch.optim.swa_utils.update_bn([x], made)
    return {name: value for name, value in made.state_dict().items() if ".running_" in name}


def statistics(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return the statistics of what comes to each normalisation in training."""
    model = copy.deepcopy(model).train()
    moments: dict[str, Tensor] = {}

    def see(name: str, norm: nn.Module, value: Tensor) -> None:
        axes = [0, *range(2, value.ndim)]
        moments[f"{name}.running_mean"] = value.mean(axes)
        biased = type(norm).__name__.startswith("Biased")
        moments[f"{name}.running_var"] = value.var(axes, unbiased=not biased)

    for name, norm in model.named_modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.register_forward_pre_hook(lambda norm, given, name=name: see(name, norm, given[0]))
    torch.manual_seed(0)
    with torch.no_grad():
        model(x)
    return moments


def called(model: nn.Module, x: Tensor) -> Made:
    """Call it with tensors from outside; its own are not numbers."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    empty = copy.deepcopy(model)
    for value in empty.state_dict().values():
        if value.is_floating_point():
            value.fill_(torch.nan)
    return lambda y: torch.func.functional_call(empty, state, (y,))


def lowered(model: nn.Module, dtype: torch.dtype) -> Made:
    """Convert it to half precision."""
    made = copy.deepcopy(model).to(dtype)
    return lambda x: made(x.to(dtype))


def under_autocast(model: nn.Module, dtype: torch.dtype) -> Made:
    """Run it under autocast."""

    def made(x: Tensor) -> Any:
        with torch.autocast("cpu", dtype):
            return model(x)

    return made


def int8_fx(model: nn.Module, x: Tensor) -> Made:
    """Quantise it after training, by FX."""
    from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx

    mapping = get_default_qconfig_mapping("x86")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = quantize_fx.prepare_fx(copy.deepcopy(model), mapping, (x,))
        prepared(x)
        made: Made = quantize_fx.convert_fx(prepared)
    return made


def prepared_for_qat(model: nn.Module, x: Tensor) -> torch.fx.GraphModule:
    """Return a copy in training with FX's fake quantisation.

    A `BiasedBatchNorm2d` is named to FX: traced, it would stay in training.
    """
    from torch.ao.quantization import get_default_qat_qconfig_mapping, quantize_fx
    from torch.ao.quantization.fx.custom_config import PrepareCustomConfig

    made = copy.deepcopy(model).train()
    kinds = {type(module) for module in made.modules() if isinstance(module, nn.BatchNorm2d)}
    custom = PrepareCustomConfig()
    custom.set_non_traceable_module_classes([kind for kind in kinds if kind != nn.BatchNorm2d])
    mapping = get_default_qat_qconfig_mapping("x86")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantize_fx.prepare_qat_fx(made, mapping, (x,), custom)


def converted(prepared: torch.fx.GraphModule) -> Made:
    """Return the quantised model of one with fake quantisation."""
    from torch.ao.quantization import quantize_fx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: Made = quantize_fx.convert_fx(prepared.eval())
    return made


def int8_qat(model: nn.Module, x: Tensor, steps: int) -> Made:
    """Go forward and back as if the model were quantised, by FX, and quantise it.

    Args:
        model: the model.
        x: the images of every step.
        steps: how many; nothing learns in them.
    """
    prepared = prepared_for_qat(model, x)
    for _ in range(steps):
        first(prepared(x)).sum().backward()
    return converted(prepared)


def int8_qat_frozen(model: nn.Module, x: Tensor) -> tuple[Tensor, Made]:
    """Take a step of QAT with running statistics that stay what they are, and no dropout.

    The ranges are those of the model before it is quantised: FX has all branches of a `cat` share
    one range, which begins as the first one's, and would cut off the others in the step.

    Returns:
        The output of the prepared model before anything is quantised, and the quantised model.
    """
    from torch.ao import quantization as ao

    prepared = prepared_for_qat(model, x)
    prepared.apply(_freeze)
    prepared.apply(ao.disable_fake_quant)
    with torch.no_grad():
        plain = first(prepared(x))
    prepared.apply(ao.enable_fake_quant)
    prepared.apply(ao.disable_observer)
    first(prepared(x)).sum().backward()
    return plain, converted(prepared)


def _freeze(module: nn.Module) -> None:
    """Put a normalisation into evaluation, also one within a convolution, and dropout."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.Dropout):
        module.eval()
    torch.ao.nn.intrinsic.qat.freeze_bn_stats(module)


def int8_pt2e(model: nn.Module, x: Tensor) -> Made:
    """Quantise what torch.export gives, by torchao."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

        quantizer = x86.X86InductorQuantizer()
        quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(torch.export.export(model, (x,)).module(), quantizer)
        prepared(x)
        made: Made = convert_pt2e(prepared)
    return made


def in_onnx_runtime(model: nn.Module, x: Tensor) -> Made:
    """Export it to ONNX for any number of images, and run that in ONNX Runtime."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model, (x,), path, input_names=["x"], dynamic_shapes=ANY_BATCH, verbose=False
        )
        session = onnxruntime.InferenceSession(path)
    return lambda y: torch.from_numpy(session.run(None, {"x": y.numpy()})[0])


def first(result: Any) -> Tensor:
    """Return the network's own output."""
    value: Tensor = result[0] if isinstance(result, tuple) else result
    return value
