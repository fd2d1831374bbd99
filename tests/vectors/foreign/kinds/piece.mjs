// Piece commitments with @web3-storage/data-segment.
import { Piece } from '@web3-storage/data-segment'
import { same, sha256, toHex } from '../bytes.mjs'

export const outputs = ['size_bytes', 'root_hex', 'height', 'padding', 'cid', 'cid_v1']
// A large piece takes seconds here; a small one proves as well that a wrong vector is noticed.
export const corruptible = ({ size_bytes }) => size_bytes <= 1024

const LEAST_BYTES = 65 // what this library takes

const payload = (size) => {
  const raw = new Uint8Array(Math.ceil(size / 32) * 32)
  for (let number = 0; number * 32 < size; number += 1) {
    const counter = Buffer.alloc(8)
    counter.writeBigUInt64LE(BigInt(number))
    raw.set(sha256(counter), number * 32)
  }
  return raw.subarray(0, size)
}

export const accept = (vector) => {
  let raw = payload(vector.size_bytes)
  let missing = 0n
  if (raw.length < LEAST_BYTES) {
    // Zeros behind the payload change the padding alone, not the tree.
    missing = BigInt(127 - raw.length)
    const longer = new Uint8Array(127)
    longer.set(raw)
    raw = longer
  }
  const piece = Piece.fromPayload(raw)
  same('root', toHex(piece.root), vector.root_hex)
  same('height', piece.height, vector.height)
  same('padding', piece.padding + missing, BigInt(vector.padding))
  same('cid v1', piece.toInfo().link.toString(), vector.cid_v1)
  const named = Piece.fromString(vector.cid)
  same('root in the cid', toHex(named.root), vector.root_hex)
  same('padding in the cid', named.padding, BigInt(vector.padding))
  same('height in the cid', named.height, vector.height)
  same('canonical cid', named.toString(), vector.cid)
  if (missing === 0n) same('cid', piece.link.toString(), vector.cid)
}
