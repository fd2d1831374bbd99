// Everything the console says, in one place.

export const words = {
  title: "Hub console",
  skip: "To the content",
  overview: "Overview",
  devices: "Devices",
  epochs: "Epochs",
  api: "API",

  // The connection
  gone: (age: string) => `The hub does not answer. Everything below is as of ${age} ago.`,
  never: "The hub does not answer, so there is nothing to show yet.",
  retrying: "Asking again every two seconds.",
  answering: "answering",
  notAnswering: "not answering",
  noneYet: "Nothing yet.",

  // Health
  health: "Health",
  status: { ok: "Well", degraded: "Degraded", failing: "Failing" } as Record<string, string>,
  broker: "Broker",
  brokerConnected: "connected",
  brokerAway: "away",
  beacon: "Beacon age",
  beaconNever: "none relayed yet",
  queue: "Waiting",
  queueDepth: (n: string) => `${n} messages`,
  queueOldest: (age: string) => `oldest ${age}`,
  fsync: "Write to disk",
  fsyncP99: (ms: string) => `99 % within ${ms}`,
  disk: "Disk free",
  received: "Messages since start",
  receivedSince: (accepted: string) => `${accepted} accepted`,

  // Numbers
  epochNow: (n: string) => `Epoch ${n}`,
  epochEnds: (left: string) => `closes in ${left}`,
  envelopes: "Envelopes accepted",
  observations: "Observations accepted",
  everByDevices: "since the log began",
  devicesHeard: "Devices heard",
  heardOf: (heard: string, all: string) => `${heard} of ${all}`,
  heardWithin: (span: string) => `within ${span}`,

  // Verdicts
  verdicts: "Verdicts",
  verdictsScope: (epochs: number) =>
    `messages of ${epochs === 1 ? "one epoch" : `the last ${epochs} epochs`}; bars grow with the square root`,
  verdict: {
    accepted: "Accepted",
    malformed: "Malformed",
    oversize: "Too large",
    wrong_network: "Another network",
    wrong_topic: "Another device's topic",
    bad_signature: "Bad signature",
    unknown_device: "Unknown device",
    duplicate: "Duplicate",
    replay: "Replay",
    equivocation: "Equivocation",
    broken_chain: "Broken chain",
    stale_beacon: "Stale beacon",
    clock_skew: "Clock skew",
  } as Record<string, string>,
  verdictMeans: {
    accepted: "Well signed, in order and fresh: it counts.",
    malformed: "Not an envelope at all.",
    oversize: "Larger than an envelope may be.",
    wrong_network: "Made for another network.",
    wrong_topic: "Published under another device's name.",
    bad_signature: "The signature does not fit the key.",
    unknown_device: "Well signed, by a key that never enrolled here.",
    duplicate: "The very same bytes again: delivery at least once, harmless.",
    replay: "Observations that another envelope already claimed.",
    equivocation: "A second envelope under one sequence number: proof of a cloned key.",
    broken_chain: "It does not follow the envelope before it.",
    stale_beacon: "Its beacon was never relayed here, or is too old.",
    clock_skew: "Made in the future, before its own beacon, or too long ago.",
  } as Record<string, string>,
  perEpoch: "Observations accepted, epoch by epoch",
  noVerdicts: "No message has arrived yet.",

  // Places
  places: "Places",
  placesNone: "No device has said yet where it stands.",
  placesLabel: (n: number) => `Plot of ${n} device positions; the table below lists the same devices.`,
  active: "heard recently",
  silent: "silent",
  north: "N",

  // Devices
  deviceName: "Device",
  owner: "Owner",
  lastSeen: "Last seen",
  sequence: "Sequence",
  observationsColumn: "Observations",
  verdictColumn: "Verdict",
  mix: "Verdicts",
  devicesNone: "No device has enrolled yet.",
  devicesMore: "Only the first 1,000 devices are shown.",
  mixAs: (parts: string) => `Verdicts: ${parts}`,

  // Stream
  stream: "Newest observations",
  streamNone: "No observation has arrived yet.",
  streamBehind: "Catching up: newer ones follow.",
  what: "What",
  confidence: "Confidence or value",
  when: "When",
  envelope: "Envelope",
  quantity: {
    temperature_mdegc: "temperature",
    relative_humidity_ppm: "humidity",
    pressure_pa: "pressure",
    illuminance_mlux: "illuminance",
    pm2_5_ng_m3: "PM2.5",
    pm10_ng_m3: "PM10",
    pm1_ng_m3: "PM1",
    co2_ppb: "CO₂",
  } as Record<string, string>,

  stuck: "(stuck)",
  line: (n: number, isForward: boolean) => `line ${n} ${isForward ? "→" : "←"}`,
  zone: (n: number, stayed: string) => `zone ${n}, ${stayed}`,
  ownWord: { gap: "gap", health: "health", succession: "successor", other: "something new" },
  lostEnvelopes: (n: string) => `${n} envelopes lost`,
  lostObservations: (n: string) => `${n} observations lost`,
  agreed: "agreed",
  notAgreed: "not agreed",

  // Epochs
  epoch: "Epoch",
  state: "State",
  states: { open: "open", closing: "closing", closed: "closed" } as Record<string, string>,
  interval: "Interval",
  manifest: "Manifest",
  verdictsCid: "Verdict list",
  pieces: "Pieces",
  notYet: "not yet",
  ended: "Closed",
  morePieces: (n: number) => (n === 1 ? "and 1 segment" : `and ${n} segments`),
  epochsNone: "The first epoch has not begun.",
  segment: (n: number) => `Segment ${n}`,
  epochCar: "Manifest and verdicts",
  size: "Size",
  pieceCommitment: "Piece commitment",
  pinnedFiles: "Pinned files",
  pinnedNote: "Every file is named by what is inside: recompute the name and you need not trust this hub.",
  published: "Published",
  epochUnknown: "There is no such epoch.",
  recompute: "Recompute it from the log",

  // One device
  did: "Identity",
  enrolled: "Enrolled",
  position: "Position",
  positionWithin: (metres: string) => `± ${metres} m`,
  positionNone: "never said",
  messages: "Its messages",
  verdictsOfDevice: "all its messages in the log",
  messagesNone: "None yet.",
  newestOf: "Its newest observations",
  condition: "Its own words",
  conditionSaid: (age: string) => `how it says it is, ${age}; earns nothing`,
  conditionNever: "what it says it lost",
  temperature: "Chip",
  temperatureUnknown: "cannot tell",
  throttledNow: "throttled now",
  throttledBefore: "was throttled",
  frames: "Frames looked at",
  framesOf: (captured: string) => `of ${captured} captured`,
  perSecond: (n: string) => `${n}/s`,
  model: "Model",
  modelP95: (provider: string, ms: string) => `${provider}, 95 % within ${ms}`,
  modelNone: "none",
  provider: {
    cpu: "CPU",
    xnnpack: "XNNPACK",
    openvino: "OpenVINO",
    cuda: "CUDA",
    tensorrt: "TensorRT",
    other: "another engine",
  } as Record<string, string>,
  outbox: "Outbox",
  outboxEnvelopes: (n: string) => `${n} waiting`,
  outboxOldest: (size: string, age: string) => `${size}, oldest ${age}`,
  outboxEmpty: "empty",
  gaps: "Lost",
  gapsNone: "nothing",
  gapsEnvelopes: (n: string) => `${n} envelopes`,
  gapsNote: (observations: string, gaps: number) =>
    `${observations} observations, ${gaps === 1 ? "in one gap" : `in ${gaps} gaps`}`,
  clock: "Clock",
  clockSource: { unknown: "unknown", ntp: "NTP", gnss: "GNSS", free: "free-running" } as Record<string, string>,
  clockOff: (by: string, isAhead: boolean) => `${by} ${isAhead ? "ahead" : "behind"}`,
  uptime: "Running for",
  successor: "Goes on as",
  received_at: "Received",
  block: "Block",
  back: "Back to the overview",
};

