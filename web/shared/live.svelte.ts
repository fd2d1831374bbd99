// Values that are asked for again and again. A failure never replaces the last good value; it only makes it older.

import { sentenceOf } from "./api";

const TICK_MS = 500;

/** Milliseconds since the page was opened, moving on twice a second, for everything that shows an age. */
class Ticker {
  now = $state(performance.now());

  constructor() {
    setInterval(() => (this.now = performance.now()), TICK_MS);
  }
}

export const ticker = new Ticker();

/** One value from the server: the last good one, when it came, and what is wrong now, if anything is. */
export class Live<T> {
  value = $state.raw<T>();
  problem = $state<string>();
  #receivedAt = $state(0);

  /** Milliseconds since `value` arrived. */
  get ageMs(): number {
    return Math.max(0, ticker.now - this.#receivedAt);
  }

  /** Whether `value` is one to distrust: there is one, but asking again failed. */
  get isStale(): boolean {
    return this.value !== undefined && this.problem !== undefined;
  }

  async refresh(ask: () => Promise<T>): Promise<void> {
    try {
      this.value = await ask();
      this.#receivedAt = performance.now();
      this.problem = undefined;
    } catch (error) {
      this.problem = sentenceOf(error);
    }
  }
}

/** Run `round` at once and then every `periodMs`, never two at a time, not while nobody looks. Returns the stop. */
export function every(periodMs: number, round: () => Promise<void>): () => void {
  let stopped = false;
  let timer = 0;
  const run = async (): Promise<void> => {
    const begun = performance.now();
    if (!document.hidden) await round();
    if (!stopped) timer = window.setTimeout(run, Math.max(100, periodMs - (performance.now() - begun)));
  };
  void run();
  return () => {
    stopped = true;
    window.clearTimeout(timer);
  };
}
