// See ../signed.mjs.
export { accept, outputs } from '../signed.mjs'
