// What both pages say. One catalogue a page, and this one for the parts they share.

export const words = {
  unreachable: "No answer: the server is stopped or the connection is down.",
  refused: (status: number) => `The server refused with status ${status}.`,
  lastKnown: (age: string) => `(last known ${age} ago)`,
  unreadable: (why: string) => `The server's answer cannot be read: ${why}.`,
  nodeRefused: (said: string) => `The chain's node did not answer the question: ${said}`,
  ago: (age: string) => `${age} ago`,
  inFuture: (age: string) => `in ${age}`,
  asOf: (age: string) => `as of ${age} ago`,
  live: "live",
  loading: "asking…",
  copy: (what: string) => `Copy ${what}`,
  copied: "Copied",
  units: { ms: "ms", s: "s", min: "min", h: "h", d: "d" },
};
