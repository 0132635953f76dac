"""Settings of the network's tests: the models are so small that a second thread would only cost."""

import torch

torch.set_num_threads(1)
