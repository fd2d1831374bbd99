"""The API beside a real chain: figures are the report's and the contract's, and what is not known is said so."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol.cid import Cid
from protocol.units import UnixMs, Wei
from rewards.chain.node import checksum
from rewards.domain.reportblocks import read_report
from rewards.http.app import create_app
from rewards.http.desk import Desk
from rewards.http.server import HttpServer
from rewards.paybook import PayBook, prove
from rewards.progress import Progress
from rewards.runner import EpochRunner, Posted
from rewards.shelf import ReportShelf
from tests.support.reward_story import TOKEN_WEI, Device, Town


@dataclass
class Counter:
    """The service as a visitor sees it, with a clock of its own and a chain that can be cut off."""

    http: httpx.Client
    town: Town
    shelf: ReportShelf
    device: Device
    now_ms: int = 1_000_000

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def counter(town: Town, tmp_path: Path) -> Iterator[Counter]:
    """One settled epoch in which one device of Alice's earned 50 tokens."""
    device = Device(1, town.alice.account)
    town.alice.stake(device.keys.public_key.raw, Wei(5 * TOKEN_WEI))
    start, end = town.publisher.interval(1)
    at_ms = list(range(start, end, 10_000))
    town.close_epoch([device.enroll(start), device.watch(at_ms)])
    shelf = ReportShelf(tmp_path / "reports")
    assert isinstance(EpochRunner(town.gateway, town.registry, shelf, town.hub_account).step(), Posted)
    desk = Desk(
        version="1.2.3",
        chain_id=31_337,
        contract=town.contract.address,
        terms=town.contract.terms(),
        public_rpc="https://rpc.example/",
        paybook=PayBook(town.contract, shelf, lambda: UnixMs(found.now_ms)),
        shelf=shelf,
        portal=tmp_path / "no portal",
        clock=lambda: UnixMs(found.now_ms),
        progress=lambda: Progress(doing="Waiting."),
        attests=True,
    )
    server = HttpServer("127.0.0.1", 0)
    with httpx.Client(base_url=server.url) as http:
        found = Counter(http, town, shelf, device)
        server.start(create_app(desk))
        yield found
    server.stop()


def _earned(counter: Counter) -> dict[str, Any]:
    return counter.get(f"/v1/accounts/{checksum(counter.town.alice.account)}")


def test_an_account_sees_what_it_earned_was_paid_and_can_claim_and_why(counter: Counter) -> None:
    account = _earned(counter)
    assert (account["earned_wei"], account["claimed_wei"], account["claimable_wei"]) == (
        str(50 * TOKEN_WEI),
        "0",
        str(50 * TOKEN_WEI),
    )
    (line,) = account["lines"]
    assert line["device"] == counter.device.keys.public_key.name
    assert (line["reason"], line["share_wei"], line["weight_ppm"]) == ("paid", str(50 * TOKEN_WEI), 6_000_000)
    assert line["active_slots"] == list(range(12))


def test_the_proof_it_serves_is_the_one_the_contract_pays_on(counter: Counter) -> None:
    proof = counter.get(f"/v1/proofs/{checksum(counter.town.alice.account)}")
    calls = counter.town.contract.calls.functions
    leaf = proof["leaf"]
    assert "0x" + calls.leafOf(leaf["account"], int(leaf["cumulative_wei"])).call().hex() == proof["leaf_hash"]
    claim = calls.claim(
        leaf["account"], int(leaf["cumulative_wei"]), [bytes.fromhex(one[2:]) for one in proof["proof"]]
    )
    assert claim.call() == 50 * TOKEN_WEI


def test_a_claim_moves_the_amount_from_claimable_to_claimed(counter: Counter) -> None:
    report = counter.shelf.report(1)
    assert report is not None
    counter.town.bob.claim(prove(report, counter.town.alice.account).proven)
    account = _earned(counter)
    assert (account["claimed_wei"], account["claimable_wei"]) == (str(50 * TOKEN_WEI), "0")


