"""Names that some target cannot use as they are.

Labels are keys of weights, and parameters and the network are what users of generated code name:
they are the same in every target, so one that some target cannot use is an error with a suggestion.
Units and blocks are named only in the spec; `targets/shared/scopes.py` gives theirs in generated
code. The lists are written out because incgen imports no framework; a test compares them with the
frameworks.
"""

from __future__ import annotations

import builtins
import keyword

from incgen.base.resources import folder


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Attributes of nn.Module (PyTorch 2) and nnx.Module (Flax), which a submodule of that name would
#: shadow or break, and the methods of nn.Sequential and nn.ModuleDict, which reject them as keys.
MODULE_ATTRIBUTES = _words(
    """
    T_destination add_module append apply bfloat16 buffers call_super_init children clear compile
    cpu cuda deterministic double dump_patches eval extend extra_repr float forward get_buffer
    get_extra_state get_parameter get_submodule half insert ipu items iter_children iter_modules
    keys load_state_dict modules mtia named_buffers named_children named_modules named_parameters
    parameters perturb pop regularization_loss register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_attributes
    set_extra_state set_submodule set_view share_memory sow state_dict to to_empty train training
    type update values weight_decay xpu zero_grad
    """
)

#: What generated files define if they need it: each is a file in a target's templates.
HELPERS = frozenset(
    path.name.partition(".")[0] for path in folder("templates").glob("*/helpers/*.py.jinja")
)

#: Names that generated code uses itself.
USED_BY_CODE = _words(
    """
    Any any Array bool Callable dict F Final float fnmatchcase getattr glorot_uniform he_uniform
    inputs int isinstance Iterator jax jnp keras layers lecun_uniform list Literal load_file
    load_safetensors map math max min name NamedTuple nn nnx np ops OrderedDict os partial
    preprocess range round safe_open self Self setattr sorted str sum super suppress sys Tensor
    torch tuple ValueError variance_scaling warnings x zip
    """
).union(name for name in HELPERS if name[0].islower())

#: Parameters of generated constructors that are not the spec's.
CONSTRUCTOR = frozenset({"in_channels", "in_height", "in_width", "input_shape", "rngs"})

#: What Flax hands to every class by position (`PytreeMeta`), so that nothing can be given by it.
BOUND = frozenset({"cls", "self"})

#: Letters that look like digits; ruff's E741 rejects them as variables.
AMBIGUOUS = frozenset("lIO")

#: Technical words with a special capitalisation.
_CAPITALS = {
    word.lower(): word
    for word in _words(
        """
        AlexNet BGR BN ConvNeXt DenseNet EfficientNet FID GELU GhostNet GoogLeNet LeNet LRN MBConv
        MnasNet MobileNet RegNet ReLU ReLU6 ResNet ResNeXt RGB SE ShuffleNet SiLU SqueezeNet TF
        UNet VGG
        """
    )
}


def label_fault(name: str) -> str | None:
    """Return why some target cannot use a label, or None if all can."""
    if keyword.iskeyword(name):
        return f"`{name}` is a Python keyword"
    if name in BOUND:
        return f"`{name}` is an argument of every class in Flax"
    if name in MODULE_ATTRIBUTES or name.startswith("_"):
        attribute = "is an attribute of modules in PyTorch or Flax"
        return f"`{name}` {'begins with an underscore' if name[0] == '_' else attribute}"
    return None


def parameter_fault(name: str) -> str | None:
    """Return why some target cannot use the name of a parameter, or None if all can."""
    if name in AMBIGUOUS:
        return f"`{name}` looks like a digit"
    return _taken(name, USED_BY_CODE | CONSTRUCTOR | HELPER_CLASSES | BOUND)


def _taken(name: str, used: frozenset[str]) -> str | None:
    """Return why nothing in generated code can have a name, or None if it can."""
    if keyword.iskeyword(name):
        return f"`{name}` is a Python keyword"
    if name in used or name[0] == "_":
        return f"`{name}` is a name that generated code uses itself"
    return None


def network_fault(name: str) -> str | None:
    """Return why some target cannot use the name of a network, or None if all can."""
    made = class_name(name)
    if fault := _taken(name, USED_BY_CODE | CONSTRUCTOR):
        return fault
    if made in USED_BY_CODE | HELPER_CLASSES:
        return f"`{name}` would become `{made}`, which generated code uses itself"
    if keyword.iskeyword(made) or hasattr(builtins, made):
        return f"`{name}` would become `{made}`, which Python itself defines"
    return None


#: Classes that generated files define or import if they need them.
HELPER_CLASSES = _words("Any Array Callable Final NamedTuple OrderedDict Tensor").union(
    name for name in HELPERS if name[0].isupper()
)


def class_name(name: str) -> str:
    """Return the name of the class for a unit, block or network.

    >>> class_name("bn_inception"), class_name("inception_v3")
    ('BNInception', 'InceptionV3')
    """
    parts = [part for part in name.split("_") if part]
    return "".join(_CAPITALS.get(part.lower(), part[:1].upper() + part[1:]) for part in parts)
