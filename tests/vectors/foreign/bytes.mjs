// What every check needs: hex, digests, and comparisons that say what differs.
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as digest from 'multiformats/hashes/digest'

const SHA2_256 = 0x12

export const fromHex = (text) => {
  const raw = Uint8Array.from(Buffer.from(text, 'hex'))
  if (raw.length * 2 !== text.length) throw new Error(`not hex: ${text.slice(0, 40)}`)
  return raw
}
export const toHex = (raw) => Buffer.from(raw).toString('hex')
export const sha256 = (raw) => Uint8Array.from(createHash('sha256').update(raw).digest())
export const cidOf = (block, codec) => CID.createV1(codec, digest.create(SHA2_256, sha256(block)))

export const same = (what, found, expected) => {
  if (found !== expected) throw new Error(`${what}: ${found} is not ${expected}`)
}
export const sameBytes = (what, found, expected) => same(what, toHex(found), toHex(expected))