export const verdictWord = (slug: string): string => words.verdict[slug] ?? slug.replaceAll("_", " ");

/** How a verdict is coloured: paid, harmless, to look at, or evidence of cheating. */
export function verdictTone(slug: string): "good" | "plain" | "warn" | "bad" {
  if (slug === "accepted") return "good";
  if (slug === "duplicate") return "plain";
  return ["equivocation", "replay", "bad_signature", "wrong_topic"].includes(slug) ? "bad" : "warn";
}

const UNITS: Record<string, [number, string, number]> = {
  temperature_mdegc: [1_000, "°C", 1],
  relative_humidity_ppm: [10_000, "%", 1],
  pressure_pa: [100, "hPa", 1],
  illuminance_mlux: [1_000, "lx", 0],
  pm2_5_ng_m3: [1_000, "µg/m³", 1],
  pm10_ng_m3: [1_000, "µg/m³", 1],
  pm1_ng_m3: [1_000, "µg/m³", 1],
  co2_ppb: [1_000, "ppm", 0],
};

/** A sensor's value in the unit people use. */
export function readingWord(quantity: string, value: number): string {
  const unit = UNITS[quantity];
  return unit === undefined ? String(value) : `${(value / unit[0]).toFixed(unit[2])} ${unit[1]}`;
}

export const degrees = (mdegc: number): string => readingWord("temperature_mdegc", mdegc);
