// When a device counts as heard.

export const HEARD_WITHIN_MS = 60_000;

export const isHeard = (device: { last_seen_ms: number }, hubNowMs: number): boolean =>
  hubNowMs - device.last_seen_ms <= HEARD_WITHIN_MS;
