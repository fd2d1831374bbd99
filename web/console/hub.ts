// The hub's API as this page uses it. Meanings and units: GET /openapi.json.

import { getJson } from "../shared/api";
import { flag, list, maybe, object, real, record, text, whole, type Reader, type Shape } from "../shared/shape";

const page = <T>(row: Reader<T>) => object({ rows: list(row), after: maybe(text) });

const health = object({
  status: text,
  reasons: list(text),
  version: text,
  now_ms: whole,
  oldest_unacknowledged_ms: whole,
  queue_depth: whole,
  received: whole,
  accepted: whole,
  dropped: whole,
  rejected_by_reason: record(whole),
  fsync_ms_p50: real,
  fsync_ms_p99: real,
  index_failures: whole,
  broker_connected: flag,
  last_beacon_age_ms: maybe(whole),
  disk_free_bytes: whole,
});

const network = object({
  network: text,
  hub: text,
  hub_name: text,
  genesis_ms: whole,
  epoch_ms: whole,
  epoch: whole,
  broker: object({ host: text, port: whole }),
});

const deviceMembers = {
  name: text,
  did: text,
  owner: text,
  enrolled_at_ms: whole,
  last_seen_ms: whole,
  highest_sequence: whole,
  envelopes: whole,
  observations: whole,
};
const position = object({ lat_udeg: whole, lon_udeg: whole, accuracy_mm: maybe(whole) });
const device = object(deviceMembers);
/** How a device says it is; what this page shows of it. */
const condition = object({
  measured_at_ms: whole,
  uptime_s: whole,
  captured_mfps: whole,
  analysed_mfps: whole,
  inference_p50_us: whole,
  inference_p95_us: whole,
  provider: text,
  outbox_envelopes: whole,
  outbox_bytes: whole,
  outbox_oldest_s: whole,
  soc_mdegc: maybe(whole),
  throttled_bits: maybe(whole),
  clock_source: text,
  clock_offset_ms: maybe(whole),
});
const lost = object({ gaps: whole, envelopes: whole, observations: whole });
const deviceDetail = object({
  ...deviceMembers,
  verdicts: record(whole),
  position: maybe(position),
  health: maybe(condition),
  lost,
  successor: maybe(text),
});

const observation = object({
  device: text,
  epoch: whole,
  envelope: text,
  verdict: text,
  observed: (value, at) => {
    switch (object({ kind: text })(value, at).kind) {
      case "track":
        return track(value, at);
      case "reading":
        return reading(value, at);
      case "crossing":
        return crossing(value, at);
      case "stay":
        return stay(value, at);
      case "gap":
        return gap(value, at);
      case "health":
        return ownHealth(value, at);
      case "succession":
        return succession(value, at);
      default:
        return other(value, at);
    }
  },
});
const track = object({
  kind: (): "track" => "track",
  class_name: text,
  first_seen_ms: whole,
  last_seen_ms: whole,
  confidence_ppm: whole,
});
const reading = object({
  kind: (): "reading" => "reading",
  quantity: text,
  measured_at_ms: whole,
  value: whole,
  flags: list(text),
});
const crossing = object({
  kind: (): "crossing" => "crossing",
  class_name: text,
  line: whole,
  is_forward: flag,
  crossed_at_ms: whole,
});
const stay = object({
  kind: (): "stay" => "stay",
  class_name: text,
  zone: whole,
  entered_at_ms: whole,
  left_at_ms: whole,
});
const gap = object({ kind: (): "gap" => "gap", envelopes: whole, observations: whole, until_ms: whole });
const ownHealth = object({ kind: (): "health" => "health", measured_at_ms: whole, soc_mdegc: maybe(whole) });
const succession = object({ kind: (): "succession" => "succession", is_agreed: flag, declared_at_ms: whole });
/** Of a newer hub than this page. */
const other = object({ kind: (): "other" => "other" });

const verdictLine = object({
  digest: text,
  cid: maybe(text),
  verdict: text,
  received_at_ms: whole,
  epoch: whole,
  device: maybe(text),
  sequence: whole,
  observations: whole,
});

const pinned = object({ car: text, piece: text, size_bytes: whole });
const epoch = object({
  epoch: whole,
  started_at_ms: whole,
  ended_at_ms: whole,
  state: text,
  manifest: maybe(text),
  verdicts: maybe(text),
  segments: list(pinned),
  epoch_car: maybe(pinned),
  counts: record(whole),
  envelopes: whole,
  observations: whole,
});

export type Health = Shape<typeof health>;
export type Network = Shape<typeof network>;
export type Device = Shape<typeof device>;
export type DeviceDetail = Shape<typeof deviceDetail>;
export type Condition = Shape<typeof condition>;
export type Lost = Shape<typeof lost>;
export type Observation = Shape<typeof observation>;
export type Observed = Observation["observed"];
export type VerdictLine = Shape<typeof verdictLine>;
export type Pinned = Shape<typeof pinned>;
export type Epoch = Shape<typeof epoch>;
export interface Page<T> {
  rows: T[];
  after: string | null;
}

type Query = Record<string, string | number | null>;

function at(path: string, query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== null);
  return `${path}?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
}

export const hub = {
  health: () => getJson("/v1/health", health),
  network: () => getJson("/v1/network", network),
  devices: (query: Query) => getJson(at("/v1/devices", query), page(device)),
  device: (name: string) => getJson(`/v1/devices/${encodeURIComponent(name)}`, deviceDetail),
  observations: (query: Query) => getJson(at("/v1/observations", query), page(observation)),
  verdicts: (query: Query) => getJson(at("/v1/verdicts", query), page(verdictLine)),
  epochs: (query: Query) => getJson(at("/v1/epochs", query), page(epoch)),
  epoch: (number: number) => getJson(`/v1/epochs/${number}`, epoch),
};

/** Where the bytes behind a CID are. */
export const blockUrl = (cid: string): string => `/ipfs/${cid}?format=raw`;
export const carUrl = (cid: string): string => `/ipfs/${cid}?format=car`;
export const pieceUrl = (piece: string): string => `/piece/${piece}`;
