"""The local node: found or missed in one sentence, its state whole after any death."""

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import HexStr

from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.anvil import Anvil, AnvilOptions, start_anvil
from rewards.chain.contract import RewardsContract
from rewards.chain.deploy import deploy_rewards, deploy_test_token
from rewards.chain.errors import ChainError, ChainUnreachableError, NodeFailedError, TransactionPendingError
from rewards.chain.node import connect
from rewards.chain.sender import Sender
from rewards.chain.values import Attestation, Bond, Terms

DEVICE = b"\x0d" * 32


def bonded_market(node: Anvil, person: LocalAccount) -> RewardsAccount:
    """Deploy on ``node``, bond one device, fund and post one root."""
    sender = Sender(connect(node.url, chain_id=node.options.chain_id), person)
    terms = Terms(deploy_test_token(sender), (sender.account,), 1, 0, 1_000, Wei(10**6))
    owner = RewardsAccount(deploy_rewards(sender, terms), sender)
    owner.mint(Wei(10_000))
    owner.stake(DEVICE, Wei(500))
    owner.fund(Wei(1_000))
    owner.attest(Attestation(1, b"\x11" * 32, Wei(10), b"\x01" * 32, b"\x02" * 32, 3))
    return owner


def test_the_chain_goes_on_after_kill_9_where_it_was_saved(
    anvil_program: Path, tmp_path: Path, people: tuple[LocalAccount, ...]
) -> None:
    state = tmp_path / "state"
    with start_anvil(anvil_program, state) as node:
        owner = bonded_market(node, people[0])
        staked_at = owner.contract.posted_root(1)
        assert staked_at is not None
        height, block_hash, _ = owner.contract.block()
        node.save()
        node.process.kill()
        node.process.wait(10)
    with start_anvil(anvil_program, state) as node:
        web3 = connect(node.url, chain_id=31_337)
        contract = RewardsContract(web3, owner.contract.address)
        contract.require_code()
        assert contract.block(height)[1] == block_hash
        assert contract.posted_root(1) == staked_at
        # The state of older blocks is gone with the process; events, checked against today's books, still tell.
        assert contract.bonds_at(height) == (Bond(DEVICE, owner.account, Wei(500), Wei(0), 0),)
        again = RewardsAccount(contract, Sender(web3, people[0]))
        assert again.attest(staked_at.attestation).mined is None
        again.stake(DEVICE, Wei(1))
        assert contract.bonds_at(height)[0].amount_wei == 500
        assert contract.bonds_at(contract.block()[0])[0].amount_wei == 501


