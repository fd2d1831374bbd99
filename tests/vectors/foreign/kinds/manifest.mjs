// What an epoch publishes: plain DAG-CBOR blocks.
import * as dagCbor from '@ipld/dag-cbor'
import { cidOf, fromHex, same } from '../bytes.mjs'
import { accept as acceptValue } from './dagcbor.mjs'

export const outputs = ['value_dag_json', 'block_hex', 'cid']

export const accept = ({ value_dag_json, block_hex, cid }) => {
  acceptValue({ value_dag_json, hex: block_hex })
  same('cid', cidOf(fromHex(block_hex), dagCbor.code).toString(), cid)
}
