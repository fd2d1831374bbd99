// Successions: an envelope whose last word names another key, which has signed that it agrees.
import { sign } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { fromHex, same, sameBytes, toHex } from '../bytes.mjs'
import { read } from './envelope.mjs'
import { privateKey } from './identity.mjs'

export const outputs = ['successor_seed_hex', 'words_hex', 'consent_hex', 'block_hex']

const wordsOf = (network, device, successor) =>
  Uint8Array.from([...Buffer.from(`cairn succession 1\0${network}\0`, 'ascii'), ...device, ...successor])

const believe = async (block) => {
  const { keyId, fields } = await read(block)
  const observations = fields.at(-1)
  same('successions', observations.filter(([kind]) => kind === 7).length, 1)
  const [kind, successor, consent] = observations.at(-1)
  same('the last word', kind, 7)
  if (toHex(successor) === toHex(keyId)) throw new Error('a key that follows itself')
  const words = wordsOf(fields[2], keyId, successor)
  if (!ed25519.verify(consent, words, successor.subarray(2), { zip215: false })) throw new Error('consent')
  return { words, consent }
}

export const accept = async (vector) => {
  const { words, consent } = await believe(fromHex(vector.block_hex))
  sameBytes('words', words, fromHex(vector.words_hex))
  sameBytes('consent', consent, fromHex(vector.consent_hex))
  const signature = sign(null, words, privateKey(fromHex(vector.successor_seed_hex)))
  sameBytes('consent signed again', Uint8Array.from(signature), consent)
}
export const refuse = ({ block_hex }) => believe(fromHex(block_hex))
