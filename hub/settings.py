"""What an operator can set: by environment (``HUB_...``) or, stronger, by flags. Built once, in `hub.cli`."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65_535)]
NetworkName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]


class HubSettings(BaseSettings):
    """All of it, with defaults that run on one machine."""

    model_config = SettingsConfigDict(env_prefix="HUB_", extra="forbid", frozen=True)

    data: Path = Path(".cairn/hub")
    network: NetworkName = "cairn-local"
    name: Annotated[str, Field(max_length=80)] = "A Cairn hub"
    database_url: SecretStr | None = None  # None: SQLite in the data folder
    broker_url: SecretStr | None = None  # None: the embedded broker
    mqtt_host: str = "127.0.0.1"  # where the embedded broker listens
    mqtt_port: Port = 1883
    mqtt_public_host: str | None = None  # what devices are told to connect to; None: the address seen from here
    http_host: str = "127.0.0.1"
    http_port: Port = 8080
    epoch_seconds: Annotated[int, Field(ge=1, le=31 * 86_400)] = 3_600
    genesis_ms: Annotated[int, Field(ge=0)] | None = None  # None: the moment of `init`
    chain_rpc: SecretStr | None = None  # None: the hub makes its own beacons
    beacon_seconds: Annotated[float, Field(ge=0.1, le=600)] = 5.0
    max_clock_skew_seconds: Annotated[int, Field(ge=0, le=86_400)] = 30
    beacon_window_seconds: Annotated[int, Field(ge=1, le=31 * 86_400)] = 3_600
    max_lateness_seconds: Annotated[int, Field(ge=1, le=366 * 86_400)] = 7 * 86_400

    @model_validator(mode="after")
    def _reject_typos(self) -> Self:
        """``extra="forbid"`` does not look at the environment, so look here."""
        known = {f"HUB_{name.upper()}" for name in type(self).model_fields}
        stray = {key for key in os.environ if key.upper().startswith("HUB_")} - known
        if stray:
            raise ValueError(f"unknown settings in the environment: {', '.join(sorted(stray))}")
        return self