def test_the_keeper_saves_by_itself_and_no_kill_ever_tears_the_state(anvil_program: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    kept_height = 0
    for delay_ms in (0, 3, 7, 15, 40, 80):
        with start_anvil(anvil_program, state, AnvilOptions(save_every_s=0.01)) as node:
            height = int(node.rpc("eth_blockNumber"), 16)
            assert height >= kept_height
            kept_height = height
            before = state.stat().st_mtime_ns if state.exists() else 0
            node.rpc("anvil_mine", hex(300))
            deadline_s = time.monotonic() + 20
            while (not state.exists() or state.stat().st_mtime_ns == before) and time.monotonic() < deadline_s:
                time.sleep(0.005)
            node.rpc("anvil_mine", hex(1))  # so that the next save is under way, or not yet, or just done
            time.sleep(delay_ms / 1_000)
            node.process.kill()
            node.process.wait(10)
    assert kept_height > 0


def test_a_node_whose_keeper_was_killed_is_replaced(anvil_program: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    script = (
        "import sys, time; from pathlib import Path; from rewards.chain.anvil import start_anvil\n"
        "node = start_anvil(Path(sys.argv[1]), Path(sys.argv[2])); node.rpc('anvil_mine', '0x7'); node.save()\n"
        "print(node.process.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(anvil_program), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        orphan = int(keeper.stdout.readline())
        with pytest.raises(NodeFailedError, match="in use by another node: stop that one first"):
            start_anvil(anvil_program, state)
        keeper.kill()
    os.kill(orphan, 0)  # still there, and nobody keeps its state
    with start_anvil(anvil_program, state) as node:
        assert int(node.rpc("eth_blockNumber"), 16) == 7
        assert node.process.pid != orphan


def test_a_node_that_mines_by_the_clock_needs_no_transactions(anvil_program: Path, tmp_path: Path) -> None:
    with start_anvil(anvil_program, tmp_path / "state", AnvilOptions(block_time_s=0.2, chain_id=4242)) as node:
        web3 = connect(node.url, chain_id=4242)
        deadline_s = time.monotonic() + 10
        while web3.eth.block_number < 3 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert web3.eth.block_number >= 3
        with pytest.raises(ChainUnreachableError, match="serves chain 4242, not 31337"):
            connect(node.url, chain_id=31_337)
        url = node.url
    assert node.process.returncode == 0
    with pytest.raises(ChainUnreachableError, match="does not answer"):
        connect(url, chain_id=4242)


def test_a_state_file_that_is_no_state_is_refused_and_left_alone(anvil_program: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"\x1f\x8bnot really")
    with pytest.raises(NodeFailedError, match="move the file away"):
        start_anvil(anvil_program, state)
    assert state.read_bytes() == b"\x1f\x8bnot really"


def test_a_program_that_is_no_node_is_named(tmp_path: Path) -> None:
    with pytest.raises(NodeFailedError, match="does not run on this machine"):
        start_anvil(tmp_path / "nothing", tmp_path / "state")
    with pytest.raises(NodeFailedError, match="stopped at once"):
        start_anvil(Path("/bin/false"), tmp_path / "state")


def test_an_address_without_our_code_is_refused(node: Anvil, people: tuple[LocalAccount, ...]) -> None:
    web3 = connect(node.url, chain_id=31_337)
    token = deploy_test_token(Sender(web3, people[0]))
    for address in ("0x" + token.hex(), people[0].address):
        with pytest.raises(ChainError, match="no CairnRewards contract of this release"):
            RewardsContract(web3, address).require_code()


def test_an_account_without_coin_hears_what_it_lacks(node: Anvil) -> None:
    web3 = connect(node.url, chain_id=31_337)
    poor: LocalAccount = Account.from_key(b"\x42" * 32)
    with pytest.raises(ChainError, match="cannot pay the chain's fee"):
        deploy_test_token(Sender(web3, poor))


def test_a_transaction_that_is_not_mined_in_time_is_named_and_not_lost(
    anvil_program: Path, tmp_path: Path, people: tuple[LocalAccount, ...]
) -> None:
    with start_anvil(anvil_program, tmp_path / "state", AnvilOptions(block_time_s=3_600)) as node:
        web3 = connect(node.url, chain_id=31_337)
        sender = Sender(web3, people[0], mined_within_s=0.2)
        with pytest.raises(TransactionPendingError, match="is sent but not mined after") as pending:
            deploy_test_token(sender)
        with pytest.raises(TransactionPendingError, match="is sent but not mined"):
            deploy_test_token(sender)  # takes the next nonce: nothing is replaced
        node.rpc("evm_mine")
        assert web3.eth.get_transaction_receipt(HexStr(str(pending.value).split()[1]))["status"] == 1
        assert web3.eth.get_transaction_count(people[0].address) == 2


def test_a_node_of_another_chain_is_refused_without_showing_its_address(node: Anvil) -> None:
    with pytest.raises(ChainUnreachableError, match="serves chain") as refused:
        connect(f"{node.url}/?key=token-of-mine", chain_id=1)
    assert "token-of-mine" not in str(refused.value)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"jsonrpc": "2.0", "id": 0, "result": "zz"}'])
def test_what_answers_like_no_node_is_refused_with_a_sentence(answer: bytes) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002 - the parent's word
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(ChainUnreachableError, match="not a chain's node"):
                connect(f"http://127.0.0.1:{server.server_port}", chain_id=31_337)
        finally:
            server.shutdown()
            thread.join()
