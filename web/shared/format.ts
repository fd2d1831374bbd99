// Numbers as people read them. Nothing here rounds an amount up.

import { words } from "./words";

const GROUPED = new Intl.NumberFormat("en");
const WEI_DIGITS = 18;
const SHOWN_DECIMALS = 4;

export function count(value: number): string {
  return GROUPED.format(value);
}

/** A span of time in its largest sensible unit; negative spans count as none. */
export function span(ms: number): string {
  const { units } = words;
  const s = Math.max(0, ms) / 1_000;
  if (s < 60) return `${Math.floor(s)} ${units.s}`;
  if (s < 3_600) return `${Math.floor(s / 60)} ${units.min}`;
  if (s < 48 * 3_600) return `${Math.floor(s / 3_600)} ${units.h} ${Math.floor((s % 3_600) / 60)} ${units.min}`;
  return `${Math.floor(s / 86_400)} ${units.d}`;
}

/** How long ago, or how far ahead a clock that runs fast claims to be. */
export function ago(ageMs: number): string {
  return ageMs < -1_000 ? words.inFuture(span(-ageMs)) : words.ago(span(ageMs));
}

export function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ${words.units.ms}`;
}

export function bytes(size: number): string {
  const steps = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = size < 1 ? 0 : Math.min(steps.length - 1, Math.floor(Math.log2(size) / 10));
  const scaled = size / 2 ** (10 * step);
  return `${step === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${steps[step]}`;
}

export function percent(ppm: number): string {
  return `${(ppm / 10_000).toFixed(ppm >= 1_000_000 ? 0 : 1)} %`;
}

/** Date and time in the reader's zone, to the second. */
export function moment(unixMs: number): string {
  return new Date(unixMs).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** The time of day in the reader's zone. */
export function timeOfDay(unixMs: number): string {
  return new Date(unixMs).toLocaleTimeString("en-GB");
}

/** An amount in tokens with all its digits: 1500000000000000000n is "1.5". */
export function tokensExactly(amountWei: bigint): string {
  const digits = amountWei.toString().padStart(WEI_DIGITS + 1, "0");
  const whole = GROUPED.format(BigInt(digits.slice(0, -WEI_DIGITS)));
  const decimals = digits.slice(-WEI_DIGITS).replace(/0+$/, "");
  return decimals === "" ? whole : `${whole}.${decimals}`;
}

/** An amount in tokens, cut (never rounded) after four decimals; "…" says that digits follow. */
export function tokens(amountWei: bigint): string {
  const [whole = "0", decimals = ""] = tokensExactly(amountWei).split(".");
  if (decimals.length <= SHOWN_DECIMALS) return decimals === "" ? whole : `${whole}.${decimals}`;
  return `${whole}.${decimals.slice(0, SHOWN_DECIMALS)}…`;
}

/** Both ends of a long name. */
export function short(name: string, head = 8, tail = 6): string {
  return name.length <= head + tail + 1 ? name : `${name.slice(0, head)}…${name.slice(-tail)}`;
}
