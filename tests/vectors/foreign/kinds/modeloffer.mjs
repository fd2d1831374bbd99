// Approvals and offers: the signed block of ../signed.mjs; the approvals inside an offer; whose turn it is.
import { base58btc } from 'multiformats/bases/base58'
import { fromHex, same, sha256, toHex } from '../bytes.mjs'
import { accept as acceptSigned, open, outputs } from '../signed.mjs'
import * as dagCbor from '@ipld/dag-cbor'

export { outputs }

const [APPROVAL, OFFER] = [20, 21]

// The place of a device among a hundred: it is included from the percentage above it.
const turn = (seed, name) => {
  const hash = toHex(sha256(new Uint8Array([...seed, ...base58btc.decode(name)])))
  return Number(BigInt(`0x${hash}`) % 100n) + 1
}

export const accept = async (vector) => {
  await acceptSigned(vector)
  const { kind, manifest, approvals, seed } = vector.fields
  if (kind === APPROVAL) return
  same('kind', kind, OFFER)
  for (const block of approvals) {
    const [found, , digest] = dagCbor.decode((await open(fromHex(block))).payload)
    same('kind of an approval', found, APPROVAL)
    same('manifest approved', toHex(digest), toHex(sha256(fromHex(manifest))))
  }
  for (const { name, percent } of vector.included_from_percent)
    same('turn', turn(fromHex(seed), name), percent)
}
