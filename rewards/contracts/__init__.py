"""The Solidity sources and what the pinned compiler made of them; ``rewards.chain.artifact`` reads it."""
