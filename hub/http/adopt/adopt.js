// Makes an adoption in the owner's browser. The secret comes in the fragment of the address, which is never sent, is
// used for one HMAC and leaves this page in no other form. The form of everything: tests/vectors/README.md.
'use strict'

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const ASK_EVERY_MS = 2000
const ASK_TIMES = 150

const at = (id) => document.getElementById(id)
const show = (id, text) => {
  at(id).textContent = text
  at(id).hidden = false
}
const stopWith = (sentence) => {
  at('form').hidden = true
  show('problem', sentence)
}

const text = new TextEncoder()
const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16))
const joined = (...parts) => new Uint8Array(parts.flatMap((part) => Array.from(part)))

// The 34 bytes of the key id in did:key:z...; null if it is none.
const keyId = (did) => {
  const found = /^did:key:z([1-9A-HJ-NP-Za-km-z]{40,60})$/.exec(did ?? '')
  if (!found) return null
  let number = 0n
  for (const letter of found[1]) number = number * 58n + BigInt(BASE58.indexOf(letter))
  const hex = number.toString(16).padStart(68, '0')
  return hex.length === 68 && hex.startsWith('ed01') ? fromHex(hex) : null
}

const shortCode = async (key) => {
  const message = joined(text.encode('cairn short code 1\0'), key)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', message))
  const bits = Array.from(digest.subarray(0, 5), (byte) => byte.toString(2).padStart(8, '0')).join('')
  const values = bits.match(/.{5}/g).map((five) => parseInt(five, 2))
  const doubled = (value) => (value & 16 ? (value << 1) ^ 37 : value << 1)
  values.push(values.reduce((total, value) => doubled(total ^ value), 0))
  return values.map((value) => CROCKFORD[value]).join('').match(/.{3}/g).join('-')
}

const tagOf = async (link, owner) => {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const secret = await crypto.subtle.importKey('raw', fromHex(link.secret), algorithm, false, ['sign'])
  const head = text.encode(`cairn adoption 1\0${link.network}\0`)
  return toHex(new Uint8Array(await crypto.subtle.sign('HMAC', secret, joined(head, link.key, owner))))
}

const readLink = () => {
  const said = new URLSearchParams(location.hash.slice(1))
  const [device, network, secret] = ['device', 'network', 'secret'].map((name) => said.get(name))
  const key = keyId(device)
  const isWhole = key && /^[a-z0-9][a-z0-9-]{0,30}$/.test(network ?? '') && /^[0-9a-f]{32}$/.test(secret ?? '')
  return isWhole ? { device, network, secret, key } : null
}

const say = async (answer) => (await answer.json().catch(() => null))?.detail ?? `the hub answered ${answer.status}`

const pause = () => new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))

// The device enrolls once it has heard; the list of messages answers without an error before that.
const awaitEnrollment = async (link, owner) => {
  const name = link.device.replace('did:key:', '')
  for (let times = 0; times < ASK_TIMES; times += 1) {
    const heard = await fetch(`/v1/verdicts?device=${name}&verdict=accepted&limit=1`).then((answer) => answer.json())
    if (heard.rows.length > 0) {
      const device = await fetch(`/v1/devices/${name}`).then((answer) => answer.json())
      if (device.owner === owner) return true
    }
    await pause()
  }
  return false
}

const adopt = async (link, owner) => {
  const body = JSON.stringify({ device: link.device, owner, tag: await tagOf(link, fromHex(owner.slice(2))) })
  const headers = { 'Content-Type': 'application/json' }
  const answer = await fetch('/v1/adoptions', { method: 'POST', headers, body })
  if (!answer.ok) throw new Error(await say(answer))
  show('state', 'Sent. The device hears it as soon as it is connected and running.')
  at('state').dataset.state = 'sent'
  if (await awaitEnrollment(link, owner)) {
    show('state', `Done: the device is enrolled and names ${owner} as its owner. Now put up its bond.`)
    at('state').dataset.state = 'enrolled'
  } else {
    show('state', 'Sent, but the device has not enrolled yet. Check that it is running, then open its QR code again.')
  }
}

const begin = async () => {
  const link = readLink()
  if (!link) return stopWith("This page needs the link in a device's QR code. Scan the code, or open the link as a whole.")
  // The secret has no place in the history of the browser.
  history.replaceState(null, '', location.pathname)
  if (!globalThis.crypto?.subtle) {
    return stopWith('This browser makes no proof over an unprotected line. Open the page by https://, or run: cairn-edge adopt-for')
  }
  const network = await fetch('/v1/network').then((answer) => answer.json())
  if (network.network !== link.network) {
    return stopWith(`The device belongs to the network ${link.network}, this hub to ${network.network}.`)
  }
  at('code').textContent = await shortCode(link.key)
  at('device').textContent = link.device
  at('network').textContent = link.network
  at('form').hidden = false
  at('form').addEventListener('submit', async (event) => {
    event.preventDefault()
    at('form').querySelector('button').disabled = true
    at('problem').hidden = true
    try {
      await adopt(link, at('owner').value.trim().toLowerCase())
    } catch (error) {
      show('problem', `It did not work: ${error.message}. Try again.`)
      at('form').querySelector('button').disabled = false
    }
  })
}

begin().catch((error) => stopWith(`The hub does not answer: ${error.message}. Try again later.`))
