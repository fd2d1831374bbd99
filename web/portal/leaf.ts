// The Merkle tree of claims as OpenZeppelin's standard-v1 lays it out and the contract checks it. Nothing is asked of
// a server here: hashes only.

import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

const MOST_SIBLINGS = 64;
const WORD_BYTES = 32;

export interface Leaf {
  chain_id: number;
  contract: string;
  account: string;
  cumulative_wei: bigint;
}

/** keccak256(keccak256(abi.encode(chainId, contract, account, cumulativeWei))), with 0x. */
export function leafHash(leaf: Leaf): string {
  const encoded = concatBytes(
    uintWord(BigInt(leaf.chain_id)),
    addressWord(leaf.contract),
    addressWord(leaf.account),
    uintWord(leaf.cumulative_wei),
  );
  return `0x${bytesToHex(keccak_256(keccak_256(encoded)))}`;
}

/** The root that a leaf hash and its siblings lead to; each pair is hashed in ascending order. */
export function rootOf(leaf: string, siblings: string[]): string {
  if (siblings.length > MOST_SIBLINGS) throw new RangeError(`a proof of ${siblings.length} steps`);
  let node = bytes32(leaf);
  for (const sibling of siblings) {
    const other = bytes32(sibling);
    node = keccak_256(isBefore(node, other) ? concatBytes(node, other) : concatBytes(other, node));
  }
  return `0x${bytesToHex(node)}`;
}

/** Call data for a function of no or address arguments. */
export function callData(signature: string, ...addresses: string[]): string {
  const selector = keccak_256(utf8ToBytes(signature)).slice(0, 4);
  return `0x${bytesToHex(concatBytes(selector, ...addresses.map(addressWord)))}`;
}

/** The 32-byte words of an answer, as numbers. */
export function wordsOf(answer: string): bigint[] {
  const digits = answer.replace(/^0x/, "");
  return (digits.match(/.{64}/g) ?? []).map((word) => BigInt(`0x${word}`));
}

export const hex32 = (word: bigint): string => `0x${word.toString(16).padStart(2 * WORD_BYTES, "0")}`;

function uintWord(value: bigint): Uint8Array {
  if (value < 0n || value >> 256n !== 0n) throw new RangeError(`${value} is not a uint256`);
  return hexToBytes(hex32(value).slice(2));
}

function addressWord(address: string): Uint8Array {
  if (!/^0x[0-9a-fA-F]{40}$/.test(address)) throw new RangeError(`${address} is not an address`);
  return hexToBytes(address.slice(2).toLowerCase().padStart(2 * WORD_BYTES, "0"));
}

function bytes32(hash: string): Uint8Array {
  if (!/^0x[0-9a-fA-F]{64}$/.test(hash)) throw new RangeError(`${hash} is not a hash of 32 bytes`);
  return hexToBytes(hash.slice(2).toLowerCase());
}

function isBefore(one: Uint8Array, other: Uint8Array): boolean {
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at !== -1 && one[at]! < other[at]!;
}
