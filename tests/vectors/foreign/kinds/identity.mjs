// Ed25519 with the platform's OpenSSL; names with multiformats' base58btc.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { fromHex, same, sameBytes, toHex } from '../bytes.mjs'

export const outputs = ['seed_hex', 'public_key_hex', 'key_id_hex', 'name', 'did', 'message_hex', 'signature_hex']

const PKCS8_HEAD = '302e020100300506032b657004220420'

export const privateKey = (seed) =>
  createPrivateKey({ key: Buffer.from(PKCS8_HEAD + toHex(seed), 'hex'), format: 'der', type: 'pkcs8' })

export const rawPublicKey = (seed) =>
  fromHex(Buffer.from(createPublicKey(privateKey(seed)).export({ format: 'jwk' }).x, 'base64url').toString('hex'))

export const accept = (vector) => {
  const seed = fromHex(vector.seed_hex)
  const raw = rawPublicKey(seed)
  const keyId = new Uint8Array([0xed, 0x01, ...raw])
  sameBytes('public key', raw, fromHex(vector.public_key_hex))
  sameBytes('key id', keyId, fromHex(vector.key_id_hex))
  same('name', base58btc.encode(keyId), vector.name)
  same('did', `did:key:${base58btc.encode(keyId)}`, vector.did)
  sameBytes('signature', sign(null, fromHex(vector.message_hex), privateKey(seed)), fromHex(vector.signature_hex))
}

export const refuse = ({ text }) => {
  const raw = base58btc.decode(text)
  same('length', raw.length, 34)
  sameBytes('prefix', raw.subarray(0, 2), new Uint8Array([0xed, 0x01]))
  same('canonical text', base58btc.encode(raw), text)
}
