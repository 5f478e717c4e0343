"""Generated texts that need no file: a seeded generator for the two shapes of the named tasks.

The tasks are made so that an accuracy says something. They have three degrees of difficulty:

* In some examples a few words give the label away, as in real data sets. A model that starts from
  nothing learns these within a hundred steps.
* In most examples words alone say nothing. One must read which clause counts and what a negation
  reverses (reviews), or compare both texts (pairs).
* One example in eight is undecided: nothing in its text tells the label. So nobody can be right on
  more than 94 % of the reviews or 92 % of the pairs, and a higher accuracy is a fault.

The same seed gives the same texts on every machine and with every numpy. The texts of the first n
examples do not depend on how many follow.
"""

from benchmarks.harness.data.generated.pair_texts import pairs
from benchmarks.harness.data.generated.review_texts import reviews

__all__ = ["EVALUATION_EXAMPLES", "TRAIN_EXAMPLES", "pairs", "reviews"]

# How many examples 'all' means for generated data, which has no end.
TRAIN_EXAMPLES = 10_000
EVALUATION_EXAMPLES = 2_000
