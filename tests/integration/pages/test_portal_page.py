"""The contributor's page, in a real browser against a real reward service and chain."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from protocol.claim import Claim
from protocol.merkle import leaf_hash
from protocol.units import Wei
from rewards.chain.values import ProvenClaim
from tests.conftest import ROOT
from tests.support.pages_browser import WITHIN_MS, Reader, number
from tests.support.pages_stage import await_true, get_json
from tests.support.pages_town import Town, start_rewards


def _amount_wei(page: Page, name: str) -> int:
    return number(page, f"[data-amount={name}] [data-wei]", "data-wei")


def test_portal__account__shows_what_it_earned_and_why(town: Town, reader: Reader) -> None:
    page = reader.open(town.rewards_url).page
    page.get_by_label("Account address").fill(town.account(1))
    page.get_by_role("button", name="Show").click()
    expect(page.locator("[data-amount=claimable]")).to_be_visible(timeout=WITHIN_MS)
    assert page.url.endswith(f"?account={town.account(1)}")
    said = get_json(f"{town.rewards_url}/v1/accounts/{town.account(1)}")
    assert int(said["claimable_wei"]) > 0
    for name in ("earned", "claimed", "claimable", "pending"):
        assert _amount_wei(page, name) == int(said[f"{name}_wei"]), name
    shares = [int(str(one.get_attribute("data-wei"))) for one in page.locator("tr[data-line] [data-wei]").all()]
    assert sum(shares) == int(said["earned_wei"])
    assert page.get_by_text("No bond stands behind it: stake one.").count() > 0
    exactly = str(page.locator("[data-amount=claimable] [data-wei]").get_attribute("title"))
    assert f"= {said['claimable_wei']} wei" in exactly


def test_portal__known_accounts_and_typing_errors__are_dealt_with(town: Town, reader: Reader) -> None:
    page = reader.open(town.rewards_url).page
    expect(page.locator("main li a")).to_have_count(2, timeout=WITHIN_MS)
    page.get_by_label("Account address").fill("0x1234")
    page.keyboard.press("Enter")
    expect(page.get_by_text("An address is 0x and 40 hex digits")).to_be_visible()
    page.locator("main li a").first.click()
    expect(page.locator("[data-amount=earned]")).to_be_visible(timeout=WITHIN_MS)
    page.go_back()
    expect(page.get_by_role("button", name="Show")).to_be_visible()
    page.goto(f"{town.rewards_url}/?account=0x{'ab' * 20}")
    expect(page.get_by_text("has earned nothing")).to_be_visible(timeout=WITHIN_MS)
    assert page.get_by_role("button", name="Verify").count() == 0


def test_portal__verify__computes_the_root_and_finds_it_on_chain(town: Town, reader: Reader) -> None:
    page = reader.open(f"{town.rewards_url}/?account={town.account(0)}").page
    page.get_by_role("button", name="Verify in this browser").click()
    expect(page.locator("[data-verified=true]")).to_be_visible(timeout=WITHIN_MS)
    expect(page.get_by_text("the chain holds the same")).to_be_visible()
    active = town.operator.contract.active_root()
    assert active is not None
    step = page.locator("li.same", has_text="Root in force, read from the chain")
    expect(step).to_contain_text(active.root.hex())
    assert page.locator("li.different, li.skipped").count() == 0


def test_portal__claim__moves_from_claimable_to_claimed(town: Town, reader: Reader) -> None:
    proof = get_json(f"{town.rewards_url}/v1/proofs/{town.account(0)}")
    earned_wei = Wei(int(proof["leaf"]["cumulative_wei"]))
    path = tuple(bytes.fromhex(sibling[2:]) for sibling in proof["proof"])
    page = reader.open(f"{town.rewards_url}/?account={town.account(0)}").page
    expect(page.locator("[data-amount=claimable]")).to_be_visible(timeout=WITHIN_MS)
    assert _amount_wei(page, "claimable") == earned_wei
    town.operator.claim(ProvenClaim(Claim(town.contributors[0].account, earned_wei), path))
    await_true("the claim is shown", lambda: _amount_wei(page, "claimed") == earned_wei)
    assert _amount_wei(page, "claimable") == 0


def _more_money(proof: dict[str, Any]) -> None:
    proof["leaf"]["cumulative_wei"] = str(int(proof["leaf"]["cumulative_wei"]) + 1)


def _other_sibling(proof: dict[str, Any]) -> None:
    first = bytes.fromhex(proof["proof"][0][2:])
    proof["proof"][0] = "0x" + bytes([first[0] ^ 1, *first[1:]]).hex()


def _other_account(proof: dict[str, Any]) -> None:
    proof["leaf"]["account"] = "0x" + "ab" * 20


@pytest.mark.parametrize("tamper", [_more_money, _other_sibling, _other_account])
def test_portal__tampered_proof__fails_for_everybody_to_see(
    town: Town, reader: Reader, tamper: Callable[[dict[str, Any]], None]
) -> None:
    def spoil(route: Route) -> None:
        proof = route.fetch().json()
        tamper(proof)
        route.fulfill(json=proof)

    page = reader.open(f"{town.rewards_url}/?account={town.account(0)}").page
    page.route("**/v1/proofs/*", spoil)
    _expect_refusal(page)


def test_portal__service_lies_consistently__the_chain_convicts_it(town: Town, reader: Reader) -> None:
    proof = get_json(f"{town.rewards_url}/v1/proofs/{town.account(0)}")
    leaf = proof["leaf"]
    leaf["cumulative_wei"] = str(2 * int(leaf["cumulative_wei"]))
    raw = (int(leaf["chain_id"]), bytes.fromhex(leaf["contract"][2:]), town.contributors[0].account)
    forged = "0x" + leaf_hash((*raw, int(leaf["cumulative_wei"]))).hex()
    proof |= {"proof": [], "leaf_hash": forged, "root": forged}
    epoch = get_json(f"{town.rewards_url}/v1/epochs/{proof['epoch']}") | {"root": forged}
    page = reader.open(f"{town.rewards_url}/?account={town.account(0)}").page
    page.route("**/v1/proofs/*", lambda route: route.fulfill(json=proof))
    page.route(f"**/v1/epochs/{proof['epoch']}", lambda route: route.fulfill(json=epoch))
    _expect_refusal(page)
    different = page.locator("li.different")
    expect(different).to_have_count(1)
    expect(different).to_contain_text("Root in force, read from the chain")


def _expect_refusal(page: Page) -> None:
    page.get_by_role("button", name="Verify in this browser").click()
    expect(page.locator("[data-verified=false]")).to_be_visible(timeout=WITHIN_MS)
    expect(page.get_by_role("alert")).to_contain_text("This proof does not hold.")
    assert page.locator("li.different").count() > 0
    assert page.get_by_text("Verified.").count() == 0


@pytest.mark.parametrize("leaves", [1, 5, 13])
def test_portal__published_vectors__give_their_root_in_the_browser(town: Town, reader: Reader, leaves: int) -> None:
    """Trees of OpenZeppelin's own library, handed to the page as if the service had answered with them."""
    cases = json.loads((ROOT / "tests" / "vectors" / "merkle" / "valid.json").read_text())["cases"]
    case = next(one for one in cases if len(one["leaves"]) == leaves)
    place = leaves // 2
    chain_id, contract, account, cumulative_wei = case["leaves"][place]
    leaf = {"chain_id": int(chain_id), "contract": contract, "account": account, "cumulative_wei": cumulative_wei}
    proof = {"epoch": 1, "root": case["root"], "leaf": leaf, "leaf_hash": case["leaf_hashes"][place]}
    network = get_json(f"{town.rewards_url}/v1/network")
    answers: dict[str, dict[str, Any]] = {
        "**/v1/network": network | {"rpc": None, "contract": contract, "chain_id": int(chain_id)},
        "**/v1/accounts/*": get_json(f"{town.rewards_url}/v1/accounts/{town.account(1)}") | {"account": account},
        "**/v1/proofs/*": proof | {"proof": case["proofs"][place]},
        "**/v1/epochs/1": get_json(f"{town.rewards_url}/v1/epochs/1") | {"root": case["root"]},
    }

    def answer(page: Page) -> None:
        for path, body in answers.items():
            page.route(path, _answering(body))

    page = reader.open(f"{town.rewards_url}/?account={account}", prepare=answer).page
    page.get_by_role("button", name="Verify in this browser").click()
    expect(page.locator("[data-verified=true]")).to_be_visible(timeout=WITHIN_MS)
    over = "The leaf is the root" if leaves == 1 else "computed here"
    expect(page.locator("li.same", has_text=over).last).to_contain_text(case["root"])


