// Everything the portal knows, asked for again every three seconds.

import { Live, every } from "../shared/live.svelte";
import {
  rewards,
  type Account,
  type EpochDetail,
  type EpochSummary,
  type Health,
  type Line,
  type Network,
} from "./rewards";

export const ROUND_MS = 3_000;

export class RewardWatch {
  readonly health = new Live<Health>();
  readonly network = new Live<Network>();
  readonly epochs = new Live<EpochSummary[]>();
  /** The newest posted epoch in which a device was heard, with the lines of all devices. */
  readonly lastActive = new Live<EpochDetail>();
  #lookedBackTo = 0;

  get problem(): string | undefined {
    return this.health.problem;
  }

  start(): () => void {
    return every(ROUND_MS, async () => {
      await this.health.refresh(rewards.health);
      await this.network.refresh(rewards.network);
      await this.epochs.refresh(async () => (await rewards.epochs()).rows);
      await this.#lookBack();
    });
  }

  /** Find the newest epoch in which a device was heard, among the ones that are new since the last look. */
  async #lookBack(): Promise<void> {
    const rows = this.epochs.value ?? [];
    for (const { epoch } of rows.filter((row) => row.epoch > this.#lookedBackTo)) {
      const found = new Live<EpochDetail>();
      await found.refresh(() => rewards.epoch(epoch));
      if (found.value === undefined) {
        this.lastActive.problem = found.problem;
        return;
      }
      if (found.value.lines.length > 0) {
        const { value } = found;
        await this.lastActive.refresh(async () => value);
        break;
      }
    }
    this.lastActive.problem = undefined;
    this.#lookedBackTo = rows[0]?.epoch ?? 0;
  }
}

export class AccountWatch {
  readonly account = new Live<Account>();
  /** Lines of epochs before the ones in `account`, once they were asked for. */
  older = $state.raw<Line[]>([]);
  olderBefore = $state<number | null>();
  olderProblem = $state<string>();

  constructor(readonly address: string) {}

  start(): () => void {
    return every(ROUND_MS, () => this.account.refresh(() => rewards.account(this.address)));
  }

  /** Where older epochs go on; null at the beginning. */
  get before(): number | null {
    return this.olderBefore === undefined ? (this.account.value?.before ?? null) : this.olderBefore;
  }

  async askOlder(): Promise<void> {
    const page = new Live<Account>();
    await page.refresh(() => rewards.account(this.address, this.before));
    this.olderProblem = page.problem;
    if (page.value === undefined) return;
    const known = new Set(this.lines.map((line) => `${line.epoch}/${line.device}`));
    this.older = [...this.older, ...page.value.lines.filter((line) => !known.has(`${line.epoch}/${line.device}`))];
    this.olderBefore = page.value.before;
  }

  /** All lines that are known, newest epoch first. */
  get lines(): Line[] {
    const fresh = this.account.value?.lines ?? [];
    const seen = new Set(fresh.map((line) => `${line.epoch}/${line.device}`));
    return [...fresh, ...this.older.filter((line) => !seen.has(`${line.epoch}/${line.device}`))];
  }
}
