"""Files of weights: first ones drawn, published ones read, ours written and given out again.

Each module says what it turns into what.
Libraries are imported where they are needed, and a missing one names the extra that has it.
"""
