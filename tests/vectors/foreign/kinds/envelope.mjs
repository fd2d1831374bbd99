// Envelopes: the signed block of ../signed.mjs, and the closed schema as the README beside the vectors states it.
import * as dagCbor from '@ipld/dag-cbor'
import { fromHex, sameBytes } from '../bytes.mjs'
import { accept as acceptSigned, open, outputs } from '../signed.mjs'

export { outputs }

const MOST = Number.MAX_SAFE_INTEGER // 2**53 - 1
const refuseUnless = (holds, what) => {
  if (!holds) throw new Error(`schema: ${what}`)
}
const int = (least, most) => (value) =>
  refuseUnless(typeof value === 'number' && Number.isInteger(value) && least <= value && value <= most, `${value}`)
const bytes = (least, most) => (value) =>
  refuseUnless(value instanceof Uint8Array && least <= value.length && value.length <= most, 'bytes')
const text = (pattern) => (value) => refuseUnless(typeof value === 'string' && pattern.test(value), `${value}`)
const bool = (value) => refuseUnless(typeof value === 'boolean', `${value}`)
const record = (...members) => (value) => {
  refuseUnless(Array.isArray(value) && value.length === members.length, 'number of fields')
  members.forEach((member, place) => member(value[place]))
}

const counter = int(0, MOST)
const millis = int(0, MOST)
const digest = bytes(32, 32)
const ppm = int(0, 1_000_000)
const position = record(int(-90_000_000, 90_000_000), int(-180_000_000, 180_000_000), int(0, 1e9), int(-1, 359_999))
const track = record(int(1, 1), counter, int(0, 79), millis, millis, ppm, int(1, 2 ** 32 - 1), bool, bytes(0, 32))
const reading = record(int(2, 2), int(1, 6), millis, int(-MOST, MOST), int(0, MOST))
const observation = (value) => {
  if (Array.isArray(value) && value[0] === 2) return reading(value)
  track(value)
  refuseUnless(value[3] <= value[4], 'a track that ends before it begins')
}
const observations = (value) => {
  refuseUnless(Array.isArray(value) && value.length <= 256, 'number of observations')
  value.forEach(observation)
}
const envelope = record(
  int(1, 1), int(1, 1), text(/^[a-z0-9][a-z0-9-]{0,30}$/), counter, int(1, MOST), digest, record(counter, digest),
  digest, text(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,30}$/), position, millis, observations,
)

const read = async (block) => {
  const { payload } = await open(block)
  const fields = dagCbor.decode(payload)
  sameBytes('payload written again', dagCbor.encode(fields), payload)
  // A float of a whole value reads as an integer here; written again it is one, so it was refused above.
  envelope(fields)
  refuseUnless((fields[4] === 1) === fields[5].every((byte) => byte === 0), 'previous')
}

export const accept = async (vector) => {
  await acceptSigned(vector)
  await read(fromHex(vector.block_hex))
}
export const refuse = ({ block_hex }) => read(fromHex(block_hex))
