// A signed block, made again from seed and fields, and read again, with foreign parts only:
// CBOR by @ipld/dag-cbor and cborg, Ed25519 by OpenSSL and @noble/curves, COSE by @auth0/cose.
import { createPublicKey, sign } from 'node:crypto'
import { Sign1 } from '@auth0/cose'
import * as dagCbor from '@ipld/dag-cbor'
import { ed25519 } from '@noble/curves/ed25519.js'
import { encode as encodeCbor } from 'cborg'
import { base58btc } from 'multiformats/bases/base58'
import { cidOf, fromHex, same, sameBytes, toHex } from './bytes.mjs'
import { privateKey, rawPublicKey } from './kinds/identity.mjs'

export const outputs = ['seed_hex', 'signer', 'fields', 'payload_hex', 'block_hex', 'cid']

const EDDSA = -8
const COSE_SIGN1_TAG = 0xd2
const TEXT_FIELDS = new Set(['network', 'agent_release', 'sources'])

// Named fields stand in wire order; all strings but the few texts are bytes in hex.
const positional = (value, name) => {
  if (Array.isArray(value)) return value.map((member) => positional(member, name))
  if (value !== null && typeof value === 'object')
    return Object.entries(value).map(([key, member]) => positional(member, key))
  return typeof value === 'string' && !TEXT_FIELDS.has(name) ? fromHex(value) : value
}

const protectedHeader = (keyId) => encodeCbor(new Map([[1, EDDSA], [4, keyId]]))
const toBeSigned = (header, payload) => dagCbor.encode(['Signature1', header, new Uint8Array(), payload])

const write = (seed, payload) => {
  const header = protectedHeader(new Uint8Array([0xed, 0x01, ...rawPublicKey(seed)]))
  return dagCbor.encode([header, {}, payload, Uint8Array.from(sign(null, toBeSigned(header, payload), privateKey(seed)))])
}

/** Return {keyId, payload}; throw unless form and signature are right. */
export const open = async (block) => {
  const parts = dagCbor.decode(block)
  sameBytes('written again', dagCbor.encode(parts), block)
  if (!Array.isArray(parts) || parts.length !== 4) throw new Error('not four parts')
  const [header, unprotected, payload, signature] = parts
  sameBytes('unprotected header', dagCbor.encode(unprotected), new Uint8Array([0xa0]))
  if (![header, payload, signature].every((part) => part instanceof Uint8Array)) throw new Error('not bytes')
  const keyId = header.subarray(-34)
  sameBytes('protected header', header, protectedHeader(keyId))
  sameBytes('kind of key', keyId.subarray(0, 2), new Uint8Array([0xed, 0x01]))
  const raw = keyId.subarray(2)
  if (!ed25519.verify(signature, toBeSigned(header, payload), raw, { zip215: false })) throw new Error('signature')
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') }
  await Sign1.decode(new Uint8Array([COSE_SIGN1_TAG, ...block])).verify(createPublicKey({ key: jwk, format: 'jwk' }))
  return { keyId, payload }
}

export const accept = async (vector) => {
  const seed = fromHex(vector.seed_hex)
  const block = fromHex(vector.block_hex)
  const payload = dagCbor.encode(positional(vector.fields))
  same('payload', toHex(payload), vector.payload_hex)
  same('block', toHex(write(seed, payload)), vector.block_hex)
  same('cid', cidOf(block, dagCbor.code).toString(), vector.cid)
  const opened = await open(block)
  sameBytes('carried payload', opened.payload, payload)
  same('signer', base58btc.encode(opened.keyId), vector.signer)
}
