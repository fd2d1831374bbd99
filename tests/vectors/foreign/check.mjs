// node check.mjs KIND [FOLDER]: check the vectors of one kind with foreign implementations.
// Every valid case must be accepted, must be refused once any one of its outputs is corrupted, and every invalid case
// must be refused. One JSON line with the counts on stdout; exit status 1 and the first difference on stderr.
import { existsSync, readFileSync } from 'node:fs'

const [kind, folder = new URL('..', import.meta.url).pathname] = process.argv.slice(2)
if (!kind || kind.startsWith('-')) {
  console.error('usage: node check.mjs KIND [FOLDER]   for example: node check.mjs envelope')
  process.exit(kind === '--help' ? 0 : 2)
}

const load = (name) => {
  const path = `${folder}/${kind}/${name}.json`
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { cases: [] }
}

const refuses = async (attempt) => {
  try {
    await attempt()
    return false
  } catch {
    return true
  }
}

// Change one character in the middle: another letter or digit, so that the text keeps its form.
const corruptText = (text) => {
  if (text.length === 0) return '00'
  const at = Math.floor(text.length / 2)
  const letter = text[at] === '3' ? '4' : '3'
  return text.slice(0, at) + letter + text.slice(at + 1)
}
const corrupt = (value) => {
  if (typeof value === 'number') return value + 1
  if (typeof value === 'string') return corruptText(value)
  if (typeof value === 'boolean') return !value
  if (Array.isArray(value)) return value.length === 0 ? [corruptText('')] : [...value.slice(0, -1), corrupt(value.at(-1))]
  if (value === null) return 0
  const name = Object.keys(value).at(-1)
  return { ...value, [name]: corrupt(value[name]) }
}

const check = await import(`./kinds/${kind}.mjs`)
const [valid, invalid] = [load('valid'), load('invalid')]
const counts = { kind, valid: 0, corrupted: 0, invalid: 0 }

const fail = (sentence) => {
  console.error(`${kind}: ${sentence}`)
  process.exit(1)
}

for (const [place, vector] of valid.cases.entries()) {
  await Promise.resolve()
    .then(() => check.accept(vector, valid))
    .catch((error) => fail(`valid case ${place} (${vector.says ?? ''}): ${error.message}`))
  counts.valid += 1
  if (check.corruptible && !check.corruptible(vector)) continue
  for (const name of check.outputs) {
    const wrong = { ...vector, [name]: corrupt(vector[name]) }
    if (!(await refuses(() => check.accept(wrong, valid)))) fail(`valid case ${place}: a corrupted ${name} went unnoticed`)
    counts.corrupted += 1
  }
}
for (const [place, vector] of invalid.cases.entries()) {
  if (!(await refuses(() => check.refuse(vector, invalid)))) fail(`invalid case ${place} was accepted: ${vector.says}`)
  counts.invalid += 1
}
if (check.whole) await Promise.resolve().then(() => check.whole(invalid)).catch((error) => fail(error.message))

console.log(JSON.stringify(counts))