def test_every_block_of_the_report_is_served_by_its_cid(counter: Counter) -> None:
    epoch = counter.get("/v1/epochs/1")

    def fetch(cid: Cid) -> bytes:
        answer = counter.http.get(f"/ipfs/{cid}?format=raw")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/vnd.ipld.raw"
        content: bytes = answer.content
        return content

    cid = Cid.parse(epoch["report"])
    root = fetch(cid)
    assert hashlib.sha256(root).digest() == cid.digest
    assert read_report(root, fetch) == counter.shelf.report(1)
    assert counter.http.head(f"/ipfs/{cid}").status_code == 200
    assert counter.http.get(f"/ipfs/{Cid.of(b'other')}").status_code == 404


def test_an_epoch_shows_its_root_and_every_line(counter: Counter) -> None:
    epoch = counter.get("/v1/epochs/1")
    posted = counter.town.contract.roots()[0]
    assert epoch["root"] == "0x" + posted.attestation.root.hex()
    assert epoch["state"] == "active"
    assert int(epoch["paid_wei"]) + int(epoch["unallocated_wei"]) == int(epoch["pool_wei"])
    assert len(epoch["lines"]) == epoch["devices"] == 1
    listed = counter.get("/v1/epochs")
    assert [row["epoch"] for row in listed["rows"]] == [1]
    assert listed["before"] is None


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/v1/epochs/2", 404, "epoch 2 has no root on chain; epochs 1 to 1 have one"),
        ("/v1/epochs/zero", 422, "number"),
        ("/v1/accounts/0x12", 422, "40 hex digits"),
        ("/v1/accounts/0xf39fd6E51aad88F6F4ce6aB8827279cffFb92266", 422, "checksum is wrong"),
        ("/v1/proofs/0x0000000000000000000000000000000000000001", 404, "has earned nothing"),
        ("/ipfs/bafy", 400, "not a CID"),
        ("/nowhere", 404, "Not Found"),
    ],
)
def test_every_refusal_is_a_problem_with_a_sentence(counter: Counter, path: str, status: int, says: str) -> None:
    answer = counter.http.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_an_account_that_never_earned_has_zeros_because_that_is_known(counter: Counter) -> None:
    account = counter.get("/v1/accounts/0x0000000000000000000000000000000000000001")
    assert (account["earned_wei"], account["lines"]) == ("0", [])


def test_when_the_chain_is_gone_the_answer_is_an_error_with_its_age_and_never_a_zero(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    _earned(counter)
    # Nothing listens on port 9 of the loopback: the same connection, cut.
    monkeypatch.setattr(counter.town.contract.web3.provider, "endpoint_uri", "http://127.0.0.1:9")
    counter.now_ms += 5_000
    for path in (f"/v1/accounts/{checksum(counter.town.alice.account)}", "/v1/epochs", "/v1/epochs/1", "/v1/network"):
        answer = counter.http.get(path)
        assert answer.status_code == 503
        assert answer.json()["age_ms"] == 5_000
        assert "_wei" not in answer.text
    health = counter.get("/v1/health")
    assert health["chain_read_ms"] == counter.now_ms - 5_000


def test_a_report_that_is_not_computed_here_yet_is_an_error_and_not_an_empty_account(counter: Counter) -> None:
    counter.shelf._reports.clear()  # as on the first start after the folder was deleted
    answer = counter.http.get(f"/v1/accounts/{checksum(counter.town.alice.account)}")
    assert answer.status_code == 503
    assert "being computed" in answer.json()["detail"]


def test_the_page_and_the_api_carry_the_headers_that_keep_a_browser_honest(counter: Counter) -> None:
    page = counter.http.get("/")
    assert page.status_code == 200
    assert "connect-src 'self' https://rpc.example;" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert counter.http.get("/v1/epochs").headers["access-control-allow-origin"] == "*"
    paths = counter.get("/openapi.json")["paths"]
    assert {"/v1/health", "/v1/accounts/{address}", "/v1/epochs/{number}", "/v1/proofs/{address}"} <= set(paths)
    assert "/v1/proofs" in counter.http.get("/docs").text
