// CIDs with multiformats; digests with the platform's SHA-256.
import { CID } from 'multiformats/cid'
import { cidOf, fromHex, same, sameBytes } from '../bytes.mjs'

export const outputs = ['codec', 'block_hex', 'cid_hex', 'cid']

export const accept = (vector) => {
  const cid = cidOf(fromHex(vector.block_hex), vector.codec)
  same('text', cid.toString(), vector.cid)
  sameBytes('bytes', cid.bytes, fromHex(vector.cid_hex))
  same('parsed', CID.parse(vector.cid).equals(CID.decode(fromHex(vector.cid_hex))), true)
}

export const refuse = ({ text }) => {
  const cid = CID.parse(text)
  same('version', cid.version, 1)
  // Decoded anew: a parsed CID remembers the text it came from.
  same('canonical text', CID.decode(cid.bytes).toString(), text)
}
