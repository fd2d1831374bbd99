"""What can be set: by environment (``REWARDS_...``) or, stronger, by flags. Built once, in `rewards.cli`.

Nothing here changes what anybody earns.
"""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65_535)]


class RewardsSettings(BaseSettings):
    """All of it, with defaults that run on one machine."""

    model_config = SettingsConfigDict(env_prefix="REWARDS_", extra="forbid", frozen=True)

    data: Path = Path(".cairn/rewards")
    deployment: Path = Path(".cairn/deployment.json")  # which contract on which chain
    rpc: SecretStr = SecretStr("http://127.0.0.1:8545")  # secret: providers put their key into the address
    public_rpc: AnyHttpUrl | None = None  # a node that the page may tell visitors about
    hub: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    reports: AnyHttpUrl | None = None  # a reward service that serves reports
    http_host: str = "127.0.0.1"
    http_port: Port = 8090
    poll_seconds: Annotated[float, Field(ge=0.1, le=3_600)] = 1.0
    key: SecretStr | None = None  # the account's private key in hex, or
    key_file: Path | None = None  # a file of mode 0600 that holds it

    @model_validator(mode="after")
    def _reject_typos(self) -> Self:
        """``extra="forbid"`` does not look at the environment, so look here."""
        known = {f"REWARDS_{name.upper()}" for name in type(self).model_fields}
        stray = {key for key in os.environ if key.upper().startswith("REWARDS_")} - known
        if stray:
            raise ValueError(f"unknown settings in the environment: {', '.join(sorted(stray))}")
        return self
