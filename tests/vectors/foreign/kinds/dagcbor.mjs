// DAG-CBOR with @ipld/dag-cbor, values written as @ipld/dag-json. Its decoder is lax: what it reads is written again.
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import { fromHex, same, toHex } from '../bytes.mjs'

export const outputs = ['value_dag_json', 'hex']

const canonical = (hex) => same('written again', toHex(dagCbor.encode(dagCbor.decode(fromHex(hex)))), hex)

export const accept = ({ value_dag_json, hex }) => {
  const value = dagJson.decode(new TextEncoder().encode(value_dag_json))
  same('encoding', toHex(dagCbor.encode(value)), hex)
  canonical(hex)
}

export const refuse = ({ hex, valid_dag_cbor }) => {
  if (valid_dag_cbor) throw new Error("refused by Cairn's own, narrower rule alone; see `whole`")
  canonical(hex)
}

/** What is said to be DAG-CBOR elsewhere is. */
export const whole = ({ cases }) => cases.filter((vector) => vector.valid_dag_cbor).forEach(({ hex }) => canonical(hex))
