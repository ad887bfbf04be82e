"""What runs of pytest inside this process must find imported already.

pytester takes out of `sys.modules` what a run brought in. torch cannot be imported twice, and a second copy of this
package's classes would not be equal to those that the plugin holds.
"""

import importlib
import pkgutil

import hypothesis.internal.conjecture.engine  # noqa: F401
import safetensors.torch  # noqa: F401
import scipy.special  # noqa: F401
import torch._dynamo
import torch.export._trace  # noqa: F401
import yaml  # noqa: F401

import pytest_modelgate

for module in pkgutil.walk_packages(pytest_modelgate.__path__, "pytest_modelgate."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
