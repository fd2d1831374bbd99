// CAR files with @ipld/car, which checks no hash and no canonical form: hashes are checked and the file is written again.
import { CarIndexer } from '@ipld/car/indexer'
import { CarWriter } from '@ipld/car/writer'
import { CID } from 'multiformats/cid'
import { cidOf, fromHex, same, sameBytes } from '../bytes.mjs'

export const outputs = ['car_hex', 'root', 'blocks', 'end_offset', 'car_cid']

const CAR_CODEC = 0x0202

const rewrite = async (root, blocks) => {
  const { writer, out } = CarWriter.create([root])
  const parts = []
  const drained = (async () => {
    for await (const part of out) parts.push(part)
  })()
  for (const block of blocks) await writer.put(block)
  await writer.close()
  await drained
  return Buffer.concat(parts)
}

const read = async (file) => {
  const indexer = await CarIndexer.fromBytes(file)
  const roots = await indexer.getRoots()
  same('version', indexer.version, 1)
  same('roots', roots.length, 1)
  const blocks = []
  for await (const { cid, blockOffset, blockLength } of indexer) {
    const bytes = file.subarray(blockOffset, blockOffset + blockLength)
    same('length at the end of the file', bytes.length, blockLength)
    same('hash', cidOf(bytes, cid.code).toString(), cid.toString())
    blocks.push({ cid, bytes, offset: blockOffset })
  }
  sameBytes('written again', await rewrite(roots[0], blocks), file)
  return { root: roots[0], blocks }
}

export const accept = async (vector) => {
  const file = fromHex(vector.car_hex)
  const { root, blocks } = await read(file)
  same('root', root.toString(), vector.root)
  same('number of blocks', blocks.length, vector.blocks.length)
  blocks.forEach(({ cid, bytes, offset }, place) => {
    const expected = vector.blocks[place]
    same('cid', cid.toString(), expected.cid)
    same('offset', offset, expected.offset)
    same('length', bytes.length, expected.length)
    sameBytes('block', bytes, fromHex(expected.block_hex))
  })
  same('end', file.length, vector.end_offset)
  same('car cid', cidOf(file, CAR_CODEC).toString(), vector.car_cid)
  const rebuilt = vector.blocks.map(({ cid, block_hex }) => ({ cid: CID.parse(cid), bytes: fromHex(block_hex) }))
  sameBytes('built from blocks', await rewrite(CID.parse(vector.root), rebuilt), file)
}

export const refuse = ({ car_hex }) => read(fromHex(car_hex))

/** What is said to be whole is whole: the wrong thing comes after it. */
export const whole = async ({ cases }) => {
  for (const { car_hex, end_offset } of cases)
    if (end_offset !== null) await read(fromHex(car_hex).subarray(0, end_offset))
}