def _answering(body: dict[str, Any]) -> Callable[[Route], None]:
    return lambda route: route.fulfill(json=body)


def test_portal__no_node_to_ask__says_what_was_not_checked(town: Town, reader: Reader) -> None:
    network = get_json(f"{town.rewards_url}/v1/network") | {"rpc": None}
    page = reader.open(
        f"{town.rewards_url}/?account={town.account(0)}",
        prepare=lambda page: page.route("**/v1/network", lambda route: route.fulfill(json=network)),
    ).page
    page.get_by_role("button", name="Verify in this browser").click()
    expect(page.locator("[data-verified=true]")).to_be_visible(timeout=WITHIN_MS)
    expect(page.get_by_text("the service says that the chain holds the same")).to_be_visible()
    expect(page.locator("li.skipped")).to_contain_text("names no public node")


def test_portal__service_stops_and_comes_back__keeps_the_last_amounts_with_their_age(
    town: Town, tmp_path: Path, reader: Reader
) -> None:
    shutil.copy(town.folder / "deployment.json", tmp_path)
    shutil.copytree(town.folder / "keys", tmp_path / "keys")
    service = start_rewards(town.programs.rewards, town.chain, town.hub, tmp_path)
    try:
        url: str = service.ready["http"]
        await_true("the reports are computed", lambda: _answers(f"{url}/v1/accounts/{town.account(1)}"))
        watched = reader.open(f"{url}/?account={town.account(1)}")
        page = watched.page
        expect(page.locator("[data-amount=earned]")).to_be_visible(timeout=WITHIN_MS)
        earned_wei = _amount_wei(page, "earned")
        assert earned_wei > 0
        watched.network_fails = True
        service.stop()
        alarm = page.get_by_role("alert")
        expect(alarm).to_contain_text(re.compile(r"does not answer.*as of \d+ s ago"), timeout=WITHIN_MS)
        assert _amount_wei(page, "earned") == earned_wei
        service = start_rewards(
            town.programs.rewards, town.chain, town.hub, tmp_path, http_port=int(url.rsplit(":", 1)[1])
        )
        expect(alarm).to_be_hidden(timeout=WITHIN_MS)
    finally:
        service.stop()


def _answers(url: str) -> bool:
    try:
        get_json(url)
    except OSError:
        return False
    return True
