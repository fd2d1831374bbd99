// Everything the console knows of the hub, asked for again every two seconds.

import { Live, every, ticker } from "../shared/live.svelte";
import { hub, type Device, type DeviceDetail, type Epoch, type Health, type Network, type Observation } from "./hub";
import { Tail } from "./tail.svelte";

export const ROUND_MS = 2_000;
export const EPOCHS_SHOWN = 24;
const DEVICES_SHOWN = 1_000;
const DETAILS_A_ROUND = 40; // positions and verdicts are asked for device by device: spread them over the rounds

export class HubWatch {
  readonly health = new Live<Health>();
  readonly network = new Live<Network>();
  readonly devices = new Live<Device[]>();
  readonly epochs = new Live<Epoch[]>();
  readonly observations = new Live<Tail<Observation>>();
  moreDevices = $state(false);
  details = $state.raw<Record<string, DeviceDetail>>({});
  #hubAheadMs = $state(0);
  #tail: Tail<Observation> | undefined;
  #shownAs = new Map<string, string>();

  /** The hub's own clock, so that ages are right on a machine whose clock is wrong. */
  get hubNowMs(): number {
    return ticker.now + this.#hubAheadMs;
  }

  /** Why nothing new arrives, or undefined while everything does. */
  get problem(): string | undefined {
    return this.health.problem ?? this.network.problem;
  }

  start(): () => void {
    return every(ROUND_MS, () => this.#round());
  }

  async #round(): Promise<void> {
    await this.health.refresh(async () => {
      const health = await hub.health();
      this.#hubAheadMs = health.now_ms - performance.now();
      return health;
    });
    await this.network.refresh(hub.network);
    const network = this.network.value;
    if (network === undefined) return;
    const before = network.epoch - EPOCHS_SHOWN;
    const epochsAsked = { limit: EPOCHS_SHOWN + 1, after: before > 0 ? before : null };
    await Promise.all([
      this.epochs.refresh(async () => (await hub.epochs(epochsAsked)).rows.reverse()),
      this.devices.refresh(() => this.#askDevices()),
    ]);
    await this.observations.refresh(() => this.#follow());
    await this.#askDetails();
  }

  async #askDevices(): Promise<Device[]> {
    const page = await hub.devices({ limit: DEVICES_SHOWN });
    this.moreDevices = page.after !== null;
    return page.rows;
  }

  async #follow(): Promise<Tail<Observation>> {
    const epochs = this.epochs.value;
    if (epochs === undefined) throw new Error(this.epochs.problem);
    this.#tail ??= await Tail.ofObservations(epochs);
    return this.#tail.catchUp();
  }

  /** Ask for the devices that moved since they were last asked for. */
  async #askDetails(): Promise<void> {
    const epoch = this.network.value?.epoch;
    const stamp = (one: Device): string => `${one.last_seen_ms}/${one.envelopes}/${epoch}`;
    const moved = (this.devices.value ?? []).filter((one) => this.#shownAs.get(one.name) !== stamp(one));
    if (moved.length === 0 || this.devices.problem !== undefined) return;
    const found = await Promise.allSettled(moved.slice(0, DETAILS_A_ROUND).map((one) => hub.device(one.name)));
    const fresh: Record<string, DeviceDetail> = {};
    for (const one of found) {
      if (one.status === "rejected") continue; // it is asked for again in the next round
      fresh[one.value.name] = one.value;
      this.#shownAs.set(one.value.name, stamp(one.value));
    }
    this.details = { ...this.details, ...fresh };
  }
}
