// The reward service's API as this page uses it. Meanings and units: GET /openapi.json.

import { getJson } from "../shared/api";
import { flag, list, maybe, object, text, wei, whole, type Shape } from "../shared/shape";

const health = object({
  status: text,
  version: text,
  now_ms: whole,
  doing: text,
  trouble: maybe(text),
  posted_epochs: maybe(whole),
  attests: flag,
});

const network = object({
  chain_id: whole,
  contract: text,
  token: text,
  rpc: maybe(text),
  challenge_seconds: whole,
  epoch_cap_wei: wei,
  ruleset: text,
  min_bond_wei: wei,
});

const line = object({
  epoch: whole,
  state: text,
  device: text,
  owner: maybe(text),
  active_slots: list(whole),
  envelopes: whole,
  observations: whole,
  weight_ppm: whole,
  share_wei: wei,
  reason: text,
});

const account = object({
  account: text,
  earned_wei: wei,
  pending_wei: wei,
  claimed_wei: wei,
  claimable_wei: wei,
  lines: list(line),
  before: maybe(whole),
});

const epochMembers = {
  epoch: whole,
  state: text,
  root: text,
  manifest: text,
  report: text,
  cumulative_total_wei: wei,
  activates_at_ms: whole,
  transaction: text,
};
const epochs = object({ rows: list(object(epochMembers)), before: maybe(whole) });
const epoch = object({
  ...epochMembers,
  ruleset: text,
  pool_wei: wei,
  paid_wei: wei,
  unallocated_wei: wei,
  lines: list(line),
});

const proof = object({
  epoch: whole,
  root: text,
  leaf: object({ chain_id: whole, contract: text, account: text, cumulative_wei: wei }),
  leaf_hash: text,
  proof: list(text),
});

export type Health = Shape<typeof health>;
export type Network = Shape<typeof network>;
export type Line = Shape<typeof line>;
export type Account = Shape<typeof account>;
export type EpochSummary = Shape<typeof epochs>["rows"][number];
export type EpochDetail = Shape<typeof epoch>;
export type Proof = Shape<typeof proof>;

export const rewards = {
  health: () => getJson("/v1/health", health),
  network: () => getJson("/v1/network", network),
  account: (address: string, before: number | null = null) =>
    getJson(`/v1/accounts/${address}${before === null ? "" : `?before=${before}`}`, account),
  epochs: () => getJson("/v1/epochs?limit=24", epochs),
  epoch: (number: number) => getJson(`/v1/epochs/${number}`, epoch),
  proof: (address: string) => getJson(`/v1/proofs/${address}`, proof),
};
