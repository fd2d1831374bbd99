// Trees of claims with @openzeppelin/merkle-tree; the second preimage with @noble/hashes.
import { keccak_256 } from '@noble/hashes/sha3.js'
import { StandardMerkleTree } from '@openzeppelin/merkle-tree'
import { fromHex, same, toHex } from '../bytes.mjs'

export const outputs = ['leaves', 'leaf_hashes', 'root', 'proofs']

export const accept = ({ leaf_types, leaves, leaf_hashes, root, proofs }) => {
  const tree = StandardMerkleTree.of(leaves, leaf_types)
  same('root', tree.root, root)
  same('root of the leaves in reverse', StandardMerkleTree.of([...leaves].reverse(), leaf_types).root, root)
  leaves.forEach((leaf, place) => {
    same('leaf hash', tree.leafHash(leaf), leaf_hashes[place])
    same('proof', JSON.stringify(tree.getProof(place)), JSON.stringify(proofs[place]))
    same('verified', StandardMerkleTree.verify(root, leaf_types, leaf, proofs[place]), true)
  })
  same('number of proofs', proofs.length, leaves.length)
}

export const refuse = ({ root, leaf, proof }, { leaf_types }) =>
  same('verified', StandardMerkleTree.verify(root, leaf_types, leaf, proof), true)

/** The attack is real where leaves are hashed once, and fails where they are hashed twice. */
export const whole = ({ second_preimage }) => {
  if (second_preimage === undefined) return
  const { root, leaf_abi_hex, proof } = second_preimage
  const halves = [`0x${leaf_abi_hex.slice(0, 64)}`, `0x${leaf_abi_hex.slice(64)}`]
  same('hashed once', `0x${toHex(keccak_256(fromHex(leaf_abi_hex)))}`, root)
  same('hashed twice', StandardMerkleTree.verify(root, ['bytes32', 'bytes32'], halves, proof), false)
}
