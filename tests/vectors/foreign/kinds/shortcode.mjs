// Written from the README: SHA-256 of the platform, GF(32) by tables of powers.
import { createHash } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { same } from '../bytes.mjs'

export const outputs = ['name', 'code']

const LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const powers = [1]
while (powers.length < 31) {
  const twice = powers.at(-1) * 2
  powers.push(twice < 32 ? twice : twice ^ 37)
}
const times = (a, b) => (a && b ? powers[(powers.indexOf(a) + powers.indexOf(b)) % 31] : 0)
const sum = (values) => values.reduce((total, value, place) => total ^ times(value, powers[8 - place]), 0)

export const accept = ({ name, code }) => {
  const digest = createHash('sha256').update('cairn short code 1\0').update(base58btc.decode(name)).digest()
  const bits = digest.subarray(0, 5).reduce((text, byte) => text + byte.toString(2).padStart(8, '0'), '')
  const values = bits.match(/.{5}/g).map((five) => parseInt(five, 2))
  const check = powers.concat(0).find((last) => sum([...values, last]) === 0)
  same('code', [...values, check].map((value) => LETTERS[value]).join('').match(/.{3}/g).join('-'), code)
}

export const refuse = ({ text }) => {
  const values = [...text.replaceAll('-', '')].map((letter) => LETTERS.indexOf(letter))
  same('length', values.length, 9)
  same('letters', values.includes(-1), false)
  same('sum', sum(values), 0)
}
