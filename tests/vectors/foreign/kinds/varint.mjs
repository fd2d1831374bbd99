// Varints with multiformats. It is lax about minimal form, so the form is checked by writing the number again.
import { varint } from 'multiformats'
import { fromHex, same, toHex } from '../bytes.mjs'

export const outputs = ['value', 'hex']

const write = (value) => varint.encodeTo(value, new Uint8Array(varint.encodingLength(value)))

export const accept = ({ value, hex }) => {
  const raw = fromHex(hex)
  const [number, length] = varint.decode(raw)
  same('length', length, raw.length)
  same('minimal length', varint.encodingLength(BigInt(value) > 2n ** 53n ? 2 ** 62 : number), raw.length)
  if (value === undefined) return
  // Beyond 2**53 a JavaScript number keeps only the leading digits.
  same('value', number, Number(BigInt(value)))
  if (Number.isSafeInteger(number)) same('encoding', toHex(write(number)), hex)
}

export const refuse = ({ hex }) => {
  const raw = fromHex(hex)
  const [number, length] = varint.decode(raw)
  if (length > 9) throw new Error('longer than nine bytes')
  same('encoding', toHex(write(number)), hex)
}
