"""The imports of PyTorch's training scripts, for the process from which runs are forked."""

import scripts

scripts._prepare()
