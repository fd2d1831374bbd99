// The check a contributor would do on paper, done in the page. The service's word is only ever compared, never believed:
// the leaf hash and the root are computed here, and the root in force is read from the chain where a node is named.

import { callNode, sentenceOf } from "../shared/api";
import { tokensExactly } from "../shared/format";
import { callData, hex32, leafHash, rootOf, wordsOf } from "./leaf";
import { rewards, type Network, type Proof } from "./rewards";
import { words } from "./words";

const SERVICE_CATCHES_UP_MS = 1_500; // it reads the chain once a second

export type Outcome = "same" | "different" | "skipped";

export interface Step {
  title: string;
  says: string;
  outcome: Outcome;
}

export interface Verification {
  proof: Proof;
  computedRoot: string;
  steps: Step[];
  passed: boolean;
  /** Whether the root was read from the chain itself. */
  onChain: boolean;
}

/** Fetch the proof of `account` and check it; once more where the chain moved on between two questions.
 *
 * Throws ApiError where something cannot be fetched, RangeError where the proof is not even a proof.
 */
export async function verify(account: string, network: Network): Promise<Verification> {
  const first = await check(account, network);
  if (first.passed) return first;
  await new Promise((resolve) => setTimeout(resolve, SERVICE_CATCHES_UP_MS));
  return check(account, network);
}

async function check(account: string, network: Network): Promise<Verification> {
  const proof = await rewards.proof(account);
  const hash = leafHash(proof.leaf);
  const computedRoot = rootOf(hash, proof.proof);
  const posted = await rewards.epoch(proof.epoch);
  const steps = [
    compare(words.stepAccount, proof.leaf.account.toLowerCase(), account.toLowerCase()),
    compare(
      words.stepContract,
      `${proof.leaf.contract.toLowerCase()} · ${proof.leaf.chain_id}`,
      `${network.contract.toLowerCase()} · ${network.chain_id}`,
    ),
    compare(words.stepLeaf, hash, proof.leaf_hash),
    compare(words.stepPath(proof.proof.length), computedRoot, proof.root),
    compare(words.stepPosted(proof.epoch), computedRoot, posted.root),
    ...(await chainSteps(proof, computedRoot, network)),
  ];
  const passed = steps.every((step) => step.outcome !== "different");
  const onChain = network.rpc !== null && steps.every((step) => step.outcome === "same");
  return { proof, computedRoot, steps, passed, onChain };
}

async function chainSteps(proof: Proof, computedRoot: string, network: Network): Promise<Step[]> {
  const { rpc } = network;
  if (rpc === null) return [{ title: words.stepChain, says: words.noNode, outcome: "skipped" }];
  const read = async (data: string): Promise<bigint[]> =>
    wordsOf(await callNode(rpc, "eth_call", [{ to: network.contract, data }, "latest"]));
  try {
    const chainId = BigInt(await callNode(rpc, "eth_chainId", []));
    const [, root] = await read(callData("activeRoot()"));
    const [claimedWei] = await read(callData("claimedWeiOf(address)", proof.leaf.account));
    if (root === undefined || claimedWei === undefined) throw new RangeError(words.noContract);
    const paid = claimedWei <= proof.leaf.cumulative_wei ? "same" : "different";
    return [
      compare(words.stepChainId, String(chainId), String(proof.leaf.chain_id)),
      compare(words.stepChain, computedRoot, hex32(root)),
      {
        title: words.stepClaimed,
        says: words.leftToClaim(tokensExactly(claimedWei), tokensExactly(proof.leaf.cumulative_wei)),
        outcome: paid,
      },
    ];
  } catch (error) {
    return [{ title: words.stepChain, says: words.nodeFailed(rpc, sentenceOf(error)), outcome: "skipped" }];
  }
}

function compare(title: string, here: string, there: string): Step {
  return here === there
    ? { title, says: here, outcome: "same" }
    : { title, says: words.differs(here, there), outcome: "different" };
}
