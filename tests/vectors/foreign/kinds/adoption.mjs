// HMAC with the platform's OpenSSL; links with the platform's URL; CBOR with cborg.
import { createHmac } from 'node:crypto'
import { decode, encode } from 'cborg'
import { base58btc } from 'multiformats/bases/base58'
import { fromHex, same, sameBytes, toHex } from '../bytes.mjs'

export const outputs = ['link', 'owner_hex', 'tag_hex', 'fields', 'payload_hex']

const ascii = (text) => new TextEncoder().encode(text)

export const accept = (vector) => {
  const url = new URL(vector.link)
  same('page', url.origin + url.pathname, 'https://hub.example/adopt')
  const said = new URLSearchParams(url.hash.slice(1))
  const network = said.get('network')
  const device = base58btc.decode(said.get('device').replace(/^did:key:/, ''))
  same('length of the secret', fromHex(said.get('secret')).length, 16)
  const owner = fromHex(vector.owner_hex)
  const message = Buffer.concat([ascii('cairn adoption 1\0'), ascii(network), Buffer.of(0), device, owner])
  const tag = createHmac('sha256', fromHex(said.get('secret'))).update(message).digest('hex')
  same('tag', tag, vector.tag_hex)
  const { kind, version, ...rest } = vector.fields
  same('kind', kind, 8)
  same('version', version, 1)
  same('fields', JSON.stringify(rest), JSON.stringify({ network, device: toHex(device), owner: vector.owner_hex, tag }))
  sameBytes('payload', encode([8, 1, network, device, owner, fromHex(tag)]), fromHex(vector.payload_hex))
}

export const refuse = ({ payload_hex }) => {
  const raw = fromHex(payload_hex)
  const fields = decode(raw, { strict: true })
  same('members', fields.length, 6)
  const [kind, version, network, device, owner, tag] = fields
  same('kind and version', `${kind} ${version}`, '8 1')
  same('network', /^[a-z0-9][a-z0-9-]{0,30}$/.test(network), true)
  same('device', device.length === 34 && device[0] === 0xed && device[1] === 0x01, true)
  same('owner', owner instanceof Uint8Array && owner.length, 20)
  same('tag', tag instanceof Uint8Array && tag.length, 32)
  sameBytes('the one encoding', encode(fields), raw)
}
