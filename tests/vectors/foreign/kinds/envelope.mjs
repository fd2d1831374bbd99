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
const maybe = (member) => (value) => value === null || member(value)
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
const signed = int(-MOST, MOST)
const plainReading = record(int(2, 2), int(1, 8), millis, signed, counter)
const flaggedReading = record(int(2, 2), int(1, 8), millis, signed, counter, int(1, 1))
const reading = (value) => (value.length === 6 ? flaggedReading : plainReading)(value)
const crossing = record(int(3, 3), counter, int(0, 79), int(0, 31), bool, millis, ppm)
const stay = record(int(4, 4), counter, int(0, 79), int(0, 31), millis, millis, ppm)
const gap = record(int(5, 5), int(1, 4), counter, counter, counter, counter, millis, millis)
const health = record(
  int(6, 6), millis, counter, counter, counter, counter, counter, counter, ppm, int(0, 6), counter, counter, counter,
  counter, counter, counter, counter, counter, counter, counter, maybe(int(0, 10_000_000)),
  maybe(int(-273_150, 1_000_000)), maybe(int(0, 2 ** 32 - 1)), int(0, 3), maybe(signed), counter, maybe(int(0, 3)),
  maybe(int(0, 255)), maybe(int(0, 1_000_000)), counter, counter,
)
const succession = record(int(7, 7), bytes(34, 34), bytes(64, 64))

const KINDS = [track, reading, crossing, stay, gap, health, succession]
const inOrder = (value, ...places) =>
  places.forEach((place) => refuseUnless(value[place] <= value[place + 1], 'something that ends before it begins'))
const TIES = {
  1: (value) => inOrder(value, 3),
  4: (value) => inOrder(value, 4),
  5: (value) => {
    const [, , envelopes, observations, first, last] = value
    inOrder(value, 4, 6)
    refuseUnless((envelopes === 0) === (first === 0) && (envelopes === 0) === (last === 0), 'sequences of nothing')
    refuseUnless(envelopes <= last - first + 1, 'more envelopes than sequences')
    refuseUnless(envelopes + observations > 0, 'a gap of nothing')
  },
  7: (value) => refuseUnless(value[1][0] === 0xed && value[1][1] === 0x01, 'kind of key'),
}
const observation = (value) => {
  const kind = Array.isArray(value) && Number.isInteger(value[0]) ? KINDS[value[0] - 1] : undefined
  refuseUnless(kind, 'kind of observation')
  kind(value)
  TIES[value[0]]?.(value)
}
const observations = (value) => {
  refuseUnless(Array.isArray(value) && value.length <= 256, 'number of observations')
  value.forEach(observation)
}
const envelope = record(
  int(1, 1), int(1, 1), text(/^[a-z0-9][a-z0-9-]{0,30}$/), counter, int(1, MOST), digest, record(counter, digest),
  digest, text(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,30}$/), position, millis, observations,
)

/** Return {keyId, fields}; throw unless it is an envelope. */
export const read = async (block) => {
  const { keyId, payload } = await open(block)
  const fields = dagCbor.decode(payload)
  sameBytes('payload written again', dagCbor.encode(fields), payload)
  // A float of a whole value reads as an integer here; written again it is one, so it was refused above.
  envelope(fields)
  refuseUnless((fields[4] === 1) === fields[5].every((byte) => byte === 0), 'previous')
  return { keyId, fields }
}

export const accept = async (vector) => {
  await acceptSigned(vector)
  await read(fromHex(vector.block_hex))
}
export const refuse = ({ block_hex }) => read(fromHex(block_hex))
