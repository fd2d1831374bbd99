// The newest rows of a list that the hub keeps in order of arrival. Rows never move, so a cursor stays good for ever.

import { hub, type Epoch, type Observation, type Page, type VerdictLine } from "./hub";

const ROWS_A_PAGE = 500;
const PAGES_A_ROUND = 10;
const KEPT = 60;

type Read<T> = (window: { after: string | null; limit: number }) => Promise<Page<T>>;

export class Tail<T> {
  /** Newest first. */
  rows = $state.raw<T[]>([]);
  /** Whether there is more than could be read in one round: what is shown is not the newest yet. */
  isBehind = $state(false);

  private constructor(
    private readonly read: Read<T>,
    private cursor: string | null = null,
    private beforeCursor: T[] = [], // rows up to the cursor; those behind it are read again each round
  ) {}

  /** Begin where the last epochs with enough observations begin, so that years of log are not read for a few rows. */
  static async ofObservations(newestFirst: Epoch[]): Promise<Tail<Observation>> {
    let seen = 0;
    let from: Epoch | undefined;
    for (const epoch of newestFirst) {
      if (seen >= KEPT) break;
      if (epoch.observations > 0) from = epoch;
      seen += epoch.observations;
    }
    if (from === undefined) return new Tail(hub.observations);
    const first = await hub.observations({ epoch: from.epoch, limit: 1 });
    return new Tail(hub.observations, first.after, first.rows);
  }

  static ofDeviceObservations(device: string): Tail<Observation> {
    return new Tail((window) => hub.observations({ device, ...window }));
  }

  static ofDeviceMessages(device: string): Tail<VerdictLine> {
    return new Tail((window) => hub.verdicts({ device, ...window }));
  }

  /** Read what arrived since; at most so much that the hub does not suffer. */
  async catchUp(): Promise<this> {
    for (let page = 0; page < PAGES_A_ROUND; page++) {
      const { rows, after } = await this.read({ after: this.cursor, limit: ROWS_A_PAGE });
      this.rows = [...this.beforeCursor, ...rows].slice(-KEPT).reverse();
      this.isBehind = after !== null;
      if (after === null) break;
      this.cursor = after;
      this.beforeCursor = [...this.beforeCursor, ...rows].slice(-KEPT);
    }
    return this;
  }
}
