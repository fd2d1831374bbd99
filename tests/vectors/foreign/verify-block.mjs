// node verify-block.mjs < BLOCK: open one signed block (binary, on stdin) with foreign parts only; see signed.mjs.
// On stdout one JSON line with its signer, CID and payload; exit status 1 and a sentence on stderr if it is not one.
import { readFileSync } from 'node:fs'
import * as dagCbor from '@ipld/dag-cbor'
import { base58btc } from 'multiformats/bases/base58'
import { cidOf, toHex } from './bytes.mjs'
import { open } from './signed.mjs'

if (process.argv.length > 2) {
  console.error('usage: node verify-block.mjs < BLOCK   for example: curl -s GATEWAY/ipfs/CID?format=raw | node verify-block.mjs')
  process.exit(process.argv[2] === '--help' ? 0 : 2)
}
const block = Uint8Array.from(readFileSync(0))
try {
  const { keyId, payload } = await open(block)
  const cid = cidOf(block, dagCbor.code).toString()
  console.log(JSON.stringify({ signer: base58btc.encode(keyId), cid, payload_hex: toHex(payload) }))
} catch (error) {
  console.error(`not a block whose signature fits: ${error.message}`)
  process.exit(1)
}
