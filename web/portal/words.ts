// Everything the portal says, in one place.

export const words = {
  title: "Cairn rewards",
  subtitle: "What every device earned, and why",
  skip: "To the content",
  api: "API",

  gone: (age: string) => `The reward service does not answer. Everything below is as of ${age} ago.`,
  never: "The reward service does not answer, so there is nothing to show yet.",
  trouble: "The service is in trouble:",
  retrying: "Asking again every three seconds.",

  // Looking up an account
  lookup: "Look up an account",
  address: "Account address",
  addressExample: "0x and 40 hex digits",
  show: "Show",
  addressWrong: "An address is 0x and 40 hex digits: copy it again.",
  known: "Accounts heard last",
  knownNote: (epoch: string) => `tokens that epoch ${epoch} brought them`,
  knownNone: "No epoch has been posted on chain yet. Come back after the first one has closed.",
  another: "Another account",
  devicesOf: (n: number) => (n === 1 ? "1 device" : `${n} devices`),

  // One account
  account: "Account",
  amountsNote: "amounts in tokens; point at one to see every digit",
  earned: "Earned",
  earnedNote: "since epoch 1",
  claimed: "Claimed",
  claimedNote: "paid out by the contract",
  claimable: "Claimable",
  claimableNote: "now",
  pending: "Pending",
  pendingNote: "in the challenge window",
  wei: (amount: string, weiAmount: string) => `${amount} tokens = ${weiAmount} wei`,
  howToClaim: "To be paid:",
  partsLabel: (claimed: string, claimable: string, pending: string) =>
    `${claimed} claimed, ${claimable} claimable, ${pending} pending`,
  nothingEarned: "This account has earned nothing in the epochs that are posted.",

  // Why
  why: "What earned it",
  perEpoch: "Earned, epoch by epoch",
  epoch: "Epoch",
  epochColumn: (n: string) => `Epoch ${n}`,
  device: "Device",
  slots: "Active",
  slotsOf: (active: number, all: number) => `${active} of ${all} slots`,
  observations: "Observations",
  share: "Share",
  reason: "Why",
  older: "Older epochs",
  linesNone: "None of its devices was heard in these epochs.",
  reasons: {
    paid: "Paid for its active slots.",
    inactive: "Heard, but it observed nothing.",
    not_enrolled: "The device never said whose it is: enroll it.",
    not_bonded: "No bond stands behind it: stake one.",
    bond_of_another: "Another account has bonded it, but not the owner it names: stake with the owner's account.",
    bond_too_small: "Its bond is below the minimum: add to it.",
    same_vantage: "Another device with an older bond stands for this place in every slot: move it to a new view.",
    pool_too_small: "Its share came to less than a wei.",
  } as Record<string, string>,
  states: { active: "active", pending: "pending" } as Record<string, string>,

  // Proof
  proof: "Proof",
  proofNote: "The contract pays on this and on nothing else. Your browser can do the sum itself.",
  verify: "Verify in this browser",
  verifying: "Verifying…",
  verifyAgain: "Verify again",
  passed: "Verified.",
  passedOnChain: "This browser computed the root itself, and the chain holds the same.",
  passedByService: "This browser computed the root itself, and the service says that the chain holds the same.",
  failed: "This proof does not hold.",
  failedWhy: "Do not rely on the amounts above. Compare with `cairn-rewards audit`, and tell the operator.",
  notVerified: "It could not be verified.",
  stepAccount: "The leaf names this account",
  stepContract: "The leaf names this contract and chain",
  stepLeaf: "Leaf hash, computed here",
  stepPath: (n: number) =>
    n === 0 ? "The leaf is the root: one account alone" : `Root over ${n} ${n === 1 ? "sibling" : "siblings"}, computed here`,
  stepPosted: (epoch: number) => `Root that the service says was posted for epoch ${epoch}`,
  stepChainId: "The node serves this chain",
  stepChain: "Root in force, read from the chain",
  stepClaimed: "Paid so far, read from the chain",
  differs: (here: string, there: string) => `${here} here, but ${there} there`,
  noNode: "The service names no public node, so this page could not ask the chain itself.",
  nodeFailed: (url: string, why: string) => `${url} could not be asked: ${why}`,
  noContract: "the node knows no such contract",
  leftToClaim: (paid: string, earned: string) => `${paid} of ${earned} tokens`,
  leaf: "Leaf",
  cumulative: "Earned since epoch 1",
  path: "Siblings, from the leaf up",
  root: "Root",
  outcome: { same: "same", different: "different", skipped: "not checked" },

  // Epochs
  epochs: "Epochs on chain",
  epochsNone: "None yet.",
  earnedByAll: "Earned by all so far",
  state: "State",
  manifest: "Manifest",
  report: "Report",
};

export const reasonWord = (slug: string): string => words.reasons[slug] ?? slug.replaceAll("_", " ");

/** Into how many slots a ruleset cuts an epoch; 12 has been the number since the first ruleset. */
const SLOTS: Record<string, number> = { "cairn-1": 12 };
export const slotsOf = (ruleset: string | undefined): number => SLOTS[ruleset ?? ""] ?? 12;
