"""The weights and the tokenizer that every backend starts from."""
