"""Models this small train fastest on one thread, and then alike whatever the number of cores."""

import torch

torch.set_num_threads(1)
