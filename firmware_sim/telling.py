"""What the demo tells people at the end, and the same as JSON for programs."""

from rich.console import Console
from rich.table import Table

from firmware_sim.demo import Outcome
from firmware_sim.network import Network

_WEI_PER_TOKEN = 10**18


def report_of(outcome: Outcome) -> dict[str, object]:
    """Return the outcome as JSON values."""
    verdicts = verdict_counts(outcome)
    claim = outcome.claim
    return {
        "seconds_to_paid_claim": outcome.seconds_to_paid_claim,
        "edge_peak_rss_mib": round(outcome.edge_peak_rss_kib / 1024, 1),
        "people_counted": outcome.people_counted,
        "envelopes": sum(verdicts.values()),
        "accepted": verdicts.get("accepted", 0),
        "verdicts": verdicts,
        "epochs": list(outcome.epochs),
        "devices": list(outcome.devices),
        "claimed_for": {
            "name": outcome.claimed_for.name,
            "device": outcome.claimed_for.did,
            "share_wei": str(outcome.share_wei),
        },
        "claim": {
            "account": claim.account,
            "epoch": claim.epoch,
            "paid_wei": str(claim.paid_wei),
            "transaction": claim.transaction,
            "gas": claim.gas,
            "root": claim.root,
            "audited_epochs": claim.audited_epochs,
            "audited_envelopes": claim.audited_envelopes,
        },
    }


def verdict_counts(outcome: Outcome) -> dict[str, int]:
    """Return how many messages got which verdict, over all epochs told of."""
    counts: dict[str, int] = {}
    for epoch in outcome.epochs:
        told = epoch.get("counts", {})
        if isinstance(told, dict):
            for slug, messages in told.items():
                counts[slug] = counts.get(slug, 0) + messages
    return counts


def tell(network: Network, outcome: Outcome) -> None:
    """Print what happened, for people."""
    console = Console(highlight=False, soft_wrap=True)
    console.print()
    _tell_devices(console, outcome)
    _tell_epochs(console, outcome)
    claim = outcome.claim
    share = f"{tokens(outcome.share_wei)} of it earned by {outcome.claimed_for.name}"
    rows = {
        "Verdicts": _words(verdict_counts(outcome)),
        "Root on chain": claim.root,
        "Claim paid": f"{tokens(claim.paid_wei)} to {claim.account} ({claim.gas:,} gas)",
        "": f"{share}, which saw {outcome.people_counted} people",
        "Transaction": claim.transaction,
        "Verified": f"audit: same root for epochs 1 to {claim.audited_epochs}, recomputed from "
        f"{claim.audited_envelopes} device-signed envelopes; replay: same verdicts",
        "Took": f"{outcome.seconds_to_paid_claim} s to the paid claim",
    }
    pages = {
        "Operator's page": network.hub_url,
        "Contributors' page": f"{network.rewards_url}/?account={claim.account}",
        "Files and logs": network.folder,
    }
    for name, words in {**rows, **pages}.items():
        console.print(f"[bold]{name:19}[/bold] {words}")


def tokens(amount_wei: int) -> str:
    """Return an amount in whole tokens with six digits, floored: ``12.345678``."""
    whole, rest = divmod(amount_wei, _WEI_PER_TOKEN)
    return f"{whole:,}.{rest // 10**12:06d}"


def _tell_devices(console: Console, outcome: Outcome) -> None:
    names = ("device", "frames", "tracks", "came by", "people", "peak MiB", "earned")
    table = Table(*names, title="Devices (came by: the made-up town's truth)", title_justify="left")
    for device in outcome.devices:
        peak_mib = int(str(device["peak_rss_kib"])) // 1024
        came_by = "" if device["came_by"] is None else device["came_by"]
        cells = [device["name"], device["frames"], device["tracks"], came_by, device["people"], peak_mib]
        table.add_row(*map(str, cells), tokens(int(str(device["share_wei"]))))
    console.print(table)


def _tell_epochs(console: Console, outcome: Outcome) -> None:
    for epoch in outcome.epochs:
        console.print(f"[bold]Epoch {epoch.get('epoch')}[/bold]  {_words(epoch.get('counts'))}")
        console.print(f"  manifest    {epoch.get('manifest')}")
        console.print(f"  verdicts    {epoch.get('verdicts')}")
        segments = epoch.get("segments")
        for segment in segments if isinstance(segments, list) else []:
            console.print(f"  piece       {segment['piece']}  {segment['size_bytes']:,} bytes")
    console.print()


def _words(counts: object) -> str:
    if not isinstance(counts, dict) or not counts:
        return "no messages"
    return ", ".join(f"{messages} {slug.replace('_', ' ')}" for slug, messages in sorted(counts.items()))
