"""What training scripts of PyTorch import, for the process that runs of them are forked from."""

import scripts

scripts._prepare()
